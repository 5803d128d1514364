# SPDX-License-Identifier: Apache-2.0
"""The policies of server/admission.d on a real API server: an empty database, the first request, and what stays when all
that can be deleted is deleted.

No controller manager runs, so nothing makes ServiceAccounts, and pods stay where they are.
"""

import json
import os
import time

CORE, RBAC, ADMISSION = "/api/v1", "/apis/rbac.authorization.k8s.io/v1", "/apis/admissionregistration.k8s.io/v1"
FOLDER = "/var/lib/rancher/k3s/server/admission.d"
MASTERS, WILDCARDS = "k3s-harden-system-masters", "k3s-harden-wildcard-cluster-roles"
GROUP = "rbac.authorization.k8s.io"


def binding(name, role, *subjects):
    return {"metadata": {"name": name}, "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role}, "subjects": list(subjects)}


def group(name):
    return {"kind": "Group", "apiGroup": GROUP, "name": name}


def account(name, namespace="kube-system"):
    return {"kind": "ServiceAccount", "name": name, "namespace": namespace}


def rule(groups, resources, *verbs):
    return {"apiGroups": groups, "resources": resources, "verbs": list(verbs)}


def pod(name, *volumes, service_account="default", **more):
    spec = {"serviceAccountName": service_account, "containers": [{"name": "c", "image": "registry.invalid/i"} | more.pop("container", {})]} | more
    return {"metadata": {"name": name}, "spec": spec | ({"volumes": list(volumes)} if volumes else {})}


def host_path(path):
    return {"name": "host", "hostPath": {"path": path}}


TO_MASTERS = binding("to-masters", "view", group("system:masters"))
WILDCARD = {"metadata": {"name": "another-cluster-admin"}, "rules": [rule(["*"], ["*"], "*")]}
SYSTEM = "namespaces/kube-system"

# Objects like those that a stock K3s makes: its packaged components, its controllers, and the jobs of its Helm controller.
STOCK = [
    *((f"{CORE}/{SYSTEM}/serviceaccounts", {"metadata": {"name": name}}) for name in
      ("default", "coredns", "local-path-provisioner-service-account", "metrics-server", "helm-traefik", "svclb")),
    (f"{RBAC}/clusterroles", {"metadata": {"name": "system:coredns"}, "rules": [rule([""], ["endpoints", "services", "pods", "namespaces"], "list", "watch")]}),
    (f"{RBAC}/clusterrolebindings", binding("system:coredns", "system:coredns", account("coredns"))),
    (f"{RBAC}/clusterroles", {"metadata": {"name": "local-path-provisioner-role"}, "rules": [
        rule([""], ["nodes", "persistentvolumeclaims", "configmaps"], "get", "list", "watch"),
        rule([""], ["endpoints", "persistentvolumes", "pods"], "*")]}),
    (f"{RBAC}/clusterrolebindings", binding("local-path-provisioner-bind", "local-path-provisioner-role", account("local-path-provisioner-service-account"))),
    (f"{RBAC}/clusterroles", {"metadata": {"name": "k3s-cloud-controller-manager"}, "rules": [rule([""], ["nodes"], "*"), rule(["apps"], ["daemonsets"], "*")]}),
    (f"{RBAC}/clusterroles", {"metadata": {"name": "aggregated-metrics-reader"}, "rules": [rule(["metrics.k8s.io"], ["pods", "nodes"], "get", "list", "watch")]}),
    (f"{RBAC}/clusterrolebindings", binding("helm-kube-system-traefik", "cluster-admin", account("helm-traefik"))),
    (f"{CORE}/{SYSTEM}/pods", pod("coredns", service_account="coredns")),
    (f"{CORE}/{SYSTEM}/pods", pod("helm-install-traefik", service_account="helm-traefik")),
    (f"{CORE}/{SYSTEM}/pods", pod("helper-pod-create-pvc", host_path("/var/lib/rancher/k3s/storage"))),
    (f"{CORE}/{SYSTEM}/pods", pod("svclb-traefik", service_account="svclb", automountServiceAccountToken=False,
                                  container={"ports": [{"containerPort": 80, "hostPort": 80}]})),
    (f"{CORE}/{SYSTEM}/services", {"metadata": {"name": "traefik"}, "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}}),
    (f"{CORE}/{SYSTEM}/services", {"metadata": {"name": "kube-dns"}, "spec": {"ports": [{"port": 53, "protocol": "UDP"}]}}),
]

# Mistakes, each with what it does to a file: the server does not start, and preflight never says that it does.
BROKEN = [
    ("a document of comments alone", "pods.yaml", lambda text: text + "---\n# nothing\n"),
    ("Deny together with Warn", "access.yaml", lambda text: text.replace('"Deny", "Audit"', '"Deny", "Warn"', 1)),
    ("a binding without its policy", "services.yaml", lambda text: text.replace('policyName: "k3s-harden', 'policyName: "other', 1)),
    ("an expression that does not compile", "access.yaml", lambda text: text.replace("size(variables.masters)", "size(variables.mastres)", 1)),
    ("a field that there is not", "services.yaml", lambda text: text.replace("failurePolicy", "failurePolice", 1)),
    ("an old API version", "pods.yaml", lambda text: text.replace("k8s.io/v1", "k8s.io/v1beta1", 1)),
]


def refused(answer, policy):
    return answer[0] in (403, 422) and policy in answer[1]


def prove(bed, admin, proof, wait, message):
    """Everything; the database of the bed is empty."""
    bed.harden("--profile", "cis,strict", "--set", "admission_policies=deny")
    answers = []

    def first():
        if not answers or answers[-1][0] != 403 or MASTERS not in answers[-1][1]:
            try:
                answers.append(admin.ask("POST", f"{RBAC}/clusterrolebindings", json.dumps(TO_MASTERS)))
            except OSError:
                pass

    begin = time.monotonic()
    ready, said = bed.start(first)
    if not proof("with policies from files and an empty database it gets ready", ready, f"{time.monotonic() - begin:.1f} s" if ready else message(said)):
        bed.stop()
        return
    statuses = [status for status, _ in answers]
    proof("the first request that it answers, a binding to system:masters, is refused", bool(answers) and all(status >= 400 for status in statuses), statuses[:5])
    answer = admin.ask("POST", f"{RBAC}/clusterrolebindings", json.dumps(TO_MASTERS))
    proof("by the policy", refused(answer, MASTERS), answer)
    status, said = admin.ask("GET", f"{RBAC}/clusterrolebindings/cluster-admin")
    proof("the API server has written its own binding to system:masters", status == 200 and "system:masters" in said, status)
    answer = admin.ask("POST", f"{RBAC}/clusterroles", json.dumps(WILDCARD))
    proof("a wildcard ClusterRole is refused", refused(answer, WILDCARDS), answer)

    wrong = []
    for path, body in STOCK:
        # The namespaces are there a moment after the server is.
        answer = []
        wait(lambda: answer.append(admin.warned("POST", path, json.dumps(body))) or answer[-1][0] != 404, 10)
        status, said, warnings = answer[-1]
        if status not in (201, 409) or any("k3s-harden" in warning for warning in warnings):
            wrong.append(f"{path} {body['metadata']['name']}: {status} {warnings} {said}")
    proof(f"{len(STOCK)} objects like those of a stock K3s are admitted without a word", not wrong, "; ".join(wrong))

    labels = {f"pod-security.kubernetes.io/{mode}": "privileged" for mode in ("enforce", "warn", "audit")}
    admin.ask("POST", f"{CORE}/namespaces", json.dumps({"metadata": {"name": "loose", "labels": labels}}))
    admin.ask("POST", f"{CORE}/namespaces/loose/serviceaccounts", json.dumps({"metadata": {"name": "default"}}))
    for name, path, body in (
        ("a host path", "namespaces/loose/pods", pod("mounts", host_path("/etc"), automountServiceAccountToken=False)),
        ("a token that nobody asked for", "namespaces/loose/pods", pod("token")),
        ("a NodePort", "namespaces/loose/services", {"metadata": {"name": "open"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}}),
    ):
        status, said, warnings = admin.warned("POST", f"{CORE}/{path}", json.dumps(body))
        proof(f"{name} is admitted with a warning", status == 201 and any("k3s-harden" in warning for warning in warnings), f"{status} {warnings} {said if status != 201 else ''}")
    status, said, warnings = admin.warned("POST", f"{CORE}/namespaces/loose/pods", json.dumps(pod("plain", automountServiceAccountToken=False)))
    proof("a plain pod is admitted without one", status == 201 and not any("k3s-harden" in warning for warning in warnings), f"{status} {warnings}")

    for name, path in (
        ("validatingadmissionpolicybindings", ADMISSION), ("validatingadmissionpolicies", ADMISSION), ("validatingwebhookconfigurations", ADMISSION),
        ("mutatingwebhookconfigurations", ADMISSION), ("clusterrolebindings", RBAC), ("clusterroles", RBAC),
    ):
        status, said = admin.ask("DELETE", f"{path}/{name}")
        proof(f"all {name} are deleted", status == 200, "" if status == 200 else f"{status} {said}")
    answer = admin.ask("POST", f"{RBAC}/clusterrolebindings", json.dumps(TO_MASTERS))
    proof("a binding to system:masters is refused as before", refused(answer, MASTERS), answer)
    answer = admin.ask("DELETE", f"{ADMISSION}/validatingadmissionpolicies/{MASTERS}.static.k8s.io")
    proof("the policy cannot be deleted over the API", answer[0] == 404, answer)
    own = {"metadata": {"name": "mine.static.k8s.io"}, "spec": {"matchConstraints": {"resourceRules": [
        {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}]}, "validations": [{"expression": "true"}]}}
    answer = admin.ask("POST", f"{ADMISSION}/validatingadmissionpolicies", json.dumps(own))
    proof("nor made under such a name", answer[0] in (403, 422), answer)

    file = bed.path(f"{FOLDER}/access.yaml")
    with open(file, encoding="utf-8") as whole:
        ours = whole.read()
    bed.write(f"{FOLDER}/access.yaml", ours.replace("matchConstraints", "matchConstraint"))
    time.sleep(3)
    answer = admin.ask("POST", f"{RBAC}/clusterrolebindings", json.dumps(TO_MASTERS))
    proof("a file that breaks while it runs changes nothing", refused(answer, MASTERS), answer)
    bed.write(f"{FOLDER}/access.yaml", ours)
    bed.stop()
    ready, said = bed.start()
    proof("it starts again on the used database", ready, "" if ready else message(said))
    if ready:
        answer = admin.ask("POST", f"{RBAC}/clusterrolebindings", json.dumps(TO_MASTERS))
        proof("and refuses", refused(answer, MASTERS), answer)
    bed.stop()

    bed.harden("--profile", "cis,strict", "--set", "admission_policies=deny", "--set", "admission_host_paths=deny")
    ready, said = bed.start()
    proof("it starts with one policy more that denies", ready, "" if ready else message(said))
    if ready:
        answer = []
        body = json.dumps(pod("mounts-again", host_path("/etc"), automountServiceAccountToken=False))
        wait(lambda: answer.append(admin.ask("POST", f"{CORE}/namespaces/loose/pods", body)) or answer[-1][0] in (201, 403, 422), 10)
        proof("a host path is refused whatever the namespace's label says", refused(answer[-1], "k3s-harden-host-paths"), answer[-1])
    bed.stop()

    for name, file, change in BROKEN:
        bed.harden("--profile", "cis,strict", "--set", "admission_policies=deny")
        with open(bed.path(f"{FOLDER}/{file}"), encoding="utf-8") as whole:
            text = whole.read()
        broken = change(text)
        assert broken != text, name
        bed.write(f"{FOLDER}/{file}", broken)
        code, verdict, said = bed.preflight()
        proof(f"preflight does not pass {name}", verdict.get("starts") is not True, f"exit {code} starts {verdict.get('starts')} {said if code not in (0, 2) else ''}")
        ready, said = bed.start()
        gone = bed.server.poll() is not None
        bed.stop()
        proof(f"it does not start with {name}", gone and not ready, message(said))


def empty_database(bed, spawn):
    """Puts an empty database in the place of the bed's."""
    bed.kine.kill()
    bed.kine.wait()
    for name in os.listdir(bed.path("run/bed")):
        if name.startswith("state.db") or name == "kine.sock":
            os.unlink(bed.path(f"run/bed/{name}"))
    spawn()
