// SPDX-License-Identifier: Apache-2.0
//! The judges of the benchmark's section 5: by the files before K3s first starts, and by what a cluster answers.
//! Every check is shown to hold on one root and to fail on another. `tests/apiserver` asks a real API server.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use std::fs;
use std::path::Path;
use std::process::Command;

use k3s_harden::k3s::K3sLog;
use k3s_harden::k3s::NodeConfig;
use k3s_harden::mode::Owner;
use k3s_harden::node::{Root, RootedPath};
use k3s_harden::verify::rule::CheckRule;
use k3s_harden::verify::{
    self, Cluster, ControlRule, Kubectl, NodeFacts, ObjectKind, RuleOutcome, RuleResult,
};
use k3s_harden::version::KubernetesMinor;
use k3s_harden::{Result, Role};
use serde_json::{Value, json};

const MANIFEST: &str = "var/lib/rancher/k3s/server/manifests/policy.yaml";
const SECURITY: &str = "var/lib/rancher/k3s/server/psa.yaml";
const SITE: &str = "etc/rancher/k3s/config.yaml.d/99-site.yaml";

/// A root, and what is known of its cluster and its log.
struct Node {
    dir: tempfile::TempDir,
    minor: &'static str,
    cluster: Option<Result<Cluster>>,
    log: Option<String>,
}

impl Node {
    fn empty(minor: &'static str) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), minor, cluster: None, log: None }
    }

    /// What `apply` makes of an empty root.
    fn hardened(minor: &'static str) -> Self {
        let node = Self::empty(minor);
        let from = format!("tests/fixtures/{minor}-server-default/expected/.");
        let mut copy = Command::new("cp");
        assert!(copy.args(["-R", &from]).arg(node.dir.path()).status().unwrap().success());
        node
    }

