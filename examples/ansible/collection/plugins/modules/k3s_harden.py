#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
# -*- coding: utf-8 -*-
# Copyright: The authors of k3s-harden
# Apache License 2.0 (see LICENSE of k3s-harden)
"""A node's K3s hardening. The k3s-harden binary does the work; this gives it its words and reads its answer."""

# Written for Python 3.6 too, which nodes of RHEL 8 have.
from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: k3s_harden
short_description: Bring a node to the CIS Kubernetes Benchmark for K3s
version_added: 0.1.0
description:
  - Runs the C(k3s-harden) binary, which has to be on the node (the role P(k3sharden.k3s.node#role) copies it).
  - All or nothing. Where it fails, the node is as it was before, and the host is failed, so that no later task installs K3s
    on it.
  - It belongs before the first start of K3s. A K3s that runs already has to be restarted when something changes.
author:
  - The authors of k3s-harden (@k3sharden)
options:
  state:
    description:
      - V(present) brings the node to the benchmark (C(k3s-harden apply)).
      - V(verified) changes nothing, and fails where a control of the benchmark is not met (C(k3s-harden verify)).
    type: str
    choices: [present, verified]
    default: present
  root:
    description: The node's root directory. An image's where it is not V(/); then the running kernel is left alone.
    type: path
    default: /
  profile:
    description:
      - Profiles, laid over one another from left to right; built-in names, or paths of files on the node.
      - Without it what an earlier run was told, else V(cis).
    type: list
    elements: str
  k3s_version:
    description:
      - The version of K3s that will be installed, such as V(v1.33.4+k3s1) or V("1.33"). Quote the short form.
      - Without it that of the installed binary, else what an earlier run was told.
    type: str
  assume_minor:
    description:
      - The newest minor that this version of C(k3s-harden) knows, such as V("1.37"). Its files go onto a node whose K3s is newer.
      - Without it what an earlier run was told; where there is none, such a node is failed.
    type: str
    version_added: 0.2.0
  role:
    description:
      - The node's role.
      - Without it what an earlier run was told, else what the node looks like, else V(server).
    type: str
    choices: [server, agent]
  settings:
    description:
      - Settings of profiles; C(k3s-harden profile show) lists them.
      - The node remembers them. One that is taken out of the playbook stays until it is told V(null), or another value.
        What is in O(settings_file) counts only as long as it is there.
    type: dict
  settings_file:
    description:
      - A file on the node with settings and waivers.
      - Without it what an earlier run was told, else C(/etc/k3s-harden/settings.yaml) below O(root).
    type: path
  data_dir:
    description: K3s' data directory, where K3s' own configuration does not name it.
    type: str
  skip:
    description:
      - Controls whose files and arguments are left alone, by number (V("1.2.16"), V("5.2")) or name.
      - The node remembers them; V([none]) takes them back.
    type: list
    elements: str
  on_foreign:
    description:
      - What happens to a file at one of our paths that k3s-harden did not write.
      - Without it what an earlier run was told, else V(merge).
      - V(merge) keeps what is the user's in the guide's files in force, and names it; any other file is replaced, with a copy that a rollback brings back.
    type: str
    choices: [merge, keep, replace, fail]
  on_conflict:
    description:
      - Who wins where K3s' configuration sets something that does not satisfy a control.
      - Without it what an earlier run was told, else V(ours).
    type: str
    choices: [ours, keep, fail]
  live_sysctl:
    description: Whether to set the running kernel's parameters too, and not only those of the next boot.
    type: bool
    default: true
  preflight:
    description: Whether to refuse a result on which K3s would not start.
    type: bool
    default: true
  lock_timeout:
    description: How long to wait for another run on the same node, in seconds.
    type: int
    default: 0
  binary:
    description: The k3s-harden binary on the node.
    type: path
    default: /usr/local/bin/k3s-harden
  node:
    description: With O(state=verified), the name of the node in RV(report). Without it the hostname.
    type: str
    version_added: 0.2.0
  benchmark:
    description: With O(state=verified), the benchmark to judge by, such as V("1.11"), if it is not the profile's.
    type: str
  fail_on:
    description:
      - With O(state=verified), the statuses that fail the task; V(warn) includes V(fail), and V(unknown) both.
      - Before K3s first starts, the files that it makes itself are V(unknown).
    type: str
    choices: [fail, warn, unknown, never]
    default: fail
  report_format:
    description: With O(state=verified), the form of RV(report).
    type: str
    choices: [json, kube-bench, junit, sarif, html]
    default: json
attributes:
  check_mode:
    description: Runs C(k3s-harden plan), which opens nothing for writing.
    support: full
  diff_mode:
    description: One unified diff for each path that changes. Tokens, passwords and keys in a replaced file become stars.
    support: full
  platform:
    description: The systems that it runs on.
    platforms: linux
    support: full
notes:
  - Variables of the node's environment that begin with E(K3S_HARDEN_) are not read; the task says everything.
  - Check mode does not ask whether K3s would start on the result; the real run does, before it is done.
requirements:
  - root on the node
seealso:
  - name: CIS Kubernetes Benchmark
    description: The benchmark's own text.
    link: https://www.cisecurity.org/benchmark/kubernetes
"""

EXAMPLES = r"""
- name: Bring a server to the benchmark before K3s is installed
  k3sharden.k3s.k3s_harden:
    k3s_version: v1.33.4+k3s1
    role: server

- name: Lay strict over it, with settings of one's own
  k3sharden.k3s.k3s_harden:
    profile: [cis, strict]
    k3s_version: v1.33.4+k3s1
    settings:
      audit_log_maxage: 90
      ingress_to: [default, shop]
    skip: ["5.3.2"]

- name: Harden an image that is mounted here
  k3sharden.k3s.k3s_harden:
    root: /mnt/image
    k3s_version: "1.33"
    role: agent

- name: See that it still is so
  k3sharden.k3s.k3s_harden:
    state: verified
    report_format: html
  register: verified
"""

RETURN = r"""
actions:
  description: The paths that were changed, or would be in check mode.
  returned: when O(state=present) and not failed
  type: list
  elements: dict
  contains:
    path:
      description: The path from the node's root on, or the name of a kernel parameter's file.
      type: str
      returned: always
      sample: /var/lib/rancher/k3s/server/audit.yaml
    resource:
      description: V(file), V(directory) or V(sysctl).
      type: str
      returned: always
      sample: file
    action:
      description: V(create), V(update), V(metadata) or V(remove).
      type: str
      returned: always
      sample: create
    mode:
      description: The mode that it has then.
      type: str
      returned: always
      sample: "0600"
    controls:
      description: The controls of the benchmark that it serves.
      type: list
      elements: str
      returned: always
      sample: ["3.2.1"]
node_role:
  description: The role that the node was hardened for or judged as.
  returned: when not failed, and RV(report) is none or JSON
  type: str
  sample: server
kubernetes:
  description: The Kubernetes minor.
  returned: when not failed, and RV(report) is none or JSON
  type: str
  sample: "1.33"
benchmark:
  description: The version of the CIS Kubernetes Benchmark.
  returned: when not failed, and RV(report) is none or JSON
  type: str
  sample: "1.12"
profile:
  description: The profiles, resolved.
  returned: when O(state=present) and not failed
  type: list
  elements: str
  sample: [cis-1.12, strict]
summary:
  description: How many controls have which status.
  returned: when O(state=verified) and O(report_format=json), also when controls are not met
  type: dict
  sample: {"pass": 63, "fail": 0, "warn": 5, "manual": 22, "not_applicable": 22, "unknown": 19, "waived": 0}
findings:
  description: The controls that are not met and not waived, and what is wrong with waivers.
  returned: when O(state=verified) and O(report_format=json), also when controls are not met
  type: list
  elements: str
  sample: ["1.2.16 fail: The audit log is on"]
report:
  description: The report as text, in the form that was asked for.
  returned: when O(state=verified), also when controls are not met
  type: str
hints:
  description: What k3s-harden says to do about the failure.
  returned: when failed
  type: list
  elements: str
  sample: ["write it as v1.33.4+k3s1 or 1.33"]
exit_code:
  description:
    - The exit code of k3s-harden. V(0) nothing to do, V(2) changes or findings, V(1) failed and rolled back, V(64) usage, V(65) bad
      profile, settings or version, V(73) cannot write, V(75) locked, V(77) not permitted.
  returned: when it ran
  type: int
  sample: 0
cmd:
  description: The command line that was run.
  returned: when it ran
  type: list
  elements: str
"""

import json
import os
import re

from ansible.module_utils.basic import AnsibleModule

# Options that are a flag with a value of the same meaning, in the order of the command line.
VALUES = [
    ("k3s_version", "--k3s-version"),
    ("role", "--role"),
    ("settings_file", "--settings"),
    ("data_dir", "--data-dir"),
]
# The same, of the verbs that change something.
CHOICES = [
    ("assume_minor", "--assume-minor"),
    ("on_foreign", "--on-foreign"),
    ("on_conflict", "--on-conflict"),
]
CHANGES = 2  # also verify's "a control is not met"
MEANING = {
    1: "all changes were rolled back",
    64: "usage error",
    65: "invalid profile, setting or version; nothing was changed",
    73: "a file cannot be written; nothing was changed",
    75: "another run holds the lock; lock_timeout waits for it",
    77: "not permitted; the task needs become",
}
# What K3s itself keeps secret, as a line of its configuration, or the end of a line that names a component's argument.
SECRET = re.compile(
    r"""^([-+\ ]\s*(?:-\s*)?["']?
        (?:token|t|agent-token|cluster-secret|datastore-endpoint|etcd-s3-access-key|etcd-s3-secret-key
          |etcd-s3-session-token|vpn-auth|[\w.-]*(?:secret|password|token)(?==))
        \+?["']?\s*[:=]\s*)\S.*$""",
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
# The same of an argument in the middle of a line, as of a list in brackets.
SECRET_INSIDE = re.compile(r"""([\w.-]*(?:secret|password|token)=)[^\s"'\]]+""", re.IGNORECASE)


def text_of(value):
    """Returns a setting's value as --set reads it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        return json.dumps(value)
    return str(value)


def command_of(parameters, check_mode):
    """Returns the command line for what the task says."""
    verified = parameters["state"] == "verified"
    verb = "verify" if verified else "plan" if check_mode else "apply"
    form = parameters["report_format"] if verified else "json"
    command = [parameters["binary"], verb, "--root", parameters["root"]]
    command += ["--format", form, "--log-format", "json", "--color", "never"]
    for name in parameters["profile"] or []:
        command += ["--profile", name]
    for option, flag in VALUES:
        if parameters[option] is not None:
            command += [flag, parameters[option]]
    for name, value in sorted((parameters["settings"] or {}).items()):
        command += ["--set", "{0}={1}".format(name, text_of(value))]
    if verified:
        command += ["--fail-on", parameters["fail_on"]]
        if parameters["node"] is not None:
            command += ["--node", parameters["node"]]
        if parameters["benchmark"] is not None:
            command += ["--benchmark", parameters["benchmark"]]
        return command
    command.append("--detailed-exitcode")
    for control in parameters["skip"] or []:
        command += ["--skip", control]
    for option, flag in CHOICES:
        if parameters[option] is not None:
            command += [flag, parameters[option]]
    if not parameters["live_sysctl"]:
        command.append("--no-live-sysctl")
    if verb == "apply":
        command += ["--lock-timeout", str(parameters["lock_timeout"])]
        if not parameters["preflight"]:
            command.append("--no-preflight")
    return command


def read_stderr(text):
    """Returns (warnings, the error, its hints): log lines are JSON, and an error is text with its hints below it."""
    warnings, error, hints = [], [], []
    for line in text.splitlines():
        try:
            record = json.loads(line)
            level, message = record["level"], record["fields"]["message"]
        except (ValueError, TypeError, KeyError):
            hint = line.strip().startswith("help: ")
            if hint:
                hints.append(line.strip()[len("help: "):])
            elif hints:
                hints[-1] += "\n" + line
            elif line.strip():
                error.append(line[len("error: "):] if line.startswith("error: ") else line)
        else:
            if level in ("WARN", "ERROR"):
                warnings.append(message)
    return warnings, "\n".join(error), hints


def diff_of(actions):
    """Returns Ansible's form of the changes."""
    diffs = []
    for action in actions:
        text = action["diff"]
        if not text.startswith("--- "):
            # A directory, a kernel parameter, or a mode alone: its lines do not say whose they are.
            text = "--- {0}\n+++ {0}\n{1}".format(action["path"], text)
        diffs.append({"prepared": SECRET_INSIDE.sub(r"\1***", SECRET.sub(r"\1***", text))})
    return diffs


def finding_texts(report, fail_on):
    """Returns what counts against the node, each as a line."""
    counted = ["fail", "warn", "unknown"][: {"fail": 1, "never": 1, "warn": 2, "unknown": 3}[fail_on]]
    controls = [
        "{id} {status}: {title}".format(**control)
        for control in report["controls"]
        if control["status"] in counted and "waiver" not in control
    ]
    return controls + [finding["text"] for finding in report["findings"]]


def main():
    """Runs the binary once and says what it said."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "verified"], "default": "present"},
            "root": {"type": "path", "default": "/"},
            "profile": {"type": "list", "elements": "str"},
            "k3s_version": {"type": "str"},
            "assume_minor": {"type": "str"},
            "role": {"type": "str", "choices": ["server", "agent"]},
            "settings": {"type": "dict"},
            "settings_file": {"type": "path"},
            "data_dir": {"type": "str"},
            "skip": {"type": "list", "elements": "str"},
            "on_foreign": {"type": "str", "choices": ["merge", "keep", "replace", "fail"]},
            "on_conflict": {"type": "str", "choices": ["ours", "keep", "fail"]},
            "live_sysctl": {"type": "bool", "default": True},
            "preflight": {"type": "bool", "default": True},
            "lock_timeout": {"type": "int", "default": 0},
            "binary": {"type": "path", "default": "/usr/local/bin/k3s-harden"},
            "node": {"type": "str"},
            "benchmark": {"type": "str"},
            "fail_on": {"type": "str", "choices": ["fail", "warn", "unknown", "never"], "default": "fail"},
            "report_format": {
                "type": "str",
                "choices": ["json", "kube-bench", "junit", "sarif", "html"],
                "default": "json",
            },
        },
        supports_check_mode=True,
    )
    parameters = module.params
    for name in [name for name in os.environ if name.startswith("K3S_HARDEN_")]:
        del os.environ[name]
    if not os.path.isfile(parameters["binary"]):
        module.fail_json(
            msg="there is no {0} on the node".format(parameters["binary"]),
            hints=["the role k3sharden.k3s.node copies it; or name it: binary"],
        )
    command = command_of(parameters, module.check_mode)
    try:
        rc, stdout, stderr = module.run_command(command, handle_exceptions=False)
    except (OSError, IOError) as error:
        module.fail_json(
            msg="{0} does not run: {1}".format(parameters["binary"], error),
            hints=["is it the binary for this machine's processor, with the mode 0755?"],
            cmd=command,
        )
    warnings, error, hints = read_stderr(stderr)
    # Not under the name rc: Ansible takes any but 0 there for a failure.
    result = {"changed": False, "exit_code": rc, "cmd": command}
    said = None
    if rc in (0, CHANGES):
        is_json = parameters["state"] == "present" or parameters["report_format"] == "json"
        try:
            said = json.loads(stdout) if is_json else {}
            warnings += [warning for warning in said.get("warnings", []) if warning not in warnings]
        except (ValueError, AttributeError):
            error = "{0} did not answer as k3s-harden does".format(parameters["binary"])
    for warning in warnings:
        module.warn(warning)
    if said is None:
        what = MEANING.get(rc, "not one of its own exit codes" if rc not in (0, CHANGES) else "no JSON")
        message = "{0}\n(k3s-harden {1} exited with {2}: {3})".format(error or "no message", command[1], rc, what)
        module.fail_json(msg="\n".join([message] + ["help: " + hint for hint in hints]), hints=hints, **result)
    if "kubernetes" in said:
        result.update(node_role=said["role"], kubernetes=said["kubernetes"], benchmark=said["benchmark"])

    if parameters["state"] == "verified":
        result["report"] = stdout
        if said:
            result.update(summary=said["summary"], findings=finding_texts(said, parameters["fail_on"]))
        if rc == CHANGES:
            first = "; ".join(result.get("findings", ["the report says which"])[:10])
            module.fail_json(msg="controls are not met: " + first, hints=[], **result)
        module.exit_json(**result)

    changes = [action for action in said["actions"] if action["action"] != "none"]
    result["changed"] = rc == CHANGES
    result["profile"] = said["profile"]
    result["actions"] = [
        {key: value for key, value in action.items() if key != "diff"} for action in changes
    ]
    if module._diff:
        result["diff"] = diff_of(changes)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
