# SPDX-License-Identifier: Apache-2.0
"""Nodes on which K3s starts or does not: (name, first minor, last minor, starts, what is changed on a hardened node).

`starts` is NOTHING where it starts and preflight has to say that this hardens nothing.

A change is a dictionary: `arguments` for kube-apiserver, added in a drop-in that sorts behind ours; the new text of
`audit` or `psa`, of which None removes the file; or `files` of one's own.
"""

FIRST, LAST = 24, 99
NOTHING = "hardens nothing"

POLICY = "apiVersion: audit.k8s.io/v1\nkind: Policy\n"


def audit(rest, head=POLICY):
    return {"audit": head + rest}


def psa(enforce="restricted", version="latest", namespaces="[kube-system]", more="", plugin="PodSecurity", api="v1"):
    return {
        "psa": f"""apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
- name: {plugin}
  configuration:
    apiVersion: pod-security.admission.config.k8s.io/{api}
    kind: PodSecurityConfiguration
    defaults:
      enforce: {enforce}
      enforce-version: {version}
    exemptions:
      namespaces: {namespaces}
{more}"""
    }


def limits(text):
    more = f"""- name: EventRateLimit
  configuration:
    apiVersion: eventratelimit.admission.k8s.io/v1alpha1
    kind: Configuration
    {text}
"""
    return psa(more=more) | {"arguments": ["enable-admission-plugins=NodeRestriction,EventRateLimit"]}


def argument(*texts):
    return {"arguments": list(texts)}


def encryption(providers):
    text = f"""apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets]
  providers: {providers}
"""
    return {"files": {"etc/encryption.yaml": text}} | argument("encryption-provider-config=/etc/encryption.yaml")


CASES = [
    # Published guides contain these.
    ("EventRateLimit without limits", 25, LAST, False, argument("enable-admission-plugins=NodeRestriction,EventRateLimit")),
    ("the plugin PodSecurityPolicy", 25, LAST, False, argument("enable-admission-plugins=NodeRestriction,PodSecurityPolicy")),
    ("a plugin that nobody has", FIRST, LAST, False, argument("enable-admission-plugins=NodeRestriction,PodSecurityy")),
    ("SecurityContextDeny", 30, LAST, False, argument("enable-admission-plugins=NodeRestriction,SecurityContextDeny")),
    ("insecure-port", FIRST, LAST, False, argument("insecure-port=0")),
    ("kubelet-https", FIRST, LAST, False, argument("kubelet-https=true")),
    ("a misspelt argument", FIRST, LAST, False, argument("audit-log-maxagee=30")),
    ("days as a duration", FIRST, LAST, False, argument("request-timeout=1d")),
    ("a word as a number", FIRST, LAST, False, argument("audit-log-maxage=thirty")),
    ("yes as a boolean", FIRST, LAST, False, argument("service-account-lookup=yes")),
    ("TLS 1.4", FIRST, LAST, False, argument("tls-min-version=VersionTLS14")),
    ("a cipher suite that nobody has", FIRST, LAST, False, argument("tls-cipher-suites=TLS_NONE")),
    ("a feature gate that nobody has", FIRST, LAST, False, argument("feature-gates=Nope=true")),
    ("an authorization mode that nobody has", FIRST, LAST, False, argument("authorization-mode=Node,Rbac")),
    ("no audit policy", FIRST, LAST, False, {"audit": None}),
    ("an empty audit policy", FIRST, LAST, False, {"audit": ""}),
    ("an audit level in small letters", FIRST, LAST, False, audit("rules:\n- level: metadata\n")),
    ("an audit policy without rules", FIRST, LAST, False, audit("rules: []\n")),
    ("an old audit policy", FIRST, LAST, False, audit("rules:\n- level: Metadata\n", "apiVersion: audit.k8s.io/v1beta1\nkind: Policy\n")),
    ("an audit policy that is no YAML", FIRST, LAST, False, audit("rules:\n- level: [Metadata\n")),
    ("an audit stage that nobody has", FIRST, LAST, False, audit("omitStages: [Received]\nrules:\n- level: Metadata\n")),
    ("no admission configuration", 25, LAST, False, {"psa": None}),
    ("a Pod Security level that nobody has", 25, LAST, False, psa(enforce="strict")),
    ("a Pod Security version with a patch", 25, LAST, False, psa(version="v1.30.1")),
    ("a namespace exempt twice", 25, LAST, False, psa(namespaces="[kube-system, kube-system]")),
    ("a namespace that none can be called", 25, LAST, False, psa(namespaces="[Kube_System]")),
    ("an unknown field beside a plugin's name", 30, LAST, False, psa(more="  enabled: true\n")),
    ("a limit of no type", 25, LAST, False, limits("limits: [{type: server, qps: 1, burst: 1}]")),
    ("a limit of nothing", 25, LAST, False, limits("limits: [{type: Server, qps: 0, burst: 1}]")),
    ("encryption without providers", FIRST, LAST, False, encryption("[]")),
    ("encryption with a key that is none", FIRST, LAST, False, encryption("[{aescbc: {keys: [{name: a, secret: short}]}}]")),
    # Nothing is wrong with these, or the server does not say so.
    ("longer audit logs", FIRST, LAST, True, argument("audit-log-maxage=90", "request-timeout=5m")),
    ("an audit policy with an unknown field", FIRST, LAST, NOTHING, audit("rules:\n- level: Metadata\n  verb: [get]\n")),
    ("an audit policy that says nothing", FIRST, LAST, NOTHING, audit("rules:\n- level: None\n")),
    ("two audit policies", FIRST, LAST, NOTHING, audit("rules:\n- level: Metadata\n---\nrules: 1\n")),
    ("a misspelt PodSecurity", 25, LAST, NOTHING, psa(plugin="podSecurity")),
    ("an old PodSecurity", 25, LAST, True, psa(api="v1beta1")),
    ("a Pod Security version to come", 25, LAST, True, psa(version="v1.99")),
    ("limits", 25, LAST, True, limits("limits: [{type: Server, qps: 5, burst: 5}]")),
]


def of(minor):
    """The cases of a minor."""
    number = int(minor.split(".")[1])
    return [(name, starts, change) for name, first, last, starts, change in CASES if first <= number <= last]