    fn with(self, path: &str, text: &str) -> Self {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn without(self, path: &str) -> Self {
        fs::remove_file(self.dir.path().join(path)).unwrap();
        self
    }

    /// Replaces a text in a file, in which it has to be.
    fn changed(self, path: &str, from: &str, to: &str) -> Self {
        let text = fs::read_to_string(self.dir.path().join(path)).unwrap();
        assert!(text.contains(from), "{path} has no {from:?}");
        self.with(path, &text.replace(from, to))
    }

    fn running(mut self, cluster: Cluster) -> Self {
        self.cluster = Some(Ok(cluster));
        self.log.get_or_insert_with(|| "Running kube-apiserver --x=y".to_owned());
        self
    }

    fn logged(mut self, line: &str) -> Self {
        self.log = Some(line.to_owned());
        self
    }

    fn judge(self, judge: &str, about: &str) -> RuleResult {
        let root = Root::open(self.dir.path()).unwrap();
        let data_dir: RootedPath = "/var/lib/rancher/k3s".parse().unwrap();
        let judged =
            NodeConfig::read(&root, Role::Server, self.minor.parse::<KubernetesMinor>().unwrap(), &data_dir)
                .unwrap();
        let journal = self.log.map_or_else(K3sLog::default, |text| K3sLog::new(text, "/var/log/k3s.log"));
        let mut facts = NodeFacts::new(judged, Owner::ROOT, journal);
        facts.cluster = self.cluster;
        let about = (!about.is_empty()).then(|| about.to_owned());
        let judgement =
            verify::evaluate_rule(&facts, &ControlRule::Check(CheckRule { name: judge.to_owned(), about }));
        if judgement.outcome == RuleOutcome::Met {
            assert!(!judgement.evidence.is_empty(), "{judge} is met without evidence");
        }
        judgement
    }

    fn outcome(self, judge: &str, about: &str) -> RuleOutcome {
        self.judge(judge, about).outcome
    }
}

/// A judgement's evidence, a line each.
fn shown(judgement: &RuleResult) -> String {
    let line = |evidence: &verify::Evidence| match &evidence.place {
        Some(place) => format!("{place}: {}\n", evidence.text),
        None => format!("{}\n", evidence.text),
    };
    let lines: String = judgement.evidence.iter().map(line).collect();
    format!("{:?}: {}\n{lines}", judgement.outcome, judgement.actual)
}

/// What pods may ask for, with the lowest level that forbids it.
const CHECKS: [(&str, &str); 14] = [
    ("any", "baseline"),
    ("privileged", "baseline"),
    ("host-pid", "baseline"),
    ("host-ipc", "baseline"),
    ("host-network", "baseline"),
    ("privilege-escalation", "restricted"),
    ("root", "restricted"),
    ("net-raw", "restricted"),
    ("added-capabilities", "baseline"),
    ("capabilities", "restricted"),
    ("host-process", "baseline"),
    ("host-path", "baseline"),
    ("host-ports", "baseline"),
    ("unmasked-proc", "baseline"),
];

#[test]
fn a_level_forbids_what_the_standards_say() {
    for (about, least) in CHECKS {
        for (level, met) in [("restricted", true), ("baseline", least == "baseline"), ("privileged", false)] {
            let node = Node::hardened("1.33").changed(
                SECURITY,
                "enforce: \"restricted\"",
                &format!("enforce: {level}"),
            );
            let judgement = node.judge("pod-security", about);
            let wanted = if met { RuleOutcome::Met } else { RuleOutcome::NotMet };
            assert_eq!(judgement.outcome, wanted, "{about} by {level}: {}", shown(&judgement));
        }
    }
}

#[test]
fn an_old_version_of_a_level_forbids_less() {
    for (about, version, met) in [
        ("capabilities", "v1.21", false),
        ("capabilities", "v1.22", true),
        ("net-raw", "v1.21", false),
        ("privilege-escalation", "v1.7", false),
        ("privilege-escalation", "v1.8", true),
        ("privileged", "v1.0", true),
    ] {
        let version_is = format!("enforce-version: {version}");
        let node = Node::hardened("1.33").changed(SECURITY, "enforce-version: \"latest\"", &version_is);
        let wanted = if met { RuleOutcome::Met } else { RuleOutcome::NotMet };
        assert_eq!(node.outcome("pod-security", about), wanted, "{about} {version}");
    }
}

/// Since 1.35 baseline admits an unmasked /proc in user namespaces, and only restricted forbids it.
#[test]
fn a_newer_version_of_a_level_may_forbid_less() {
    for (minor, level, version, met) in [
        ("1.33", "baseline", "latest", true),
        ("1.33", "baseline", "v1.35", true),
        ("1.35", "baseline", "latest", false),
        ("1.37", "baseline", "v1.34", true),
        ("1.37", "baseline", "v1.99", false),
        ("1.37", "restricted", "latest", true),
    ] {
        let node = Node::hardened(minor)
            .changed(SECURITY, "enforce: \"restricted\"", &format!("enforce: {level}"))
            .changed(SECURITY, "enforce-version: \"latest\"", &format!("enforce-version: {version}"));
        let wanted = if met { RuleOutcome::Met } else { RuleOutcome::NotMet };
        let judgement = node.judge("pod-security", "unmasked-proc");
        assert_eq!(judgement.outcome, wanted, "{minor} {level} {version}: {}", shown(&judgement));
    }
    for (minor, said) in [("1.33", false), ("1.35", true)] {
        let judgement = Node::hardened(minor).judge("pod-security", "root");
        assert_eq!(judgement.outcome, RuleOutcome::Met);
        assert_eq!(shown(&judgement).contains("hostUsers: false"), said, "{minor}: {}", shown(&judgement));
    }
}

/// What is said where one namespace is held to less; those that are exempt by default are said too.
const WEAKER_IN_SHOP: &str = "weaker in shop, but not for compliance-operator-system, cis-operator-system";

#[test]
fn pods_are_judged_by_what_the_api_server_reads() {
    let judge = |node: Node| node.judge("pod-security", "privileged");
    let hardened = judge(Node::hardened("1.33"));
    assert_eq!(
        shown(&hardened),
        "Met: restricted, but not for compliance-operator-system, cis-operator-system\n\
         /var/lib/rancher/k3s/server/psa.yaml:12:18: defaults.enforce is restricted\n\
         /var/lib/rancher/k3s/server/psa.yaml:22:11: exemptions.namespaces has kube-system, compliance-operator-system, cis-operator-system\n"
    );
    // By default Kubernetes admits any pod.
    let bare = judge(Node::empty("1.33"));
    assert_eq!(bare.outcome, RuleOutcome::NotMet);
    assert!(shown(&bare).contains("Kubernetes admits any pod by default"), "{}", shown(&bare));
    // The file alone is not enough, and another one may be named.
    let no_flag = Node::hardened("1.33").with(SITE, "kube-apiserver-arg: []\n");
    assert_eq!(judge(no_flag).outcome, RuleOutcome::NotMet);
    let other = Node::hardened("1.33")
        .with(SITE, "kube-apiserver-arg+:\n- admission-control-config-file=/etc/other.yaml\n")
        .with("etc/other.yaml", "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\n");
    assert_eq!(judge(other).outcome, RuleOutcome::NotMet);
    let off =
        Node::hardened("1.33").with(SITE, "kube-apiserver-arg+:\n- disable-admission-plugins=PodSecurity\n");
    let off = judge(off);
    assert_eq!(off.outcome, RuleOutcome::NotMet);
    assert_eq!(off.evidence[0].place.as_ref().unwrap().to_string(), format!("/{SITE}:2:3"));
    // Before 1.25 it has a feature gate, which may be off.
    for (gates, met) in
        [("PodSecurity=false", false), ("AllBeta=0", false), ("AllBeta=0,PodSecurity=1", true)]
    {
        let arguments = format!(
            "kube-apiserver-arg: ['admission-control-config-file=/psa.yaml', 'feature-gates={gates}']\n"
        );
        let node = Node::empty("1.24").with(SITE, &arguments).with(
            "psa.yaml",
            "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n- name: PodSecurity\n  configuration:\n    apiVersion: pod-security.admission.config.k8s.io/v1beta1\n    kind: PodSecurityConfiguration\n    defaults: {enforce: restricted}\n",
        );
        assert_eq!(judge(node).outcome == RuleOutcome::Met, met, "{gates}");
    }
    // What the API server does not start on is not known to be enforced.
    let broken =
        judge(Node::hardened("1.33").changed(SECURITY, "enforce: \"restricted\"", "enforce: strict"));
    assert_eq!(broken.outcome, RuleOutcome::Unknown);
    assert!(broken.evidence[0].place.is_some());
    assert_eq!(judge(Node::hardened("1.33").without(SECURITY)).outcome, RuleOutcome::Unknown);
    assert_eq!(Node::hardened("1.33").outcome("pod-security", "no-such-thing"), RuleOutcome::Unknown);
}

#[test]
fn exemptions_are_said_and_that_of_default_decides() {
    let exempt = |names: &str| {
        let node = Node::hardened("1.33").changed(SECURITY, "          - \"kube-system\"\n", names);
        node.judge("pod-security", "privileged")
    };
    let others = exempt("          - kube-system\n          - shop\n          - tools\n");
    assert_eq!(
        (others.outcome, others.actual.as_str()),
        (
            RuleOutcome::Met,
            "restricted, but not for shop, tools, compliance-operator-system, cis-operator-system"
        )
    );
    assert_eq!(exempt("          - kube-system\n          - default\n").outcome, RuleOutcome::NotMet);
    let user = Node::hardened("1.33").changed(SECURITY, "usernames: []", "usernames: [alice]");
    let user = user.judge("pod-security", "privileged");
    assert_eq!(
        (user.outcome, user.actual.as_str()),
        (
            RuleOutcome::Met,
            "restricted, but not for compliance-operator-system, cis-operator-system, nor for the user alice"
        )
    );
    // Whoever makes a ReplicaSet has its pods made by the controller, and a runtime class anybody may ask for.
    let controller = "[\"system:serviceaccount:kube-system:replicaset-controller\"]";
    for (field, names) in [("usernames", controller), ("runtimeClasses", "[crun]")] {
        let node =
            Node::hardened("1.33").changed(SECURITY, &format!("{field}: []"), &format!("{field}: {names}"));
        let judgement = node.judge("pod-security", "privileged");
        assert_eq!(judgement.outcome, RuleOutcome::NotMet, "{field}: {}", shown(&judgement));
    }
}

#[test]
fn a_running_api_server_is_judged_by_its_arguments() {
    let judge = |log: &str| Node::hardened("1.33").logged(log).outcome("pod-security", "privileged");
    let with = "Running kube-apiserver --admission-control-config-file=/var/lib/rancher/k3s/server/psa.yaml";
    assert_eq!(judge(with), RuleOutcome::Met);
    assert_eq!(judge("Running kube-apiserver --secure-port=6444"), RuleOutcome::NotMet);
    assert_eq!(judge("Running kube-scheduler --secure-port=6444"), RuleOutcome::Unknown);
}

#[test]
fn a_label_that_a_manifest_sets_counts_more() {
    let namespace = |level: &str| {
        format!(
            "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n  labels: {{pod-security.kubernetes.io/enforce: {level}}}\n"
        )
    };
    let with = |level: &str| {
        let path = "var/lib/rancher/k3s/server/manifests/shop.yaml";
        Node::hardened("1.33").with(path, &namespace(level)).judge("pod-security", "root")
    };
    assert_eq!(with("restricted").outcome, RuleOutcome::Met);
    // Also once K3s has started, which applies its manifests again and again.
    let started = Node::hardened("1.33")
        .with("var/lib/rancher/k3s/server/manifests/shop.yaml", &namespace("baseline"))
        .logged(
            "Running kube-apiserver --admission-control-config-file=/var/lib/rancher/k3s/server/psa.yaml",
        );
    assert_eq!(started.outcome("pod-security", "root"), RuleOutcome::NotMet);
    // K3s's own namespace may be labelled instead of exempt.
    let system = Node::hardened("1.33")
        .changed(SECURITY, "          - \"kube-system\"\n", "          - tools\n")
        .with(
            "var/lib/rancher/k3s/server/manifests/system.yaml",
            &namespace("privileged").replace("name: shop", "name: kube-system"),
        );
    assert_eq!(system.outcome("pod-security", "root"), RuleOutcome::Met);
    let weak = with("baseline");
    assert_eq!((weak.outcome, weak.actual.as_str()), (RuleOutcome::NotMet, WEAKER_IN_SHOP));
    assert!(
        shown(&weak).contains("manifests/shop.yaml:1:1: the labels of the namespace shop"),
        "{}",
        shown(&weak)
    );
}

/// Kubernetes 1.24: what the policy `restricted-psp` says decides.
#[test]
fn policies_of_old_minors_forbid_what_they_say() {
    for (about, from, to) in [
        ("any", "privileged: false", "privileged: true"),
        ("privileged", "privileged: false", "privileged: true"),
        ("host-pid", "hostPID: false", "hostPID: true"),
        ("host-ipc", "hostIPC: false", "hostIPC: true"),
        ("host-network", "hostNetwork: false", "hostNetwork: true"),
        ("host-process", "hostNetwork: false", "hostNetwork: true"),
        ("privilege-escalation", "allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true"),
        ("root", "rule: MustRunAsNonRoot", "rule: RunAsAny"),
        ("net-raw", "requiredDropCapabilities: [ALL]", "requiredDropCapabilities: [CHOWN]"),
        ("capabilities", "requiredDropCapabilities: [ALL]", "requiredDropCapabilities: [NET_RAW]"),
        ("added-capabilities", "requiredDropCapabilities: [ALL]", "allowedCapabilities: [SYS_ADMIN]"),
        ("host-path", "volumes: [configMap,", "volumes: [hostPath, configMap,"),
        ("host-ports", "hostIPC: false", "hostPorts: [{min: 80, max: 80}]"),
        ("unmasked-proc", "hostIPC: false", "allowedProcMountTypes: [Unmasked]"),
    ] {
        let strict = Node::hardened("1.24").judge("pod-security", about);
        assert_eq!(strict.outcome, RuleOutcome::Met, "{about}: {}", shown(&strict));
        let open = Node::hardened("1.24").changed(MANIFEST, from, to).judge("pod-security", about);
        assert_eq!(open.outcome, RuleOutcome::NotMet, "{about}: {}", shown(&open));
        assert!(open.actual.contains("anybody may use restricted-psp"), "{about}: {}", shown(&open));
    }
}

#[test]
fn policies_without_their_plugin_forbid_nothing() {
    let off = Node::hardened("1.24").with(SITE, "kube-apiserver-arg: []\n");
    assert_eq!(off.outcome("pod-security", "privileged"), RuleOutcome::NotMet);
    let none = Node::hardened("1.24").without(MANIFEST);
    assert_eq!(none.outcome("pod-security", "privileged"), RuleOutcome::NotMet);
    // A lax one beside it, which everybody may use, undoes the strict one.
    let lax = Node::hardened("1.24").changed(
        MANIFEST,
        "    resourceNames: [\"restricted-psp\"]\n",
        "    resourceNames: [\"system-unrestricted-psp\"]\n",
    );
    assert_eq!(lax.outcome("pod-security", "privileged"), RuleOutcome::NotMet);
    // 1.25 serves none.
    let new = Node::empty("1.25").with(MANIFEST, &fs::read_to_string(policy_of("1.24")).unwrap());
    assert_eq!(new.outcome("pod-security", "privileged"), RuleOutcome::NotMet);
}

fn policy_of(minor: &str) -> String {
    format!("tests/fixtures/{minor}-server-default/expected/{MANIFEST}")
}

#[test]
fn every_namespace_needs_a_network_policy_that_something_enforces() {
    let judge = |node: Node| node.judge("network-policies", "");
    let hardened = judge(Node::hardened("1.33"));
    assert_eq!(hardened.outcome, RuleOutcome::Met, "{}", shown(&hardened));
    let places = hardened.evidence.iter().filter(|evidence| evidence.place.is_some()).count();
    assert_eq!((hardened.evidence.len(), places), (5, 4), "{}", shown(&hardened));
    let none = judge(Node::empty("1.33"));
    assert_eq!(none.actual, "none in default, kube-system, kube-public, kube-node-lease");
    let one =
        judge(Node::hardened("1.33").changed(MANIFEST, "namespace: \"kube-public\"", "namespace: \"shop\""));
    assert_eq!((one.outcome, one.actual.as_str()), (RuleOutcome::NotMet, "none in kube-public"));
    // A namespace that a manifest makes needs one too.
    let made = "var/lib/rancher/k3s/server/manifests/a.json";
    let made = Node::hardened("1.33")
        .with(made, r#"{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}"#);
    assert_eq!(judge(made).actual, "none in shop");
    // What K3s does not apply does not count.
    let skipped = Node::hardened("1.33").with(&format!("{MANIFEST}.skip"), "");
    assert_eq!(judge(skipped).outcome, RuleOutcome::NotMet);
    for value in ["policy", "[traefik, policy]", "\"traefik,policy\""] {
        let disabled = Node::hardened("1.33").with(SITE, &format!("disable: {value}\n"));
        assert_eq!(judge(disabled).outcome, RuleOutcome::NotMet, "{value}");
    }
    assert_eq!(judge(Node::hardened("1.33").with(SITE, "disable: traefik\n")).outcome, RuleOutcome::Met);
    let broken = Node::hardened("1.33").changed(MANIFEST, "kind: ServiceAccount", "knd: ServiceAccount");
    assert_eq!(judge(broken).outcome, RuleOutcome::NotMet);
    let old = Node::hardened("1.33").changed(MANIFEST, "networking.k8s.io/v1", "extensions/v1beta1");
    assert_eq!(judge(old).outcome, RuleOutcome::NotMet);
    // Nothing enforces them.
    let off = judge(Node::hardened("1.33").with(SITE, "disable-network-policy: true\n"));
    assert_eq!(
        (off.outcome, off.actual.as_str()),
        (RuleOutcome::NotMet, "nothing enforces network policies")
    );
    assert_eq!(off.evidence[0].place.as_ref().unwrap().to_string(), format!("/{SITE}:1:25"));
    let other = || Node::hardened("1.33").with(SITE, OTHER_CNI);
    let unknown = judge(other());
    assert_eq!(unknown.outcome, RuleOutcome::Unknown, "{}", shown(&unknown));
    assert!(unknown.actual.starts_with("every namespace has one; who enforces them: it is not known"));
    assert_eq!(judge(other().with(CALICO, CALICO_TEXT)).outcome, RuleOutcome::Met);
    assert_eq!(judge(other().with(CALICO, CALICO_TEXT).without(MANIFEST)).outcome, RuleOutcome::NotMet);
    // A cluster may have more namespaces than the manifests.
    assert_eq!(judge(Node::hardened("1.33").logged("")).outcome, RuleOutcome::Unknown);
}

const OTHER_CNI: &str = "disable-network-policy: true\nflannel-backend: none\n";
const CALICO: &str = "etc/cni/net.d/10-calico.conflist";
const CALICO_TEXT: &str =
    r#"{"name": "k8s-pod-network", "plugins": [{"type": "calico"}, {"type": "portmap"}]}"#;
const FLANNEL_FOLDER: &str = "var/lib/rancher/k3s/agent/etc/cni/net.d";

#[test]
fn something_has_to_enforce_network_policies() {
    let judge = |text: &str| Node::empty("1.33").with(SITE, text).outcome("cni", "");
    assert_eq!(judge(""), RuleOutcome::Met);
    assert_eq!(judge("flannel-backend: host-gw\n"), RuleOutcome::Met);
    assert_eq!(judge("disable-network-policy: true\n"), RuleOutcome::NotMet);
    assert_eq!(judge(OTHER_CNI), RuleOutcome::Unknown);
    // Its own controller filters in iptables, through which a CNI that nobody knows yet may send nothing.
    assert_eq!(judge("flannel-backend: none\n"), RuleOutcome::Unknown);
    // The agents run it.
    assert_eq!(judge("disable-agent: true\n"), RuleOutcome::Met);
    assert_eq!(judge("disable-agent: true\ndisable-network-policy: true\n"), RuleOutcome::NotMet);
    assert_eq!(judge("disable-agent: true\nflannel-backend: none\n"), RuleOutcome::Unknown);
    // K3s cannot read its configuration.
    assert_eq!(judge("disable-network-policy: [\n"), RuleOutcome::Unknown);
}

#[test]
fn the_first_configuration_of_a_cni_says_who_enforces() {
    let plugin = |text: &str| format!(r#"{{"plugins": [{{"type": "{text}"}}]}}"#);
    let judge = |config: &str, files: &[(&str, &str)]| {
        let node = Node::empty("1.33").with(SITE, config);
        files.iter().fold(node, |node, (path, text)| node.with(path, text)).judge("cni", "")
    };
    let cni = |name: &str, text: &str| judge(OTHER_CNI, &[(&format!("etc/cni/net.d/{name}"), text)]);
    for (name, text, outcome, actual) in [
        ("10-calico.conflist", CALICO_TEXT, RuleOutcome::Met, "Calico does"),
        ("05-cilium.conflist", &plugin("cilium-cni"), RuleOutcome::Met, "Cilium does"),
        ("05-cilium.conf", r#"{"type": "cilium-cni"}"#, RuleOutcome::Met, "Cilium does"),
        ("10-weave.conflist", &plugin("weave-net"), RuleOutcome::Met, "Weave Net does"),
        ("10-antrea.conflist", &plugin("antrea"), RuleOutcome::Met, "Antrea does"),
        ("10-flannel.conflist", &plugin("flannel"), RuleOutcome::NotMet, "nothing does"),
        ("10-bridge.json", r#"{"type": "bridge", "bridge": "cni0"}"#, RuleOutcome::NotMet, "nothing does"),
    ] {
        let found = cni(name, text);
        assert_eq!((found.outcome, found.actual.as_str()), (outcome, actual), "{name}: {}", shown(&found));
        assert!(found.evidence.iter().any(|one| one.place.as_ref().unwrap().file.ends_with(name)), "{name}");
    }
    // What is not known, and what containerd cannot read, is named with its file.
    for (name, text) in [
        ("10-mystery.conflist", plugin("mystery").as_str()),
        ("10-router.conf", r#"{"type": "bridge", "bridge": "kube-bridge"}"#),
        ("10-broken.conflist", "{"),
        ("10-empty.conflist", r#"{"plugins": []}"#),
        ("10-list.conf", &plugin("calico")),
        ("00-multus.conf", r#"{"type": "multus"}"#),
    ] {
        let found = cni(name, text);
        assert_eq!(found.outcome, RuleOutcome::Unknown, "{name}: {}", shown(&found));
        assert!(found.actual.contains(&format!("/etc/cni/net.d/{name}")), "{name}: {}", found.actual);
    }
    // The first by its name counts, and a name with another ending does not.
    let both = |first: &str| {
        let first = format!("etc/cni/net.d/{first}");
        judge(OTHER_CNI, &[(CALICO, CALICO_TEXT), (&first, &plugin("mystery"))]).outcome
    };
    assert_eq!(both("05-mystery.conflist"), RuleOutcome::Unknown);
    assert_eq!(both("05-mystery.conflist.bak"), RuleOutcome::Met);
    assert_eq!(both("20-mystery.conflist"), RuleOutcome::Met);
    // Multus hands the pods on.
    let delegates = r#"{"type": "multus", "delegates": [{"name": "a", "plugins": [{"type": "calico"}]}]}"#;
    assert_eq!(cni("00-multus.conf", delegates).outcome, RuleOutcome::Met);
    // What it names counts more.
    let both = delegates.replace("\"delegates\"", "\"clusterNetwork\": \"crd\", \"delegates\"");
    assert_eq!(cni("00-multus.conf", &both).outcome, RuleOutcome::Unknown);
    let named = r#"{"type": "multus-shim", "clusterNetwork": "/host/etc/cni/net.d/10-calico.conflist"}"#;
    let multus = ("etc/cni/net.d/00-multus.conf", named);
    assert_eq!(judge(OTHER_CNI, &[(CALICO, CALICO_TEXT), multus]).outcome, RuleOutcome::Met);
    assert_eq!(judge(OTHER_CNI, &[multus]).outcome, RuleOutcome::Unknown);
    // With flannel containerd reads K3s's own folder, and nothing of the other.
    let off = "disable-network-policy: true\n";
    assert_eq!(judge(off, &[(CALICO, CALICO_TEXT)]).outcome, RuleOutcome::NotMet);
    let own = |config: &str, text: &str| {
        judge(config, &[(&format!("{FLANNEL_FOLDER}/10-x.conflist"), text)]).outcome
    };
    assert_eq!(own(off, CALICO_TEXT), RuleOutcome::Met);
    assert_eq!(own("", &plugin("flannel")), RuleOutcome::Met);
    assert_eq!(own("", &plugin("mystery")), RuleOutcome::Unknown);
    // K3s copies a file of the user's there.
    let named = "disable-network-policy: true\nflannel-cni-conf: /etc/cni/net.d/10-calico.conflist\n";
    assert_eq!(judge(named, &[(CALICO, CALICO_TEXT)]).outcome, RuleOutcome::Met);
    assert_eq!(judge(named, &[]).outcome, RuleOutcome::Unknown);
    let mystery = (format!("{FLANNEL_FOLDER}/05-x.conf"), r#"{"type": "mystery"}"#);
    let first = [(CALICO, CALICO_TEXT), (mystery.0.as_str(), mystery.1)];
    assert_eq!(judge(named, &first).outcome, RuleOutcome::Unknown);
    // A template of containerd's configuration may name another folder.
    let template = "var/lib/rancher/k3s/agent/etc/containerd/config.toml.tmpl";
    let with_template = |text: &str| judge(OTHER_CNI, &[(CALICO, CALICO_TEXT), (template, text)]);
    let moved = with_template("[plugins.cri.cni]\n  conf_dir = \"/opt/net.d\"\n");
    assert_eq!(moved.outcome, RuleOutcome::Unknown);
    assert!(moved.actual.contains("config.toml.tmpl:2:1"), "{}", moved.actual);
    let stock = "{{ template \"base\" . }}\n# conf_dir = \"/opt\"\n  conf_dir = \"{{ .NodeConfig.AgentConfig.CNIConfDir }}\"\n";
    assert_eq!(with_template(stock).outcome, RuleOutcome::Met);
}

#[test]
fn k3s_says_in_its_log_that_its_controller_does_not_start() {
    let skipped =
        "time=\"x\" level=warning msg=\"Skipping network policy controller start, ipset unavailable: no\"";
    let started =
        "time=\"x\" level=info msg=\"Starting network policy controller version v2.6.0, built on x\"";
    let judge = |lines: &[&str]| Node::empty("1.33").logged(&lines.join("\n")).judge("cni", "");
    let found = judge(&[started, skipped]);
    assert_eq!((found.outcome, found.actual.as_str()), (RuleOutcome::NotMet, "nothing does"));
    assert!(
        found.evidence.iter().any(|one| one.place.as_ref().unwrap().to_string() == "/var/log/k3s.log:2:1")
    );
    assert_eq!(judge(&[skipped, started]).outcome, RuleOutcome::Met);
    assert_eq!(
        judge(&["WARN[0007] Skipping network policy controller start, ipset save failed: no"]).outcome,
        RuleOutcome::NotMet
    );
    // A text of somebody else's in the log is not K3s'.
    let quoted = "level=info msg=\"probe said: Starting network policy controller version v9\"";
    assert_eq!(judge(&[skipped, quoted]).outcome, RuleOutcome::NotMet);
    assert_eq!(
        judge(&[started, "msg=\"a pod prints Skipping network policy controller start\""]).outcome,
        RuleOutcome::Met
    );
}

#[test]
fn a_cluster_says_whether_its_cni_runs() {
    let set = |name: &str, container: &str, args: &[&str], ready: u64| {
        json!({
            "metadata": meta(name, "kube-system"),
            "spec": {"template": {"spec": {"containers": [
                {"name": "install", "args": []},
                {"name": container, "args": args},
            ]}}},
            "status": {"desiredNumberScheduled": 2, "numberReady": ready},
        })
    };
    let calico = |ready| set("calico-node", "calico-node", &[], ready);
    let judge = |config: &str, file: Option<&str>, sets: Vec<Value>| {
        let node = Node::empty("1.33").with(SITE, config).running(cluster_with(ObjectKind::DaemonSet, sets));
        file.into_iter().fold(node, |node, text| node.with(CALICO, text)).judge("cni", "")
    };
    let file = Some(CALICO_TEXT);
    assert_eq!(judge(OTHER_CNI, file, vec![calico(2)]).outcome, RuleOutcome::Met);
    // Canal has the same container, under another name.
    assert_eq!(judge(OTHER_CNI, file, vec![set("canal", "calico-node", &[], 2)]).outcome, RuleOutcome::Met);
    let partly = judge(OTHER_CNI, file, vec![calico(1)]);
    assert_eq!(partly.outcome, RuleOutcome::Unknown);
    assert!(partly.actual.contains("ready on 1 of 2 nodes"), "{}", partly.actual);
    let left_over = judge(OTHER_CNI, file, vec![]);
    assert_eq!(left_over.outcome, RuleOutcome::Unknown);
    assert!(left_over.actual.contains("may be left over"), "{}", left_over.actual);
    // Another network than the one that wires the pods does not count.
    let cilium = |args: &[&str]| set("cilium", "cilium-agent", args, 2);
    assert_eq!(judge(OTHER_CNI, file, vec![cilium(&[])]).outcome, RuleOutcome::Unknown);
    // Where nothing on the node says what wires them, the cluster does.
    assert_eq!(judge(OTHER_CNI, None, vec![cilium(&[])]).outcome, RuleOutcome::Met);
    assert_eq!(
        judge(OTHER_CNI, None, vec![cilium(&["--enable-policy=never"])]).outcome,
        RuleOutcome::Unknown
    );
    assert_eq!(judge(OTHER_CNI, None, vec![set("mystery", "mystery", &[], 2)]).outcome, RuleOutcome::Unknown);
    // kube-router's firewall filters whatever wires them.
    let router = |args: &[&str]| set("kube-router", "kube-router", args, 2);
    let bridge = Some(r#"{"plugins": [{"type": "bridge", "bridge": "kube-bridge"}]}"#);
    assert_eq!(judge(OTHER_CNI, bridge, vec![router(&["--run-firewall=true"])]).outcome, RuleOutcome::Met);
    assert_eq!(
        judge(OTHER_CNI, bridge, vec![router(&["--run-firewall=false"])]).outcome,
        RuleOutcome::Unknown
    );
    let off = "disable-network-policy: true\n";
    assert_eq!(judge(off, None, vec![router(&[])]).outcome, RuleOutcome::Met);
    assert_eq!(judge(off, None, vec![router(&["--run-firewall=false"])]).outcome, RuleOutcome::NotMet);
    assert_eq!(judge(off, None, vec![calico(2)]).outcome, RuleOutcome::NotMet);
    // K3s's own controller needs no DaemonSet.
    assert_eq!(judge("", None, vec![]).outcome, RuleOutcome::Met);
}

#[test]
fn default_service_accounts_mount_no_token() {
    let judge = |node: Node| node.judge("default-service-accounts", "");
    let hardened = judge(Node::hardened("1.33"));
    assert_eq!((hardened.outcome, hardened.evidence.len()), (RuleOutcome::Met, 4), "{}", shown(&hardened));
    assert!(hardened.evidence.iter().all(|evidence| evidence.place.is_some()));
    assert_eq!(judge(Node::empty("1.33")).outcome, RuleOutcome::NotMet);
    let on = judge(Node::hardened("1.33").changed(MANIFEST, "Token: false", "Token: true"));
    assert_eq!(on.actual, "not in default, kube-system, kube-public, kube-node-lease");
    // Of two manifests the one that mounts is seen.
    let twice = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: default, namespace: kube-public}\n";
    let twice = judge(Node::hardened("1.33").with("var/lib/rancher/k3s/server/manifests/z.yml", twice));
    assert_eq!((twice.outcome, twice.actual.as_str()), (RuleOutcome::NotMet, "not in kube-public"));
    assert_eq!(judge(Node::hardened("1.33").logged("")).outcome, RuleOutcome::Unknown);
}

/// What only a cluster tells.
const OF_A_CLUSTER: [(&str, &str); 17] = [
    ("rbac", "cluster-admin"),
    ("rbac", "secrets"),
    ("rbac", "wildcards"),
    ("rbac", "create-pods"),
    ("rbac", "system-masters"),
    ("rbac", "bind-impersonate-escalate"),
    ("rbac", "persistent-volumes"),
    ("rbac", "nodes-proxy"),
    ("rbac", "csr-approval"),
    ("rbac", "webhooks"),
    ("rbac", "service-account-tokens"),
    ("rbac", "automount"),
    ("secrets-as-files", ""),
    ("namespaces", ""),
    ("seccomp", ""),
    ("security-contexts", ""),
    ("default-namespace", ""),
];

#[test]
fn without_a_cluster_a_person_has_to_look() {
    for (judge, about) in OF_A_CLUSTER {
        let judgement = Node::hardened("1.33").judge(judge, about);
        assert_eq!(judgement.outcome, RuleOutcome::Manual, "{judge} {about}");
        assert!(!judgement.expected.is_empty(), "{judge} {about}");
    }
}

#[test]
fn what_a_cluster_does_not_tell_is_unknown() {
    let said =
        "Error from server (Forbidden): pods is forbidden: User \"alice\" cannot list resource \"pods\"";
    let nothing = || {
        ObjectKind::ALL.into_iter().fold(Cluster::default(), |all, kind| all.with(kind, Err(said.to_owned())))
    };
    let live = [("pod-security", "privileged"), ("network-policies", ""), ("default-service-accounts", "")];
    for (judge, about) in OF_A_CLUSTER.into_iter().chain(live) {
        for cluster in [Cluster::default(), nothing()] {
            let told = cluster != Cluster::default();
            let judgement = Node::hardened("1.33").running(cluster).judge(judge, about);
            assert_eq!(judgement.outcome, RuleOutcome::Unknown, "{judge} {about}: {}", shown(&judgement));
            assert!(!told || judgement.actual.ends_with(said), "{judge} {about}: {}", judgement.actual);
        }
    }
}

fn meta(name: &str, namespace: &str) -> Value {
    if namespace.is_empty() { json!({"name": name}) } else { json!({"name": name, "namespace": namespace}) }
}

fn object(name: &str, namespace: &str) -> Value {
    json!({"metadata": meta(name, namespace)})
}

fn role(name: &str, rules: &Value) -> Value {
    json!({"metadata": meta(name, ""), "rules": rules})
}

fn bound(name: &str, role: &str, kind: &str, subject: &str) -> Value {
    json!({
        "metadata": meta(name, ""),
        "roleRef": {"kind": "ClusterRole", "name": role},
        "subjects": [{"kind": kind, "name": subject, "namespace": "kube-system"}],
    })
}

/// Marks an object as Kubernetes' own.
fn own(mut object: Value) -> Value {
    object["metadata"]["labels"] = json!({"kubernetes.io/bootstrapping": "rbac-defaults"});
    object
}

fn everything() -> Value {
    json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}])
}

/// A cluster as a hardened K3s makes it, with more objects of one kind.
fn cluster_with(kind: ObjectKind, more: Vec<Value>) -> Cluster {
    let namespaces = ["default", "kube-system", "kube-public", "kube-node-lease"];
    let account = |of: &&str| json!({"metadata": meta("default", of), "automountServiceAccountToken": false});
    let mut cluster =
        ObjectKind::ALL.into_iter().fold(Cluster::default(), |all, kind| all.with(kind, Ok(Vec::new())));
    let mut lists = vec![
        (ObjectKind::Namespace, namespaces.iter().map(|name| object(name, "")).collect()),
        (
            ObjectKind::NetworkPolicy,
            namespaces
                .iter()
                .map(|of| json!({"metadata": meta("intra-namespace", of), "spec": {"podSelector": {}}}))
                .collect(),
        ),
        (ObjectKind::ServiceAccount, namespaces.iter().map(account).collect()),
        (ObjectKind::Service, vec![object("kubernetes", "default")]),
        (
            ObjectKind::ClusterRole,
            vec![
                own(role("cluster-admin", &everything())),
                role("local-path-provisioner-role", &everything()),
            ],
        ),
        (
            ObjectKind::ClusterRoleBinding,
            vec![
                own(bound("cluster-admin", "cluster-admin", "Group", "system:masters")),
                bound("helm-kube-system-traefik", "cluster-admin", "ServiceAccount", "helm-traefik"),
            ],
        ),
    ];
    for (of, list) in &mut lists {
        if *of == kind {
            let list: &mut Vec<Value> = list;
            list.extend(more.clone());
        }
    }
    if !lists.iter().any(|(of, _)| *of == kind) {
        lists.push((kind, more));
    }
    for (of, list) in lists {
        cluster = cluster.with(of, Ok(list));
    }
    cluster
}

fn judged(kind: ObjectKind, more: Vec<Value>, judge: &str, about: &str) -> RuleResult {
    let log = "Running kube-apiserver --admission-control-config-file=/var/lib/rancher/k3s/server/psa.yaml";
    Node::hardened("1.33").logged(log).running(cluster_with(kind, more)).judge(judge, about)
}

#[test]
fn namespaces_of_a_cluster_are_judged_one_by_one() {
    for (judge, about) in
        [("pod-security", "root"), ("network-policies", ""), ("default-service-accounts", "")]
    {
        let met = judged(ObjectKind::Pod, vec![], judge, about);
        assert_eq!(met.outcome, RuleOutcome::Met, "{judge}: {}", shown(&met));
    }
    let shop = vec![object("shop", "")];
    for judge in ["network-policies", "default-service-accounts"] {
        let judgement = judged(ObjectKind::Namespace, shop.clone(), judge, "");
        assert_eq!(judgement.outcome, RuleOutcome::NotMet, "{judge}");
        assert!(judgement.actual.ends_with("in shop"), "{judge}: {}", judgement.actual);
    }
    // By default its pods are restricted; labels count more.
    let met = judged(ObjectKind::Namespace, shop, "pod-security", "root");
    assert_eq!(met.outcome, RuleOutcome::Met, "{}", shown(&met));
    let labelled = |level: &str| {
        let labels = json!({"pod-security.kubernetes.io/enforce": level});
        let shop = json!({"metadata": {"name": "shop", "labels": labels}});
        judged(ObjectKind::Namespace, vec![shop], "pod-security", "root")
    };
    assert_eq!(labelled("restricted").outcome, RuleOutcome::Met);
    // A level that nobody knows is the strictest.
    assert_eq!(labelled("strict").outcome, RuleOutcome::Met);
    let weak = labelled("privileged");
    assert_eq!((weak.outcome, weak.actual.as_str()), (RuleOutcome::NotMet, WEAKER_IN_SHOP));
}

#[test]
fn labels_alone_are_enough_where_every_namespace_has_them() {
    let labels = json!({"pod-security.kubernetes.io/enforce": "baseline"});
    let namespace = |name: &str| json!({"metadata": {"name": name, "labels": labels}});
    let judge = |names: &[&str], about: &str| {
        let list = names.iter().map(|name| namespace(name)).chain([object("bare", "")]);
        let list = list.take(names.len() + usize::from(names.len() == 1)).collect();
        let cluster = Cluster::default().with(ObjectKind::Namespace, Ok(list));
        let node = Node::empty("1.33").running(cluster);
        node.judge("pod-security", about)
    };
    assert_eq!(judge(&["default", "kube-system"], "privileged").outcome, RuleOutcome::Met);
    assert_eq!(judge(&["default", "kube-system"], "root").outcome, RuleOutcome::NotMet);
    assert_eq!(judge(&["default"], "privileged").actual, "weaker in bare");
}

#[test]
fn default_service_accounts_have_no_roles() {
    let bound = bound("b", "cluster-admin", "ServiceAccount", "default");
    let judgement = judged(ObjectKind::ClusterRoleBinding, vec![bound], "default-service-accounts", "");
    assert_eq!(judgement.actual, "roles are bound to kube-system/default");
    assert_eq!(judgement.outcome, RuleOutcome::NotMet);
}

#[test]
fn who_has_a_right_is_listed() {
    for (about, group, resource, verb) in [
        ("secrets", "", "secrets", "list"),
        ("create-pods", "", "pods", "create"),
        ("bind-impersonate-escalate", "rbac.authorization.k8s.io", "clusterroles", "escalate"),
        ("bind-impersonate-escalate", "", "users", "impersonate"),
        ("persistent-volumes", "", "persistentvolumes", "create"),
        ("nodes-proxy", "", "nodes/proxy", "get"),
        ("nodes-proxy", "", "*/proxy", "create"),
        ("csr-approval", "certificates.k8s.io", "certificatesigningrequests/approval", "update"),
        ("webhooks", "admissionregistration.k8s.io", "mutatingwebhookconfigurations", "patch"),
        ("service-account-tokens", "", "serviceaccounts/token", "create"),
        ("cluster-admin", "*", "*", "*"),
    ] {
        let met = judged(ObjectKind::Pod, vec![], "rbac", about);
        assert_eq!(met.outcome, RuleOutcome::Met, "{about}: {}", shown(&met));
        assert!(shown(&met).contains("system:masters"), "{about}: {}", shown(&met));
        let with = |verb: &str, group: &str, kind: ObjectKind| {
            let of = if kind == ObjectKind::RoleBinding { "shop" } else { "" };
            let mut binding = bound("b", "r", "User", "alice");
            binding["metadata"] = meta("b", of);
            let rules = json!([{"apiGroups": [group], "resources": [resource], "verbs": [verb]}]);
            let cluster = cluster_with(ObjectKind::ClusterRole, vec![role("r", &rules)]);
            let bindings = cluster.list(kind).unwrap().iter().cloned().chain([binding]).collect();
            Node::hardened("1.33").running(cluster.with(kind, Ok(bindings))).judge("rbac", about)
        };
        let has = with(verb, group, ObjectKind::ClusterRoleBinding);
        assert_eq!(
            (has.outcome, has.actual.as_str()),
            (RuleOutcome::Manual, "not only built-in subjects: User alice"),
            "{about}: {}",
            shown(&has)
        );
        assert!(
            shown(&has).contains("User alice, by ClusterRoleBinding b, has ClusterRole r"),
            "{}",
            shown(&has)
        );
        if about != "cluster-admin" {
            assert_eq!(
                with("deletecollections", group, ObjectKind::ClusterRoleBinding).outcome,
                RuleOutcome::Met,
                "{about}"
            );
            assert_eq!(
                with(verb, "apps", ObjectKind::ClusterRoleBinding).outcome,
                RuleOutcome::Met,
                "{about}"
            );
            let namespaced = with(verb, group, ObjectKind::RoleBinding).outcome;
            let cluster_wide =
                ["persistent-volumes", "nodes-proxy", "csr-approval", "webhooks"].contains(&about);
            let wanted = if cluster_wide { RuleOutcome::Met } else { RuleOutcome::Manual };
            assert_eq!(namespaced, wanted, "{about}");
        }
    }
}

/// What a user, or a group and a user, may do with the rules of a role each, on a minor.
fn with_rules(
    minor: &'static str,
    about: &str,
    grants: &[(&str, &str, Value)],
    arguments: &str,
) -> RuleOutcome {
    let mut cluster = cluster_with(ObjectKind::Pod, vec![]);
    let mut roles = cluster.list(ObjectKind::ClusterRole).unwrap().to_vec();
    let mut bindings = cluster.list(ObjectKind::ClusterRoleBinding).unwrap().to_vec();
    for (index, (kind, subject, rule)) in grants.iter().enumerate() {
        let name = format!("r{index}");
        roles.push(role(&name, &json!([rule])));
        bindings.push(bound(&format!("b{index}"), &name, kind, subject));
    }
    cluster = cluster.with(ObjectKind::ClusterRole, Ok(roles));
    cluster = cluster.with(ObjectKind::ClusterRoleBinding, Ok(bindings));
    let node = Node::empty(minor);
    let node = match arguments {
        "" => node,
        text => node.with("etc/rancher/k3s/config.yaml", text),
    };
    node.running(cluster).judge("rbac", about).outcome
}

/// Constrained impersonation takes two verbs, and the API server knows them from 1.36 on, or with its gate.
#[test]
fn constrained_impersonation_is_impersonation() {
    let of = |resource: &str, verb: &str| json!({"apiGroups": ["authentication.k8s.io"], "resources": [resource], "verbs": [verb]});
    let on = |verb: &str| json!({"apiGroups": [""], "resources": ["pods"], "verbs": [verb]});
    let gate = "kube-apiserver-arg: [feature-gates=ConstrainedImpersonation=true]\n";
    let off = "kube-apiserver-arg: [feature-gates=ConstrainedImpersonation=false]\n";
    let about = "bind-impersonate-escalate";
    for (resource, mode) in [
        ("users", "user-info"),
        ("serviceaccounts", "serviceaccount"),
        ("nodes", "arbitrary-node"),
        ("nodes", "associated-node"),
    ] {
        let (verb, other) = (format!("impersonate:{mode}"), format!("impersonate-on:{mode}:list"));
        let both = [("User", "alice", of(resource, &verb)), ("User", "alice", on(&other))];
        let (met, review) = (RuleOutcome::Met, RuleOutcome::Manual);
        for (minor, arguments, wanted) in [
            ("1.34", "", met),
            ("1.35", "", met),
            ("1.35", gate, review),
            ("1.36", "", review),
            ("1.37", "", review),
            ("1.37", off, met),
        ] {
            assert_eq!(with_rules(minor, about, &both, arguments), wanted, "{mode} {minor} {arguments}");
        }
        // One of the two is nothing, also where somebody else has the other.
        for one in &both {
            assert_eq!(with_rules("1.37", about, std::slice::from_ref(one), ""), met, "{mode}: {one:?}");
        }
        let apart = [both[0].clone(), ("User", "bob", on(&other))];
        assert_eq!(with_rules("1.37", about, &apart, ""), met, "{mode}");
        // Who is in a group is not known, and * is every verb.
        let by_group = [both[0].clone(), ("Group", "staff", on(&other))];
        assert_eq!(with_rules("1.37", about, &by_group, ""), review, "{mode}");
        let by_star = [both[0].clone(), ("User", "alice", on("*"))];
        assert_eq!(with_rules("1.37", about, &by_star, ""), review, "{mode}");
        let wrong = [("User", "alice", of("configmaps", &verb)), ("User", "alice", on(&other))];
        assert_eq!(with_rules("1.37", about, &wrong, ""), met, "{mode}");
    }
    let everything = [("User", "alice", of("users", "*"))];
    assert_eq!(with_rules("1.30", about, &everything, ""), RuleOutcome::Manual);
}

/// Admission policies are as strong as webhooks, once the minor serves them.
#[test]
fn admission_policies_are_webhooks() {
    for (resource, since) in [
        ("validatingadmissionpolicies", 30),
        ("validatingadmissionpolicybindings", 30),
        ("mutatingadmissionpolicies", 36),
        ("mutatingadmissionpolicybindings", 36),
        ("validatingwebhookconfigurations", 23),
        ("mutatingwebhookconfigurations", 23),
    ] {
        for (minor, number) in
            [("1.27", 27), ("1.29", 29), ("1.30", 30), ("1.33", 33), ("1.35", 35), ("1.36", 36), ("1.37", 37)]
        {
            for verb in ["create", "update", "patch", "delete", "deletecollection", "*"] {
                let rule = json!({"apiGroups": ["admissionregistration.k8s.io"], "resources": [resource], "verbs": [verb]});
                let found = with_rules(minor, "webhooks", &[("User", "alice", rule)], "");
                let wanted = if number >= since { RuleOutcome::Manual } else { RuleOutcome::Met };
                assert_eq!(found, wanted, "{resource} {verb} {minor}");
            }
        }
        let rule = json!({"apiGroups": ["admissionregistration.k8s.io"], "resources": [resource], "verbs": ["get", "list"]});
        assert_eq!(with_rules("1.37", "webhooks", &[("User", "alice", rule)], ""), RuleOutcome::Met);
    }
}

#[test]
fn a_built_in_binding_with_another_subject_is_somebody_elses() {
    for (kind, subject, outcome) in [
        ("Group", "system:masters", RuleOutcome::Met),
        ("Group", "system:authenticated", RuleOutcome::Manual),
        ("User", "alice", RuleOutcome::Manual),
    ] {
        let more = own(bound("cluster-admin", "cluster-admin", kind, subject));
        assert_eq!(
            judged(ObjectKind::ClusterRoleBinding, vec![more], "rbac", "cluster-admin").outcome,
            outcome,
            "{subject}"
        );
    }
    // The label alone makes nothing Kubernetes' own.
    let forged = own(bound("mine", "cluster-admin", "User", "system:mine"));
    assert_eq!(
        judged(ObjectKind::ClusterRoleBinding, vec![forged], "rbac", "cluster-admin").outcome,
        RuleOutcome::Manual
    );
}

#[test]
fn wildcards_are_for_built_in_roles() {
    assert_eq!(judged(ObjectKind::Pod, vec![], "rbac", "wildcards").outcome, RuleOutcome::Met);
    for rules in [
        everything(),
        json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["*"]}]),
        json!([{"apiGroups": [""], "resources": ["*"], "verbs": ["get"]}]),
        json!([{"nonResourceURLs": ["*"], "verbs": ["get"]}]),
    ] {
        let wild = judged(ObjectKind::ClusterRole, vec![role("wild", &rules)], "rbac", "wildcards");
        assert_eq!(
            (wild.outcome, wild.actual.as_str()),
            (RuleOutcome::NotMet, "not only built-in roles: ClusterRole wild")
        );
    }
    let tame = json!([{"apiGroups": ["*"], "resources": ["pods"], "verbs": ["get"]}]);
    assert_eq!(
        judged(ObjectKind::ClusterRole, vec![role("tame", &tame)], "rbac", "wildcards").outcome,
        RuleOutcome::Met
    );
    let forged = own(role("mine", &everything()));
    assert_eq!(
        judged(ObjectKind::ClusterRole, vec![forged], "rbac", "wildcards").outcome,
        RuleOutcome::NotMet
    );
}

#[test]
fn who_is_in_a_group_is_never_known() {
    let judgement = judged(ObjectKind::Pod, vec![], "rbac", "system-masters");
    assert_eq!(judgement.outcome, RuleOutcome::Manual);
    assert!(shown(&judgement).contains("Group system:masters, by ClusterRoleBinding cluster-admin"));
}

fn pod(namespace: &str, spec: &Value) -> Value {
    json!({"metadata": meta("p", namespace), "spec": spec})
}

#[test]
fn pods_are_listed() {
    let token = json!({"volumes": [{"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}], "containers": [{}]});
    let env = json!({"containers": [{}], "initContainers": [{"env": [{"valueFrom": {"secretKeyRef": {"name": "s"}}}]}]});
    let from = json!({"containers": [{"envFrom": [{"secretRef": {"name": "s"}}]}]});
    let bare = json!({"securityContext": {}, "containers": [{}]});
    let unconfined = json!({
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"securityContext": {"seccompProfile": {"type": "Unconfined"}}}],
    });
    for (judge, about, spec, outcome) in [
        ("rbac", "automount", &token, RuleOutcome::Manual),
        ("secrets-as-files", "", &env, RuleOutcome::NotMet),
        ("secrets-as-files", "", &from, RuleOutcome::NotMet),
        ("seccomp", "", &bare, RuleOutcome::NotMet),
        ("seccomp", "", &unconfined, RuleOutcome::NotMet),
        ("security-contexts", "", &bare, RuleOutcome::NotMet),
    ] {
        let has = judged(ObjectKind::Pod, vec![pod("shop", spec)], judge, about);
        assert_eq!(has.outcome, outcome, "{judge}: {}", shown(&has));
        assert!(has.actual.starts_with("1 pods"), "{judge}: {}", has.actual);
        assert!(has.actual.ends_with(": shop/p"), "{judge}: {}", has.actual);
        // K3s's own are said, and decide nothing.
        let system = judged(ObjectKind::Pod, vec![pod("kube-system", spec)], judge, about);
        let met = if judge == "security-contexts" { RuleOutcome::Manual } else { RuleOutcome::Met };
        assert_eq!(system.outcome, met, "{judge}: {}", shown(&system));
        assert!(shown(&system).contains("K3s's own: kube-system/p"), "{judge}: {}", shown(&system));
    }
    let decent = json!({"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}, "containers": [{"env": [{"name": "A", "value": "b"}]}]});
    for (judge, about, outcome) in [
        ("rbac", "automount", RuleOutcome::Met),
        ("secrets-as-files", "", RuleOutcome::Met),
        ("seccomp", "", RuleOutcome::Met),
        ("security-contexts", "", RuleOutcome::Manual),
    ] {
        assert_eq!(
            judged(ObjectKind::Pod, vec![pod("shop", &decent)], judge, about).outcome,
            outcome,
            "{judge}"
        );
    }
}

#[test]
fn nothing_belongs_into_default() {
    let judge = |kind, more| judged(kind, more, "default-namespace", "");
    assert_eq!(judge(ObjectKind::Pod, vec![object("p", "shop")]).outcome, RuleOutcome::Met);
    for (kind, word) in [
        (ObjectKind::Pod, "Pod"),
        (ObjectKind::Service, "Service"),
        (ObjectKind::Deployment, "Deployment"),
        (ObjectKind::DaemonSet, "DaemonSet"),
        (ObjectKind::StatefulSet, "StatefulSet"),
        (ObjectKind::Job, "Job"),
        (ObjectKind::CronJob, "CronJob"),
    ] {
        let found = judge(kind, vec![object("x", "default")]);
        assert_eq!((found.outcome, found.actual), (RuleOutcome::NotMet, format!("also found: {word} x")));
    }
    let namespaces = judged(ObjectKind::Namespace, vec![object("shop", "")], "namespaces", "");
    assert_eq!(namespaces.actual, "beside the built-in ones there are shop");
    assert_eq!(namespaces.outcome, RuleOutcome::Manual);
}

/// A program that answers as kubectl does.
fn program(dir: &Path, script: &str) -> Kubectl {
    let path = dir.join("kubectl");
    crate::support::tools::write_program(&path, 0o755, format!("#!/bin/sh\n{script}\n").as_bytes());
    Kubectl::new(path.to_str().unwrap(), &["--kubeconfig", "/none"])
}

#[test]
fn what_kubectl_says_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let asked = dir.path().join("asked");
    let minor = "1.33".parse().unwrap();
    let list = format!(
        "echo \"$HOME $*\" >> {}\ncase $4 in pods) echo 'Error from server (Forbidden): no pods' >&2; exit 1;; esac\necho '{{\"kind\": \"List\", \"items\": []}}'",
        asked.display()
    );
    let cluster = Cluster::read(&program(dir.path(), &list), minor).unwrap();
    assert_eq!(cluster.list(ObjectKind::Namespace).unwrap(), &[] as &[Value]);
    assert_eq!(
        cluster.list(ObjectKind::Pod).unwrap_err().message(),
        "kubectl get pods: Error from server (Forbidden): no pods"
    );
    // Nothing but reading, no Secrets, and no policies of a minor that has none.
    let asked = fs::read_to_string(asked).unwrap();
    assert_eq!(asked.lines().count(), 14);
    for line in asked.lines() {
        assert!(line.starts_with("/proc/none --kubeconfig /none get "), "{line}");
        assert!(line.ends_with(" --all-namespaces --output=json --request-timeout=10s"), "{line}");
        assert!(!line.contains("secrets") && !line.contains("podsecuritypolicies"), "{line}");
    }
    for (script, said) in [
        (
            "echo 'E1125 memcache.go: cannot' >&2; echo 'The connection was refused' >&2; exit 1",
            "The connection was refused",
        ),
        ("exit 1", "it failed silently"),
        ("echo nonsense", "its answer is no JSON: expected ident at line 1 column 2"),
        ("echo '{\"kind\": \"Pod\"}'", "its answer is no list"),
    ] {
        let error = Cluster::read(&program(dir.path(), script), minor).unwrap_err();
        assert_eq!(error.message(), format!("kubectl get namespaces: {said}"));
    }
}

#[test]
fn an_image_has_no_cluster() {
    let node = Node::hardened("1.33");
    let root = Root::open(node.dir.path()).unwrap();
    let judged = NodeConfig::read(
        &root,
        Role::Server,
        "1.33".parse::<KubernetesMinor>().unwrap(),
        &"/var/lib/rancher/k3s".parse().unwrap(),
    );
    let error = Kubectl::find(&judged.unwrap()).unwrap_err();
    assert_eq!(error.message(), "--live needs a running node: --root is an image");
    assert_eq!(error.kind().exit_code(), 64);
}
