# SPDX-License-Identifier: Apache-2.0
"""`verify --live` against a real API server: what it says of real objects, and what it does not ask.

K3s itself cannot be had here. What stands in for it is a script that runs Kubernetes' kubectl for `k3s kubectl`, as K3s
does (cmd/kubectl); everything that answers is real. No controller manager runs, so the ServiceAccounts `default` are made
by hand, and the aggregated roles (admin, edit, view) have no rules.
"""

import base64
import json
import os
import signal
import time

K3S = "usr/local/bin/k3s"
KUBECONFIG = "etc/rancher/k3s/k3s.yaml"
LOG = "run/bed/k3s.log"
SERVER = "var/lib/rancher/k3s/server"
CORE, RBAC, APPS, BATCH = "/api/v1", "/apis/rbac.authorization.k8s.io/v1", "/apis/apps/v1", "/apis/batch/v1"
NETWORK = "/apis/networking.k8s.io/v1"
LEVEL = "pod-security.kubernetes.io/enforce"
USER = "mallory"
def meta(name, **more):
    return {"metadata": {"name": name} | more}


def namespaced(prefix, namespace, resource):
    return f"{prefix}/namespaces/{namespace}/{resource}"


def rule(group, resource, *verbs):
    return {"apiGroups": [group], "resources": [resource], "verbs": list(verbs)}


