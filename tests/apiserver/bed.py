# SPDX-License-Identifier: Apache-2.0
"""The proofs of run.sh, in its namespaces: bed.py MINOR K3S-HARDEN KUBE-APISERVER KUBECTL KINE BASE."""

import base64
import http.client
import json
import os
import re
import shutil
import signal
import sqlite3
import ssl
import subprocess
import sys
import time

import admission
import anonymous
import cases
import live

MINOR = sys.argv[1]
HARDEN, APISERVER, KUBECTL, KINE = (os.path.abspath(path) for path in sys.argv[2:6])
NUMBER = int(MINOR.split(".")[1])
SERVER = "/var/lib/rancher/k3s/server"
# Nothing but loopback is there; K3s takes the address from the node.
ADDRESS = "--advertise-address=10.1.2.3"
# A flag that only K3s's own build of the API server has.
K3S_ONLY = "--advertise-port="
SITE = "etc/rancher/k3s/config.yaml.d/99-site.yaml"
MARK = "a-value-that-nobody-may-read"
READY_WITHIN = 120
# Of the proofs only those of the policies from files.
POLICIES_ALONE = bool(os.environ.get("K3S_HARDEN_BED_POLICIES"))

passed = failed = 0


def proof(name, holds, why=""):
    """Prints a proof and counts it."""
    global passed, failed
    if holds:
        passed += 1
    else:
        failed += 1
    line = " ".join(str(why).split())
    print(f"{'ok  ' if holds else 'FAIL'} {MINOR}: {name}" + (f": {line[:400]}" if line else ""), flush=True)
    return holds


def run(*command, **more):
    return subprocess.run(command, capture_output=True, text=True, check=False, **more)


def must(*command, **more):
    done = run(*command, **more)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


