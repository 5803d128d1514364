# SPDX-License-Identifier: Apache-2.0
"""Who reaches the API server without credentials: with the setting anonymous_health only its three health paths answer, and
a file that forgets `anonymous:` opens the rest."""

import http.client
import os
import ssl

SERVER = "/var/lib/rancher/k3s/server"
HEALTH = ("/livez", "/readyz", "/healthz")
# The server answers these to somebody, or would: one path below, one that is none, and all that RBAC shows to everybody.
OTHERS = ("/", "/version", "/api", "/apis", "/openapi/v2", "/metrics", "/livez/", "/livez/ping", "/readyz/etcd", "/healthz/ping",
          "/api/v1/namespaces", "/api/v1/namespaces/kube-system/secrets", "/nowhere")
FORGETFUL = "/etc/authentication.yaml"


def ask(bed, path, method="GET", **headers):
    """The status of an answer to a client without a certificate."""
    context = ssl.create_default_context(cafile=f"{bed.base}/keys/server-ca.crt")
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    connection = http.client.HTTPSConnection("127.0.0.1", 6444, timeout=20, context=context)
    try:
        connection.request(method, path, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def prove(bed, admin, proof, must, harden):
    """What the anonymous get before, with and without the setting."""
    def closed(name, paths):
        found = {path: ask(bed, path) for path in paths}
        wrong = {path: status for path, status in found.items() if status != 401}
        proof(f"{name}: {len(paths)} paths answer 401 to the anonymous", not wrong, wrong)

    def started(name):
        ready, said = bed.start()
        return proof(f"it is ready {name}", ready, "" if ready else said[-300:])

    file = bed.path(f"{SERVER}/authentication.yaml")
    bed.harden()
    if started("without the setting"):
        closed("without the setting", HEALTH + OTHERS)
    bed.stop()

    must(harden, "--root", bed.node, "apply", "--set", "anonymous_health=true")
    code, verdict, said = bed.preflight()
    proof("preflight passes anonymous_health", code == 0 and verdict["starts"] is True and not verdict["now"], f"exit {code} {said}")
    proof("authentication.yaml has the mode 0600", oct(os.stat(file).st_mode & 0o7777) == "0o600")
    if started("with anonymous_health"):
        found = {path: ask(bed, path) for path in (*HEALTH, "/livez?verbose")}
        proof("the health paths answer the anonymous", set(found.values()) == {200}, found)
        closed("with anonymous_health", OTHERS)
        status = ask(bed, "/livez", Authorization="Bearer nobodys")
        proof("who shows a wrong token is not anonymous", status == 401, status)
        status = ask(bed, "/livez", "POST")
        proof("and nothing can be sent there", status == 403, status)
        proof("an administrator is let in as before", admin.ask("GET", "/version")[0] == 200)
    bed.stop()

    must(harden, "--root", bed.node, "rollback")
    proof("after a rollback authentication.yaml is gone", not os.path.exists(file))
    if started("after a rollback"):
        closed("after a rollback", HEALTH + OTHERS)
    bed.stop()

    bed.harden()
    bed.change({
        "arguments": [f"authentication-config={FORGETFUL}"],
        "files": {FORGETFUL: "apiVersion: apiserver.config.k8s.io/v1beta1\nkind: AuthenticationConfiguration\n"},
    })
    code, verdict, said = bed.preflight()
    codes = [found["code"] for found in verdict.get("now", [])]
    proof("preflight finds the file that forgets the field", code == 0 and codes == ["authentication-anonymous-open"], f"exit {code} {codes} {said}")
    if started("with a file that forgets the field"):
        found = {path: ask(bed, path) for path in ("/version", "/api/v1/namespaces")}
        proof("and the anonymous are let in, and no further than their rights go", list(found.values()) == [200, 403], found)
    bed.stop()