def bound(name, kind, role, *subjects):
    return meta(name) | {"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role}, "subjects": list(subjects)}


def subject(kind, name, namespace=None):
    return {"kind": kind, "name": name} | ({"namespace": namespace} if namespace else {"apiGroup": "rbac.authorization.k8s.io"})


MALLORY = subject("User", USER)


def post(path, body):
    return ("POST", path, body)


def patch(path, body):
    return ("PATCH", path, body)


def delete(path):
    return ("DELETE", path, None)


def spec(**more):
    """A pod that restricted admits."""
    container = {"name": "c", "image": "registry.invalid/i", "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}}
    return {"securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}, "containers": [container]} | more


def container(pod, **more):
    """The same with something else in its container; None takes a field away."""
    changed = json.loads(json.dumps(pod))
    merge(changed["containers"][0], more)
    return changed


def merge(into, change):
    for key, value in change.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict):
            merge(into.setdefault(key, {}), value)
        else:
            into[key] = value


def pod(name, namespace, its):
    return post(namespaced(CORE, namespace, "pods"), meta(name) | {"spec": its})


def template(its):
    return {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": its}}


def granted(*rules):
    """Somebody with a right in the whole cluster."""
    return [
        post(f"{RBAC}/clusterroles", meta("granted") | {"rules": list(rules)}),
        post(f"{RBAC}/clusterrolebindings", bound("granted", "ClusterRole", "granted", MALLORY)),
    ]


def granted_in_shop(*rules):
    return [
        post(namespaced(RBAC, "shop", "roles"), meta("granted") | {"rules": list(rules)}),
        post(namespaced(RBAC, "shop", "rolebindings"), bound("granted", "Role", "granted", MALLORY)),
    ]


def labelled(**labels):
    names = {"level": LEVEL, "version": f"{LEVEL}-version"}
    return patch(f"{CORE}/namespaces/shop", {"metadata": {"labels": {names[key]: value for key, value in labels.items()}}})


def old(its):
    """A pod that was there before its namespace was held to a level."""
    return [labelled(level="privileged"), pod("old", "shop", its), labelled(level=None)]



SHOP = f"{CORE}/namespaces/shop"
SO_DOES = f"not only built-in subjects: User {USER}"
MANUAL, WARN, PASS = "manual", "warn", "pass"
# The rights that a person has to look at: the number, a rule that gives it, and whether only a binding for the whole
# cluster can. 5.1.14 is 5.1.10 once more.
RIGHTS = [
    (("5.1.2",), rule("", "secrets", "list"), False),
    (("5.1.4",), rule("", "pods", "create"), False),
    (("5.1.8",), rule("rbac.authorization.k8s.io", "clusterroles", "escalate"), False),
    (("5.1.8",), rule("", "users", "impersonate"), False),
    (("5.1.9",), rule("", "persistentvolumes", "create"), True),
    (("5.1.10", "5.1.14"), rule("", "nodes/proxy", "get"), True),
    (("5.1.10", "5.1.14"), rule("", "*/proxy", "create"), True),
    (("5.1.11",), rule("certificates.k8s.io", "certificatesigningrequests/approval", "update"), True),
    (("5.1.12",), rule("admissionregistration.k8s.io", "mutatingwebhookconfigurations", "patch"), True),
    (("5.1.13",), rule("", "serviceaccounts/token", "create"), False),
]
# What whoever may do everything may do, in a namespace and beyond.
IN_A_NAMESPACE = ("5.1.1", "5.1.2", "5.1.4", "5.1.8", "5.1.13")
BEYOND = ("5.1.9", "5.1.10", "5.1.11", "5.1.12", "5.1.14")
BASELINE = ("5.2.1", "5.2.2", "5.2.3", "5.2.4", "5.2.5", "5.2.10", "5.2.11", "5.2.12", "5.2.13")
RESTRICTED = ("5.2.6", "5.2.7", "5.2.8", "5.2.9")
SINCE_1_22 = ("5.2.8", "5.2.9")


def all_of(numbers, status, words):
    return dict.fromkeys(numbers, (status, words))


def level(wanted):
    """Each control of a level is weaker in shop. The preset k3s exempts the compliance operator by both of its names."""
    return all_of(wanted, WARN, "weaker in shop, but not for compliance-operator-system, cis-operator-system")


# A mutation, and exactly those controls whose status or words change by it: (name, first minor, mutation, changes).
CASES = [
    ("a default ServiceAccount that mounts its token", 24, [patch(f"{SHOP}/serviceaccounts/default", {"automountServiceAccountToken": True})],
     {"5.1.5": (WARN, "not in shop")}),
    ("a role for a default ServiceAccount", 24,
     [post(f"{RBAC}/namespaces/shop/rolebindings", bound("b", "ClusterRole", "view", subject("ServiceAccount", "default", "shop")))],
     {"5.1.5": (WARN, "roles are bound to shop/default")}),
    ("a namespace without a NetworkPolicy", 24, [delete(f"{NETWORK}/namespaces/shop/networkpolicies/all")], {"5.3.2": (WARN, "none in shop")}),
    ("a namespace with nothing", 24, [post(f"{CORE}/namespaces", meta("bare"))],
     {"5.1.5": (WARN, "not in bare"), "5.3.2": (WARN, "none in bare"), "5.6.1": (MANUAL, "beside the built-in ones there are bare, shop")}),
    ("a namespace that is labelled privileged", 25, [labelled(level="privileged")], level(BASELINE + RESTRICTED)),
    # Since then it admits an unmasked /proc in user namespaces.
    ("a namespace that is labelled baseline", 25, [labelled(level="baseline")], lambda number: level(RESTRICTED + (("5.2.13",) if number >= 35 else ()))),
    ("a namespace that is labelled baseline of 1.34", 25, [labelled(level="baseline", version="v1.34")], level(RESTRICTED)),
    ("a namespace that is labelled baseline of a minor to come", 35, [labelled(level="baseline", version="v1.99")], level((*RESTRICTED, "5.2.13"))),
    ("a namespace that is labelled restricted", 25, [labelled(level="restricted")], {}),
    ("a namespace with the restricted of 1.21", 25, [labelled(level="restricted", version="v1.21")], level(SINCE_1_22)),
    ("a namespace with a version alone", 25, [labelled(version="v1.21")], level(SINCE_1_22)),
    ("a namespace with the restricted of 1.7", 25, [labelled(level="restricted", version="v1.7")], level(("5.2.6", *SINCE_1_22))),
    ("a namespace that only warns", 25, [patch(SHOP, {"metadata": {"labels": {"pod-security.kubernetes.io/warn": "privileged"}}})], {}),
    ("a ClusterRole with *", 24, [post(f"{RBAC}/clusterroles", meta("wild") | {"rules": [rule("", "pods", "*")]})],
     {"5.1.3": (WARN, "not only built-in roles: ClusterRole wild")}),
    ("a Role with *", 24, [post(f"{RBAC}/namespaces/shop/roles", meta("wild") | {"rules": [rule("", "*", "get")]})],
     {"5.1.3": (WARN, "not only built-in roles: Role shop/wild")}),
    ("a ClusterRole with * in its groups alone", 24, [post(f"{RBAC}/clusterroles", meta("tame") | {"rules": [rule("*", "pods", "get")]})], {}),
    ("somebody who is bound to cluster-admin", 24, [post(f"{RBAC}/clusterrolebindings", bound("b", "ClusterRole", "cluster-admin", MALLORY))],
     all_of(IN_A_NAMESPACE + BEYOND, MANUAL, SO_DOES)),
    ("somebody who is bound to it in a namespace", 24, [post(f"{RBAC}/namespaces/shop/rolebindings", bound("b", "ClusterRole", "cluster-admin", MALLORY))],
     all_of(IN_A_NAMESPACE, MANUAL, SO_DOES)),
    ("somebody else in Kubernetes' own binding", 24,
     [patch(f"{RBAC}/clusterrolebindings/cluster-admin", {"subjects": [subject("Group", "system:masters"), MALLORY]})],
     all_of(IN_A_NAMESPACE + BEYOND, MANUAL, SO_DOES)),
    ("a role that nobody has", 24, [post(f"{RBAC}/clusterroles", meta("r") | {"rules": [rule("", "secrets", "get")]})], {}),
    ("a Secret as a variable", 25,
     [pod("p", "shop", container(spec(), env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]))],
     {"5.4.1": (WARN, "1 pods take Secrets as environment variables: shop/p")}),
    ("a Secret as all variables, at the beginning", 25,
     [pod("p", "shop", spec(initContainers=container(spec(), envFrom=[{"secretRef": {"name": "s"}}])["containers"][0:1]) | {
         "containers": [spec()["containers"][0] | {"name": "d"}]})],
     {"5.4.1": (WARN, "1 pods take Secrets as environment variables: shop/p")}),
    ("a Secret as a file", 25, [pod("p", "shop", spec(volumes=[{"name": "s", "secret": {"secretName": "s"}}]))], {}),
    ("a Secret as a variable in kube-system", 25,
     [pod("p", "kube-system", container(spec(), env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]))], {}),
    ("a pod that mounts a token", 25, [pod("p", "shop", spec(automountServiceAccountToken=True))],
     {"5.1.6": (MANUAL, "1 pods mount a token: shop/p")}),
    ("a pod without a security context", 25, old({"containers": [{"name": "c", "image": "registry.invalid/i"}]}),
     {"5.6.2": (WARN, "1 pods have no seccomp profile: shop/old"), "5.6.3": (WARN, "1 pods have a container without a security context: shop/old")}),
    ("a pod without a seccomp profile", 25, old(container(spec(), securityContext={"seccompProfile": {"type": "Unconfined"}})),
     {"5.6.2": (WARN, "1 pods have no seccomp profile: shop/old")}),
    *((f"a {kind} in default", first, [post(namespaced(prefix, "default", resource), meta("x") | {"spec": its})], {"5.6.4": (WARN, f"also found: {kind} x")})
      for kind, first, prefix, resource, its in [
          ("Pod", 25, CORE, "pods", spec()),
          ("Service", 24, CORE, "services", {"ports": [{"port": 80}]}),
          ("Deployment", 24, APPS, "deployments", template(spec())),
          ("DaemonSet", 24, APPS, "daemonsets", template(spec())),
          ("StatefulSet", 24, APPS, "statefulsets", template(spec()) | {"serviceName": "x"}),
          ("Job", 24, BATCH, "jobs", {"template": {"spec": spec(restartPolicy="Never")}}),
          ("CronJob", 24, BATCH, "cronjobs", {"schedule": "@daily", "jobTemplate": {"spec": {"template": {"spec": spec(restartPolicy="Never")}}}}),
      ]),
    ("a Deployment elsewhere", 24, [post(f"{APPS}/namespaces/shop/deployments", meta("x") | {"spec": template(spec())})], {}),
]
# Of the hardened cluster; all else that is asked is a person's to look at.
PASSES = (*IN_A_NAMESPACE, *BEYOND, *BASELINE, *RESTRICTED, "5.1.3", "5.1.5", "5.1.6", "5.3.2", "5.4.1", "5.6.2", "5.6.4")
LOOKS = ("5.1.7", "5.6.1", "5.6.3")
# Decided by the configuration, or by nobody.
NOT_ASKED = ("5.3.1", "5.4.2", "5.5.1")

# A pod for each control of 5.2 that asks for what it is about, and else for nothing.
ASKING = {
    "5.2.1": container(spec(), securityContext={"privileged": True, "allowPrivilegeEscalation": None}),
    "5.2.2": container(spec(), securityContext={"privileged": True, "allowPrivilegeEscalation": None}),
    "5.2.3": spec(hostPID=True),
    "5.2.4": spec(hostIPC=True),
    "5.2.5": spec(hostNetwork=True),
    "5.2.6": container(spec(), securityContext={"allowPrivilegeEscalation": None}),
    "5.2.7": spec(securityContext={"seccompProfile": {"type": "RuntimeDefault"}}),
    "5.2.8": container(spec(), securityContext={"capabilities": {"drop": ["CHOWN"]}}),
    "5.2.9": container(spec(), securityContext={"capabilities": None}),
    "5.2.10": spec(hostNetwork=True, securityContext={"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"},
                                                      "windowsOptions": {"hostProcess": True, "runAsUserName": "u"}}),
    "5.2.11": spec(volumes=[{"name": "h", "hostPath": {"path": "/"}}]),
    "5.2.12": container(spec(), ports=[{"containerPort": 80, "hostPort": 80}]),
    "5.2.13": container(spec(hostUsers=False), securityContext={"procMount": "Unmasked"}),
}