class Bed:
    """A node: an overlay of / in memory, in this mount namespace only, with keys and certificates as K3s makes them."""

    def __init__(self):
        self.base = sys.argv[6]
        must("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", self.base)
        for name in ("upper", "work", "node", "keys"):
            os.mkdir(f"{self.base}/{name}")
        self.node = f"{self.base}/node"
        layers = f"lowerdir=/,upperdir={self.base}/upper,workdir={self.base}/work"
        must("mount", "-t", "overlay", "-o", layers, "overlay", self.node)
        must("mount", "--rbind", "/dev", f"{self.node}/dev")
        must("mount", "--rbind", "/proc", f"{self.node}/proc")
        must("ip", "link", "set", "lo", "up")
        os.makedirs(self.path("run/bed"))
        for name, source in (("kube-apiserver", APISERVER), ("kubectl", KUBECTL), ("kine", KINE), ("k3s-harden", HARDEN)):
            # The overlay does not show what is mounted below /.
            target = self.path(f"run/bed/{name}")
            open(target, "w").close()
            must("mount", "--bind", source, target)
        self.make_keys()
        self.processes = []
        self.start_kine()

    def start_kine(self):
        """Starts the datastore; its database is empty at first."""
        self.kine = self.spawn(
            "kine", "/run/bed", "/run/bed/kine", "--listen-address", "unix:///run/bed/kine.sock", "--endpoint",
            "sqlite:///run/bed/state.db?_journal=WAL&cache=shared&_busy_timeout=30000", "--metrics-bind-address", "0")
        wait(lambda: os.path.exists(self.path("run/bed/kine.sock")), 30)

    def path(self, path):
        return os.path.join(self.node, path.lstrip("/"))

    def write(self, path, text, mode=0o600):
        os.makedirs(os.path.dirname(self.path(path)), mode=0o755, exist_ok=True)
        with open(self.path(path), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.path(path), mode)

    def make_keys(self):
        """Certificates and keys, named as K3s names them."""
        keys = f"{self.base}/keys"

        def openssl(*arguments):
            must("openssl", *arguments, cwd=keys)

        def key(name):
            openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{name}.key")

        def signed(name, subject, authority, extensions):
            key(name)
            openssl("req", "-new", "-key", f"{name}.key", "-subj", subject, "-out", "request")
            with open(f"{keys}/extensions", "w", encoding="utf-8") as file:
                file.write(extensions)
            openssl("x509", "-req", "-in", "request", "-CA", f"{authority}.crt", "-CAkey", f"{authority}.key",
                    "-CAcreateserial", "-days", "2", "-extfile", "extensions", "-out", f"{name}.crt")

        for authority in ("server-ca", "client-ca", "request-header-ca"):
            key(authority)
            openssl("req", "-x509", "-new", "-key", f"{authority}.key", "-subj", f"/CN={authority}", "-days", "2",
                    "-out", f"{authority}.crt")
        signed("serving-kube-apiserver", "/CN=kube-apiserver", "server-ca",
               "extendedKeyUsage=serverAuth\nsubjectAltName=IP:127.0.0.1,DNS:localhost\n")
        client = "extendedKeyUsage=clientAuth\n"
        signed("client-admin", "/O=system:masters/CN=system:admin", "client-ca", client)
        signed("client-kube-apiserver", "/CN=system:apiserver", "client-ca", client)
        signed("client-auth-proxy", "/CN=system:auth-proxy", "request-header-ca", client)
        signed("alice", "/O=developers/CN=alice", "client-ca", client)
        key("service")
        shutil.copy(f"{keys}/service.key", f"{keys}/service.current.key")

    def harden(self, *arguments):
        """Makes the node new and brings it to the benchmark."""
        for tree in ("etc/rancher", "etc/sysctl.d", "var/lib/rancher", "var/lib/k3s-harden", "etc/k3s-harden", "etc/encryption.yaml"):
            must("rm", "-rf", self.path(tree))
        done = run(HARDEN, "--root", self.node, "apply", "--k3s-version", MINOR, "--role", "server", *arguments)
        if done.returncode:
            sys.exit(f"apply: {done.stdout}{done.stderr}")
        # What K3s itself writes before it starts the API server.
        os.makedirs(self.path(f"{SERVER}/tls/temporary-certs"))
        for name in os.listdir(f"{self.base}/keys"):
            shutil.copy(f"{self.base}/keys/{name}", self.path(f"{SERVER}/tls/{name}"))
        provider = self.encryption_provider()
        key = {"name": f"{provider}key", "secret": base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()}
        self.write(f"{SERVER}/cred/encryption-config.json", json.dumps({
            "kind": "EncryptionConfiguration", "apiVersion": "apiserver.config.k8s.io/v1",
            "resources": [{"resources": ["secrets"], "providers": [{provider: {"keys": [key]}}, {"identity": {}}]}],
        }))
        self.write(f"{SERVER}/etc/egress-selector-config.yaml", json.dumps({
            "kind": "EgressSelectorConfiguration", "apiVersion": "apiserver.k8s.io/v1beta1",
            "egressSelections": [{"name": "cluster", "connection": {"proxyProtocol": "Direct"}}],
        }))
        # K3s runs in its server directory and names the socket relative to it.
        os.symlink("/run/bed/kine.sock", self.path(f"{SERVER}/kine.sock"))

    def change(self, change):
        """Makes one of the cases' changes."""
        if "arguments" in change:
            lines = "".join(f"  - {json.dumps(argument)}\n" for argument in change["arguments"])
            self.write(SITE, f"kube-apiserver-arg+:\n{lines}")
        for name in ("audit", "psa"):
            if name in change:
                path = f"{SERVER}/{name}.yaml"
                if change[name] is None:
                    os.unlink(self.path(path))
                else:
                    self.write(path, change[name])
        for path, text in change.get("files", {}).items():
            self.write(path, text)

    def preflight(self):
        """What preflight says: its exit code and its answer. What is judged is a root, before K3s has been there."""
        done = run(HARDEN, "--root", self.node, "preflight", "--format", "json")
        return done.returncode, json.loads(done.stdout or "{}"), done.stderr

    def effective(self):
        """What effective-config says."""
        return json.loads(must(HARDEN, "--root", self.node, "effective-config", "--format", "json"))

    def encryption_provider(self):
        """What K3s encrypts Secrets with at its first start."""
        return self.effective()["values"].get("secrets-encryption-provider", {}).get("value", "aescbc")

    def arguments(self):
        """The API server's arguments as effective-config predicts them."""
        flags = [flag for flag in self.effective()["components"]["kube-apiserver"] if not flag.startswith(K3S_ONLY)]
        return flags if any(flag.startswith("--advertise-address=") for flag in flags) else [*flags, ADDRESS]

    def spawn(self, log, folder, *command):
        """Starts a program on the node."""
        with open(f"{self.base}/{log}.log", "w", encoding="utf-8") as file:
            inside = ["chroot", self.node, "sh", "-c", 'cd "$0" && exec "$@"', folder, *command]
            process = subprocess.Popen(inside, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env={"PATH": os.environ["PATH"], "HOME": "/run/bed"})
        self.processes.append(process)
        return process

    def start(self, meanwhile=lambda: None):
        """Starts the API server: whether it gets ready, and what it said. `meanwhile` is called until then."""
        process = self.spawn("kube-apiserver", SERVER, "/run/bed/kube-apiserver", *self.arguments())
        admin = Client(self, "client-admin")
        ready = wait(lambda: process.poll() is not None or meanwhile() or admin.is_ready(), READY_WITHIN) and process.poll() is None
        with open(f"{self.base}/kube-apiserver.log", encoding="utf-8", errors="replace") as file:
            said = file.read()
        if not ready and process.poll() is None:
            said = f"neither ready nor gone within {READY_WITHIN} s: {said[-400:]}"
        self.server = process
        return ready, said

    def stop(self):
        """Stops the API server."""
        if self.server.poll() is None:
            self.server.send_signal(signal.SIGTERM)
            try:
                self.server.wait(5)
            except subprocess.TimeoutExpired:
                self.server.kill()
        self.server.wait()

    def end(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()


class Client:
    """Speaks to the API server with a certificate of the bed."""

    def __init__(self, bed, name):
        self.context = ssl.create_default_context(cafile=f"{bed.base}/keys/server-ca.crt")
        # A certificate of openssl without the extensions that newer Pythons ask for.
        self.context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
        self.context.load_cert_chain(f"{bed.base}/keys/{name}.crt", f"{bed.base}/keys/{name}.key")

    def ask(self, method, path, body=None, kind="application/json"):
        return self.warned(method, path, body, kind)[:2]

    def warned(self, method, path, body=None, kind="application/json"):
        """The status, the body and the warnings of an answer."""
        connection = http.client.HTTPSConnection("127.0.0.1", 6444, timeout=20, context=self.context)
        try:
            headers = {"Content-Type": kind, "Accept": "application/json"}
            connection.request(method, path, body.encode() if body else None, headers)
            answer = connection.getresponse()
            warnings = answer.headers.get_all("Warning") or []
            return answer.status, answer.read().decode(errors="replace"), warnings
        finally:
            connection.close()

    def is_ready(self):
        try:
            return self.ask("GET", "/readyz")[0] == 200
        except OSError:
            return False


def wait(until, seconds):
    """Waits until something holds; tells whether it did."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if until():
            return True
        time.sleep(0.1)
    return False


def message(said):
    """The line on which an API server has died."""
    lines = [line for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if re.search(r"command failed|^Error:|\berr=|panic:|^E\d", line)]
    return (telling or lines or ["nothing"])[-1]


RESOURCES = {
    "NetworkPolicy": "networkpolicies", "ServiceAccount": "serviceaccounts", "PodSecurityPolicy": "podsecuritypolicies",
    "ClusterRole": "clusterroles", "ClusterRoleBinding": "clusterrolebindings", "Role": "roles", "RoleBinding": "rolebindings",
}


def prove_policy(bed, admin):
    """Every object of policy.yaml, with strict validation."""
    with open(bed.path(f"{SERVER}/manifests/policy.yaml"), encoding="utf-8") as file:
        documents = [text for text in re.split(r"^---\n", file.read(), flags=re.M) if re.search(r"^kind:", text, flags=re.M)]
    accepted, wrong = 0, []
    for text in documents:
        def field(pattern):
            found = re.search(pattern, text, flags=re.M)
            return found.group(1).strip("\"'") if found else None
        version, kind = field(r"^apiVersion: *(\S+)"), field(r"^kind: *(\S+)")
        name, namespace = field(r"^  name: *(\S+)"), field(r"^  namespace: *(\S+)")
        group = f"/apis/{version}" if "/" in version else f"/api/{version}"
        path = f"{group}/namespaces/{namespace}/{RESOURCES[kind]}" if namespace else f"{group}/{RESOURCES[kind]}"
        query = "?fieldValidation=Strict"
        status, said = admin.ask("POST", path + query, text, "application/yaml")
        if status in (200, 201):
            accepted += 1
        else:
            wrong.append(f"{kind} {namespace}/{name}: {status} {said}")
    proof(f"policy.yaml: {accepted} of {len(documents)} objects are accepted with strict validation", documents and not wrong, "; ".join(wrong))
    strange = documents[0].replace("spec:", "spcec:", 1)
    if NUMBER >= 25:
        status, said = admin.ask("POST", "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies?fieldValidation=Strict", strange, "application/yaml")
        proof("and that validation refuses a misspelt field", status == 400 and "unknown field" in said, f"{status} {said}")


def pod(name, decent):
    container = {"name": "c", "image": "registry.invalid/i"}
    spec = {"containers": [container]}
    if not decent:
        container["securityContext"] = {"privileged": True}
    elif NUMBER >= 25:
        container["securityContext"] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        spec["securityContext"] = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})


def prove_pods(bed, admin):
    """An ordinary user and pods."""
    rules = "/apis/rbac.authorization.k8s.io/v1"
    role = {"metadata": {"name": "makes-pods"}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]}]}
    bound = {"metadata": {"name": "makes-pods"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "makes-pods"},
             "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "alice"}]}
    admin.ask("POST", f"{rules}/clusterroles", json.dumps(role))
    admin.ask("POST", f"{rules}/clusterrolebindings", json.dumps(bound))
    alice, path = Client(bed, "alice"), "/api/v1/namespaces/default/pods"
    # The right to make pods is there once the decent one is let in.
    answers = []
    wait(lambda: answers.append(alice.ask("POST", path, pod("decent", True))) or answers[-1][0] == 201, 10)
    proof("an ordinary user's decent pod is admitted in default", answers[-1][0] == 201, "" if answers[-1][0] == 201 else answers[-1])
    status, said = alice.ask("POST", path, pod("privileged", False))
    why = "PodSecurity" if NUMBER >= 25 else "unable to admit pod"
    text = json.loads(said).get("message", said)
    proof("a privileged pod is refused in default", status == 403 and why in text, f"{status} {text}")
    if NUMBER >= 25:
        status, said = admin.ask("POST", path, pod("privileged", False))
        proof("an administrator's too", status == 403 and why in said, f"{status}")
        status, said = alice.ask("POST", "/api/v1/namespaces/kube-system/pods", pod("privileged", False))
        proof("and is admitted in kube-system", status == 201, "" if status == 201 else f"{status} {said}")


def prove_container(admin):
    """The examples for those who verify from pods: accepted, admitted under the level of their namespace, and under no lower one."""
    namespaces, made = "/api/v1/namespaces", "/api/v1/namespaces/k3s-harden"
    for name, path in (("job", "/apis/batch/v1/namespaces/k3s-harden/jobs"), ("daemonset", "/apis/apps/v1/namespaces/k3s-harden/daemonsets")):
        with open(f"examples/container/verify-{name}.yaml", encoding="utf-8") as file:
            namespace, workload = re.split(r"^---\n", file.read(), flags=re.M)
        status, said = admin.ask("POST", f"{namespaces}?fieldValidation=Strict", namespace, "application/yaml")
        proof(f"verify-{name}.yaml: the namespace is accepted", status == 201 or (name != "job" and status == 409), "" if status in (201, 409) else said)
        # Nothing else makes it here.
        admin.ask("POST", f"{made}/serviceaccounts", json.dumps({"metadata": {"name": "default"}}))
        status, said = admin.ask("POST", f"{path}?fieldValidation=Strict", workload, "application/yaml")
        if not proof(f"verify-{name}.yaml: the workload is accepted with strict validation", status == 201, "" if status == 201 else f"{status} {said}"):
            continue
        one = json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"of-{name}"}, "spec": json.loads(said)["spec"]["template"]["spec"]})
        if NUMBER < 25:
            continue
        for level, admitted in (("baseline", False), ("privileged", True)):
            label = json.dumps({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": level}}})
            admin.ask("PATCH", made, label, "application/merge-patch+json")
            status, said = admin.ask("POST", f"{made}/pods", one)
            right = status == 201 if admitted else status == 403 and "hostPath volumes" in said
            proof(f"verify-{name}.yaml: its pod is {'admitted' if admitted else 'refused'} under {level}", right, "" if right else f"{status} {said}")


def prove_secrets(bed, admin, provider):
    """Secrets in the datastore."""
    name = f"secret-{provider}"
    secret = {"metadata": {"name": name}, "stringData": {"value": MARK}}
    status, said = admin.ask("POST", "/api/v1/namespaces/default/secrets", json.dumps(secret))
    if not proof("a Secret is made", status == 201, "" if status == 201 else said):
        return
    database = sqlite3.connect(bed.path("run/bed/state.db"))
    rows = database.execute("select value from kine where name = ?", (f"/registry/secrets/default/{name}",)).fetchall()
    database.close()
    value = bytes(rows[-1][0]) if rows else b""
    prefix = f"k8s:enc:{provider}:v1:{provider}key:".encode()
    proof(f"it is encrypted in the datastore by {provider}", value.startswith(prefix) and MARK.encode() not in value, value[:len(prefix)])
    status, said = admin.ask("GET", f"/api/v1/namespaces/default/secrets/{name}")
    proof("and can be read", base64.b64encode(MARK.encode()).decode() in said, status)


def prove_secretbox(bed, admin):
    """The setting encryption_provider, on a cluster that has not started: nobody can read what another key encrypted."""
    admission.empty_database(bed, bed.start_kine)
    bed.harden("--set", "encryption_provider=secretbox")
    provider = bed.encryption_provider()
    proof("K3s is told to use secretbox", provider == "secretbox", provider)
    code, verdict, said = bed.preflight()
    proof("preflight passes secretbox", code == 0 and verdict["starts"] is True and not verdict["now"], f"exit {code} {said}")
    ready, said = bed.start()
    if proof("it is ready with secretbox", ready, "" if ready else message(said)):
        prove_secrets(bed, admin, "secretbox")
    bed.stop()
    admission.empty_database(bed, bed.start_kine)


def prove_audit(bed):
    """The audit log."""
    path = bed.path(f"{SERVER}/logs/audit.log")
    if not proof("the audit log is there", os.path.exists(path)):
        return
    with open(path, encoding="utf-8") as file:
        text = file.read()
    events = [json.loads(line) for line in text.splitlines()]
    about = [event for event in events if event.get("objectRef", {}).get("name") == "secret-aescbc" and event["verb"] == "create"]
    proof("it has lines, one about the Secret", bool(about) and all(event["level"] == "Metadata" for event in events), f"{len(events)} events")
    proof("its mode is 0600", oct(os.stat(path).st_mode & 0o7777) == "0o600", oct(os.stat(path).st_mode & 0o7777))
    marks = (MARK, base64.b64encode(MARK.encode()).decode())
    proof("no Secret is in it", not any(mark in text for mark in marks))


def prove_case(bed, name, starts, change):
    """Preflight and the server say the same."""
    bed.harden()
    bed.change(change)
    code, verdict, said = bed.preflight()
    wanted = {True: None, False: "stops", cases.NOTHING: "hardens-nothing"}[starts]
    findings = verdict.get("now", [])
    codes = sorted({found["code"] for found in findings if found["class"] == wanted})
    says = {True: "passes", False: "refuses", cases.NOTHING: "passes, as hardening nothing,"}[starts]
    proof(f"preflight {says} {name}", code == (0 if starts else 2) and (codes or not findings and not wanted),
          f"exit {code}, {', '.join(codes) or findings or 'no finding'} {said if code not in (0, 2) else ''}")
    begin = time.monotonic()
    ready, said = bed.start()
    gone = bed.server.poll() is not None
    bed.stop()
    text = f"{time.monotonic() - begin:.1f} s" if ready else message(said)
    proof(f"it {'starts' if starts else 'does not start'} with {name}", ready if starts else gone and not ready, text)


def main():
    bed = Bed()
    try:
        if NUMBER >= 36:
            admission.prove(bed, Client(bed, "client-admin"), proof, wait, message)
            admission.empty_database(bed, bed.start_kine)
        for profile in ("cis", "cis,strict") if not POLICIES_ALONE else ():
            bed.harden("--profile", profile)
            code, verdict, said = bed.preflight()
            proof(f"preflight passes the profile {profile}", code == 0 and verdict["starts"] is True and not verdict["now"], f"exit {code} {said} {verdict.get('now') or ''}")
            begin = time.monotonic()
            ready, said = bed.start()
            if proof(f"it is ready with the profile {profile}", ready, f"{time.monotonic() - begin:.1f} s" if ready else message(said)) and profile == "cis":
                admin = Client(bed, "client-admin")
                wait(lambda: all(admin.ask("GET", f"/api/v1/namespaces/{name}")[0] == 200 for name in ("default", "kube-system", "kube-public", "kube-node-lease")), 20)
                prove_policy(bed, admin)
                live.prove(bed, admin, MINOR, proof, run)
                prove_pods(bed, admin)
                prove_container(admin)
                prove_secrets(bed, admin, "aescbc")
                prove_audit(bed)
            bed.stop()
            # Where not even that one starts, it proves nothing that others do not.
            if not ready:
                break
        else:
            if NUMBER >= 33:
                prove_secretbox(bed, Client(bed, "client-admin"))
            if NUMBER >= 34:
                anonymous.prove(bed, Client(bed, "client-admin"), proof, must, HARDEN)
            for case in cases.of(MINOR) if not POLICIES_ALONE else ():
                prove_case(bed, *case)
    finally:
        bed.end()
    print(f"{passed} passed, {failed} failed", flush=True)
    sys.exit(failed > 0)


main()