class Live:
    """A node whose K3s has started, and its cluster."""

    def __init__(self, bed, admin, minor, proof, run):
        self.bed, self.admin, self.minor, self.proof, self.run = bed, admin, minor, proof, run
        arguments = " ".join(bed.arguments())
        self.k3s('[ "$1" = kubectl ] && shift && exec /run/bed/kubectl "$@"\nexit 1')
        bed.write(LOG, f'time="2026-01-01T00:00:00Z" level=info msg="Running kube-apiserver {arguments}"\n')
        self.kubeconfig("client-admin")

    def k3s(self, script):
        """What stands in for K3s."""
        self.bed.write(K3S, f"#!/bin/sh\n{script}\n", 0o755)

    def kubeconfig(self, client, port=6444):
        """The kubeconfig that K3s writes, for a certificate. Its own goes by a port of K3s that passes everything on."""
        def data(name):
            with open(f"{self.bed.base}/keys/{name}", "rb") as file:
                return base64.b64encode(file.read()).decode()
        self.bed.write(KUBECONFIG, json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "default", "preferences": {},
            "clusters": [{"name": "default", "cluster": {"certificate-authority-data": data("server-ca.crt"), "server": f"https://127.0.0.1:{port}"}}],
            "contexts": [{"name": "default", "context": {"cluster": "default", "user": "default"}}],
            "users": [{"name": "default", "user": {"client-certificate-data": data(f"{client}.crt"), "client-key-data": data(f"{client}.key")}}],
        }))

    def verify(self, *words):
        """The verdicts by their numbers: a status and what it is; the evidence; what else was said, and how long it took."""
        begin = time.monotonic()
        done = self.run("chroot", self.bed.node, "/run/bed/k3s-harden", "verify", "--k3s-version", self.minor, "--benchmark", "2.1",
                        "--journal", f"/{LOG}", "--format", "json", *words)
        self.took, self.said, self.code = time.monotonic() - begin, done.stderr, done.returncode
        if not done.stdout.startswith("{"):
            return {}
        controls = json.loads(done.stdout)["controls"]
        self.evidence = {control["id"]: [one["text"] for one in control["evidence"]] for control in controls}
        return {control["id"]: (control["status"], control["actual"]) for control in controls}

    def must(self, method, path, body=None, kind="application/json"):
        status, said = self.admin.ask(method, path, body and json.dumps(body), kind)
        if status not in (200, 201, 202):
            raise RuntimeError(f"{method} {path}: {status} {said}")
        return json.loads(said)

    def do(self, steps):
        """Does the steps; returns those that undo them, in their order."""
        undoing = []
        for method, path, body in steps:
            if method == "POST":
                made = self.must("POST", path, body)
                undoing.insert(0, delete(f"{path}/{made['metadata']['name']}"))
            elif method == "PATCH":
                undoing.insert(0, patch(path, inverse(body, self.must("GET", path))))
                self.must("PATCH", path, body, "application/merge-patch+json")
            else:
                was = self.must("GET", path)
                for name in ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"):
                    was["metadata"].pop(name, None)
                undoing.insert(0, post(path.rpartition("/")[0], was))
                self.must("DELETE", f"{path}?propagationPolicy=Background")
                if path.startswith(f"{CORE}/namespaces/") and path.count("/") == 4:
                    # What the namespace controller would do.
                    self.must("PUT", f"{path}/finalize", meta(path.rpartition("/")[2]) | {"spec": {"finalizers": []}})
        return undoing

    def may(self, its, namespace=None):
        """Whether the API server lets mallory do what a rule says."""
        resource, _, below = its["resources"][0].partition("/")
        attributes = {"group": its["apiGroups"][0], "resource": resource.replace("*", "nodes"), "subresource": below, "verb": its["verbs"][0]}
        review = {"spec": {"user": USER, "resourceAttributes": attributes | ({"namespace": namespace} if namespace else {})}}
        return self.must("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)["status"]["allowed"]

    def asked(self):
        """What kubectl has asked the API server for, by its audit log: verbs and resources."""
        with open(self.bed.path(f"{SERVER}/logs/audit.log"), encoding="utf-8") as file:
            events = [json.loads(line) for line in file]
        return [(event["verb"], event.get("objectRef", {}).get("resource", "")) for event in events if event.get("userAgent", "").startswith("kubectl")]


def inverse(change, was):
    """The merge patch that undoes one."""
    return {key: inverse(value, was.get(key) or {}) if isinstance(value, dict) else was.get(key) for key, value in change.items()}


def differs(before, now):
    return {number: now.get(number) for number in now if before.get(number) != now[number]}


def short(verdicts):
    return ", ".join(f"{number} {status}: {actual}" for number, (status, actual) in verdicts.items())


def prove(bed, admin, minor, proof, run):
    """Everything about a running cluster."""
    live, number = Live(bed, admin, minor, proof, run), int(minor.split(".")[1])
    live.do([
        post(f"{CORE}/namespaces", meta("shop")),
        post(f"{SHOP}/serviceaccounts", meta("default") | {"automountServiceAccountToken": False}),
        post(f"{NETWORK}/namespaces/shop/networkpolicies", meta("all") | {"spec": {"podSelector": {}}}),
    ])
    before = prove_hardened(live, number)
    for name, first, mutation, wanted in CASES:
        if number >= first:
            prove_case(live, before, name, mutation, wanted(number) if callable(wanted) else wanted)
    for numbers, its, beyond in RIGHTS:
        prove_right(live, before, numbers, its, beyond)
    after = live.verify("--live")
    proof("and all is as it was when all of it is undone", after == before, short(differs(before, after)))
    prove_asked(live)
    prove_silence(live, before)


def prove_hardened(live, number):
    without, before_asking = live.verify(), live.asked()
    live.proof("without --live the cluster is not asked", not before_asking and all(without[one][0] == MANUAL for one in LOOKS), before_asking)
    before = live.verify("--live")
    wanted = dict.fromkeys(PASSES, PASS) | dict.fromkeys(LOOKS, MANUAL)
    wrong = {one: before.get(one) for one in wanted if before.get(one, ("",))[0] != wanted[one]}
    live.proof(f"a hardened cluster passes {len(PASSES)} controls with --live", not wrong, short(wrong) or f"{live.took:.1f} s {live.said}")
    unsaid = [one for one in PASSES if not live.evidence.get(one)]
    live.proof("each with evidence", not unsaid, unsaid)
    others = [one for one in before if one.startswith("5.") and one not in (*wanted, *NOT_ASKED)]
    live.proof("and none of section 5 is left out here", not others, others)
    changed = [one for one in differs(without, before) if not one.startswith("5.")]
    live.proof("nothing but section 5 is decided by the cluster", not changed, changed)
    if number >= 35:
        its = spec(hostUsers=False, securityContext={"seccompProfile": {"type": "RuntimeDefault"}})
        status, said = live.admin.ask("POST", namespaced(CORE, "default", "pods?dryRun=All"), json.dumps(meta("p") | {"spec": its}))
        live.proof("restricted admits root in a user namespace, as the evidence of 5.2.7 says",
                   status == 201 and any("user namespace" in text for text in live.evidence["5.2.7"]), "" if status == 201 else said)
    return before


def prove_case(live, before, name, mutation, wanted):
    undoing = live.do(mutation)
    try:
        now = live.verify("--live")
        changed = differs(before, now)
        live.proof(f"{name}: {', '.join(wanted) or 'nothing'} changes", changed == wanted, short(changed))
        if any("labels" in str(body) for _, _, body in mutation) and len(mutation) == 1 and mutation[0][1] == SHOP:
            prove_admission(live, name, now)
    finally:
        live.do(undoing)


def prove_admission(live, name, now):
    """What the controls say of the pods of shop, the API server does."""
    wrong = []
    for number, its in ASKING.items():
        status, said = live.admin.ask("POST", f"{SHOP}/pods?dryRun=All", json.dumps(meta("p") | {"spec": its}))
        refused = status == 403 and "PodSecurity" in said
        if refused != (now[number][0] == PASS) or not (refused or status == 201):
            wrong.append(f"{number} {now[number][0]}: {status} {said[:300]}")
    status, said = live.admin.ask("POST", f"{SHOP}/pods?dryRun=All", json.dumps(meta("p") | {"spec": spec()}))
    live.proof(f"and the API server admits and refuses those {len(ASKING)} pods accordingly", not wrong and status == 201, "; ".join(wrong) or ("" if status == 201 else said))


def prove_right(live, before, numbers, its, beyond):
    words = f"{its['verbs'][0]} {its['resources'][0]}"
    denied = live.may(its, None if beyond else "shop")
    for where, role, mutation, counts in (
        ("everywhere", "ClusterRole granted", granted(its), True),
        ("in a namespace", "Role shop/granted", granted_in_shop(its), not beyond),
    ):
        undoing = live.do(mutation)
        try:
            changed = differs(before, live.verify("--live"))
            may = live.may(its, None if beyond else "shop")
            wanted = all_of(numbers, MANUAL, SO_DOES) if counts else {}
            if "*" in its["resources"][0]:
                wanted["5.1.3"] = (WARN, f"not only built-in roles: {role}")
            live.proof(f"{words} {where}: {', '.join(wanted) or 'nothing'} changes, and the API server agrees", changed == wanted and may == counts and not denied,
                       short(changed) or f"allowed: {may}")
        finally:
            live.do(undoing)


def prove_asked(live):
    asked = set(live.asked())
    wrong = sorted(one for one in asked if one[0] not in ("list", "get") or one[0] == "get" and one[1] or one[1] == "secrets")
    live.proof(f"{len(asked)} kinds of requests, all of them reading, none of them Secrets", asked and not wrong, wrong)


def prove_silence(live, before):
    """A cluster that does not answer, or not everything."""
    of_cluster = [one for one in before if one in (*PASSES, *LOOKS)]

    def unknown(name, words, least=tuple(of_cluster), within=15):
        now = live.verify("--live")
        wrong = {one: now.get(one) for one in least if now.get(one, ("",))[0] != "unknown" or not any(words in text for text in live.evidence[one])}
        live.proof(f"{name}: {len(least)} controls are unknown, and say why", now and not wrong and live.took < within, short(wrong) or f"{live.took:.1f} s {now[least[0]][1]}")

    live.kubeconfig("alice")
    unknown("somebody who may read nothing", "Forbidden")
    live.kubeconfig("alice", 1)
    unknown("nobody listens", "refused")
    live.kubeconfig("client-auth-proxy")
    unknown("a certificate of another authority", "", within=30)
    live.kubeconfig("client-admin")
    live.bed.server.send_signal(signal.SIGSTOP)
    try:
        unknown("an API server that hangs", "", within=40)
    finally:
        live.bed.server.send_signal(signal.SIGCONT)
    live.k3s("exec sleep 300")
    unknown("a kubectl that hangs", "no answer within 30 seconds", within=40)
    live.k3s('shift && exec /run/bed/kubectl "$@"')
    os.unlink(live.bed.path(KUBECONFIG))
    unknown("a K3s that has never started", "K3s has never started here")
    token = f"{SERVER}/token"
    live.bed.write(token, "token")
    unknown("no kubeconfig", "k3s.yaml")
    os.unlink(live.bed.path(K3S))
    # One that this machine may have is in the overlay too.
    for folder in ("usr/bin", "usr/sbin"):
        if os.path.lexists(live.bed.path(f"{folder}/kubectl")):
            os.unlink(live.bed.path(f"{folder}/kubectl"))
    unknown("neither k3s nor kubectl", "neither k3s nor kubectl was found")
    agent = live.verify("--live", "--role", "agent")
    passes = [one for one, (status, _) in agent.items() if one.startswith("5.") and status == PASS]
    live.proof("an agent asks nobody and passes nothing of section 5", agent and not passes and "run this on a server" in live.said, passes or live.said)
    os.unlink(live.bed.path(token))
