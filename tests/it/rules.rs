// SPDX-License-Identifier: Apache-2.0
//! What the rules of verify come to on a node: by its configuration, its log, its files.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use crate::minors::newest;
use crate::support::Node;
use k3s_harden::Role;
use k3s_harden::k3s::K3sLog;
use k3s_harden::k3s::NodeConfig;
use k3s_harden::mode::Owner;
use k3s_harden::node::{Root, RootedPath};
use k3s_harden::verify::{ControlRule, NodeFacts, RuleResult, evaluate_rule};
use k3s_harden::version::KubernetesMinor;

const CONFIG: &str = "etc/rancher/k3s/config.yaml";
const SERVER: &str = "var/lib/rancher/k3s/server";
const KUBELET: &str = "var/lib/rancher/k3s/agent/etc/kubelet.conf.d";
/// What only a started server leaves.
const STARTED: &str = "var/lib/rancher/k3s/server/token";

/// Judges a server by a rule, as it is written in the table.
fn judged(node: &Node, minor: &str, journal: Option<&str>, rule: &str) -> RuleResult {
    let root = Root::open(node.path()).unwrap();
    let data_dir = RootedPath::fixed("/var/lib/rancher/k3s");
    let judged =
        NodeConfig::read(&root, Role::Server, minor.parse::<KubernetesMinor>().unwrap(), &data_dir).unwrap();
    let owner = Owner { uid: nix::unistd::geteuid().as_raw(), gid: nix::unistd::getegid().as_raw() };
    let journal = journal.map(|text| K3sLog::new(text, "/journal")).unwrap_or_default();
    // As the table is read: YAML that was made JSON when the binary was built.
    let rule: serde_json::Value = serde_yaml::from_str(rule).unwrap();
    let rule: ControlRule = serde_json::from_value(rule).unwrap();
    evaluate_rule(&NodeFacts::new(judged, owner, journal), &rule)
}

/// The judgement in a few words: what it came to, what is, and where.
fn said(node: &Node, minor: &str, journal: Option<&str>, rule: &str) -> String {
    let judgement = judged(node, minor, journal, rule);
    assert!(!judgement.evidence.is_empty(), "nothing is said without evidence: {judgement:?}");
    let places: Vec<String> = judgement
        .evidence
        .iter()
        .filter_map(|evidence| evidence.place.as_ref())
        .map(ToString::to_string)
        .collect();
    format!("{:?}: {} ({})", judgement.outcome, judgement.actual, places.join(" "))
}

fn logged(component: &str, flags: &str) -> String {
    format!("Nov 23 n k3s[1]: time=\"t\" level=info msg=\"Running {component} {flags}\"\n")
}

#[test]
fn before_the_start_the_configuration_says() {
    let rule = "flag: {component: kube-apiserver, name: audit-log-maxage, must: {at-least: 30}}";
    assert_eq!(
        said(&Node::new(), "1.33", None, rule),
        "NotMet: not set (/etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml)"
    );
    let node =
        Node::new().file(CONFIG, "kube-apiserver-arg:\n  - audit-log-maxage=7\n  - audit-log-maxage=90\n");
    assert_eq!(said(&node, "1.33", None, rule), "Met: 90 (/etc/rancher/k3s/config.yaml:3:5)");
    let node =
        Node::new().file(CONFIG, "kube-apiserver-arg:\n  - audit-log-maxage=90\n  - audit-log-maxage=7\n");
    assert_eq!(said(&node, "1.33", None, rule), "NotMet: 7 (/etc/rancher/k3s/config.yaml:3:5)");
    let own = "flag: {component: kube-apiserver, name: anonymous-auth, must: {be: \"false\"}}";
    assert_eq!(said(&Node::new(), "1.33", None, own), "Met: false ()");
    let broken = Node::new().file(CONFIG, "kube-apiserver-arg: [\n");
    assert!(
        said(&broken, "1.33", None, own).starts_with("Unknown: "),
        "{}",
        said(&broken, "1.33", None, own)
    );
}

#[test]
fn a_list_is_all_of_its_occurrences() {
    let rule = "flag: {component: kube-apiserver, name: enable-admission-plugins, must: {have: [NodeRestriction, AlwaysPullImages]}}";
    let node = Node::new().file(
        CONFIG,
        "kube-apiserver-arg: [enable-admission-plugins=NodeRestriction, enable-admission-plugins=AlwaysPullImages]\n",
    );
    assert!(said(&node, "1.33", None, rule).starts_with("Met: NodeRestriction,AlwaysPullImages"));
    assert!(said(&Node::new(), "1.33", None, rule).starts_with("NotMet: NodeRestriction ("));
}

#[test]
fn a_list_may_have_quotes() {
    let lack = |name: &str, what: &str| {
        format!("flag: {{component: kube-apiserver, name: {name}, must: {{lack: [{what}]}}}}")
    };
    for (name, what) in [
        ("authorization-mode", "AlwaysAllow"),
        ("enable-admission-plugins", "AlwaysAdmit"),
        ("disable-admission-plugins", "ServiceAccount"),
    ] {
        let node = Node::new().file(CONFIG, format!("kube-apiserver-arg: ['{name}=\"{what}\",Other']\n"));
        assert!(said(&node, "1.33", None, &lack(name, what)).starts_with("NotMet: "), "{name}");
    }
}

#[test]
fn after_the_start_the_log_says_and_without_it_nobody() {
    let rule = "flag: {component: kube-apiserver, name: audit-log-maxage, must: {at-least: 30}}";
    let node = Node::new().file(CONFIG, "kube-apiserver-arg: audit-log-maxage=30\n").file(STARTED, "t");
    assert!(said(&node, "1.33", None, rule).starts_with("Unknown: K3s has started, and no log says"));
    assert!(said(&node, "1.33", Some(""), rule).starts_with("Unknown: "));
    // The last value of the line ends in the quote of the message.
    let log = logged("kube-apiserver", "--a=b --audit-log-maxage=30");
    assert_eq!(said(&node, "1.33", Some(&log), rule), "Met: 30 (/journal:1:1)");
    let log = logged("kube-apiserver", "--a=b");
    let says = judged(&node, "1.33", Some(&log), rule);
    assert_eq!(says.actual, "not set");
    assert!(
        says.evidence[1]
            .text
            .starts_with("after the next start the control is met, according to the K3s configuration"),
        "{says:?}"
    );
}

/// Returns a document of the kubelet's configuration. Without its version and kind the kubelet does not start.
fn kubelet(fields: &str) -> String {
    format!("{fields}apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n")
}

#[test]
fn the_kubelets_drop_ins_count_where_no_flag_does() {
    let rule = "flag: {component: kubelet, name: anonymous-auth, field: authentication.anonymous.enabled, unset: \"true\", must: {be: \"false\"}}";
    assert_eq!(said(&Node::new(), "1.36", None, rule), "Met: false ()");
    assert_eq!(said(&Node::new(), "1.30", None, rule), "Met: false ()");
    let node = Node::new()
        .file(&format!("{KUBELET}/10-mine.conf"), kubelet("authentication: {anonymous: {enabled: true}}\n"));
    assert_eq!(
        said(&node, "1.36", None, rule),
        "NotMet: true (/var/lib/rancher/k3s/agent/etc/kubelet.conf.d/10-mine.conf:1:39)"
    );
    // Older ones have no such folder.
    assert_eq!(said(&node, "1.30", None, rule), "Met: false ()");
    let node = node.file(CONFIG, "kubelet-arg: anonymous-auth=false\n");
    assert_eq!(said(&node, "1.36", None, rule), "Met: false (/etc/rancher/k3s/config.yaml:1:14)");
    let node = Node::new().file(
        &format!("{KUBELET}/00-k3s-defaults.conf"),
        kubelet("authentication: {webhook: {enabled: true}}\n"),
    );
    let log = logged("kubelet", "--node-ip=1");
    assert!(said(&node, "1.36", Some(&log), rule).starts_with("NotMet: true"), "the kubelet's own default");
}

/// A kubelet that answers anybody, and keeps no chains.
const OPEN: &str = "authentication: {anonymous: {enabled: true}}\nmakeIPTablesUtilChains: false\n";

#[test]
fn what_the_kubelets_arguments_name_is_its_configuration_too() {
    let anonymous = "flag: {component: kubelet, name: anonymous-auth, field: authentication.anonymous.enabled, must: {be: \"false\"}}";
    let chains = "flag: {component: kubelet, name: make-iptables-util-chains, field: makeIPTablesUtilChains, must: {not-be: \"false\"}}";
    for arguments in [
        "config=/etc/kubelet/a.conf",
        "--config=/etc/kubelet/a.conf",
        "config-dir=/etc/kubelet",
        "[config, /etc/kubelet/a.conf]",
    ] {
        let node = Node::new()
            .file("etc/kubelet/a.conf", kubelet(OPEN))
            .file(CONFIG, format!("kubelet-arg: {arguments}\n"));
        let judged = said(&node, "1.33", None, anonymous);
        assert_eq!(judged, "NotMet: true (/etc/kubelet/a.conf:1:39)", "{arguments}");
        if arguments.contains("config=") {
            // K3s gave the older kubelets a flag, which counts more; where it gives none the file counts.
            assert!(said(&node, "1.30", None, anonymous).starts_with("Met: "), "{arguments}");
            let judged = said(&node, "1.30", None, chains);
            assert_eq!(judged, "NotMet: false (/etc/kubelet/a.conf:2:25)", "{arguments}");
        }
        // Later drop-ins count more than the copies that K3s makes.
        let node = node
            .file(&format!("{KUBELET}/30.conf"), kubelet("authentication: {anonymous: {enabled: false}}\n"));
        assert!(said(&node, "1.33", None, anonymous).starts_with("Met: "), "{arguments}");
    }
    let other = Node::new().file(&format!("{KUBELET}/30.conf"), OPEN);
    assert!(said(&other, "1.33", None, anonymous).starts_with("Unknown: "), "it ends the kubelet");
    let missing = Node::new().file(CONFIG, "kubelet-arg: config=/none.yaml\n");
    assert!(said(&missing, "1.33", None, anonymous).starts_with("Unknown: /none.yaml does not exist"));
    let below = Node::new().file(&format!("{KUBELET}/20-cli-config-dir/a.conf"), kubelet(OPEN));
    assert!(
        said(&below, "1.33", None, anonymous).starts_with("NotMet: true"),
        "the kubelet looks into folders"
    );
}

#[test]
fn a_file_of_the_schedulers_or_kube_proxys_counts_instead_of_flags() {
    const SCHEDULER: &str = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n";
    const PROXY: &str = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";
    let scheduler = "flag: {component: kube-scheduler, name: profiling, field: enableProfiling, unset: \"true\", must: {be: \"false\"}}";
    let proxy = "flag: {component: kube-proxy, name: metrics-bind-address, field: metricsBindAddress, unset: \"127.0.0.1:10249\", must: {be-local: true}}";
    let node = |of_scheduler: &str, of_proxy: &str| {
        Node::new()
            .file(CONFIG, "kube-scheduler-arg: config=/s.yaml\nkube-proxy-arg: config=/p.yaml\n")
            .file("s.yaml", format!("{SCHEDULER}{of_scheduler}\n"))
            .file("p.yaml", format!("{PROXY}{of_proxy}\n"))
    };
    let open = node("enableProfiling: true", "metricsBindAddress: 0.0.0.0:10249");
    let shut = node("enableProfiling: false", "metricsBindAddress: 127.0.0.1:1");
    assert_eq!(said(&open, "1.33", None, scheduler), "NotMet: true (/s.yaml:3:18)");
    assert_eq!(said(&open, "1.33", None, proxy), "NotMet: 0.0.0.0:10249 (/p.yaml:3:21)");
    assert_eq!(said(&shut, "1.33", None, scheduler), "Met: false (/s.yaml:3:18)");
    assert_eq!(said(&shut, "1.33", None, proxy), "Met: 127.0.0.1:1 (/p.yaml:3:21)");
    // The scheduler's own default is on, and kube-proxy's counts in place of an empty text.
    assert_eq!(said(&node("", ""), "1.33", None, scheduler), "NotMet: true (/s.yaml)");
    assert_eq!(said(&node("", ""), "1.33", None, proxy), "Met: 127.0.0.1:10249 (/p.yaml)");
    let empty = node("enableProfiling: null", "metricsBindAddress: ''");
    assert_eq!(said(&empty, "1.33", None, scheduler), "NotMet: true (/s.yaml)");
    assert_eq!(said(&empty, "1.33", None, proxy), "Met: 127.0.0.1:10249 (/p.yaml)");
    // What the component refuses is never met.
    let wrong = node("enableProfiling: false\nparallelism: -1", "metricsBindAddress: 127.0.0.1:1\nmode: x");
    assert!(said(&wrong, "1.33", None, scheduler).starts_with("Unknown: K3s does not start with this"));
    assert!(said(&wrong, "1.33", None, proxy).starts_with("Unknown: K3s does not start with this"));
    let without_kind = Node::new().file(CONFIG, "kube-proxy-arg: config=/c.yaml\n").file("c.yaml", "{}");
    assert!(said(&without_kind, "1.33", None, proxy).starts_with("Unknown"));
    let log = logged("kube-scheduler", "--config=/s.yaml --profiling=false");
    assert!(said(&open, "1.33", Some(&log), scheduler).starts_with("NotMet: true"));
    let gone = Node::new().file(CONFIG, "kube-scheduler-arg: config=/s.yaml\n");
    assert!(said(&gone, "1.33", None, scheduler).starts_with("Unknown: /s.yaml does not exist"));
    assert!(said(&Node::new(), "1.33", None, scheduler).starts_with("Met: false"));
}

#[test]
fn a_kubelet_argument_without_a_value_swallows_the_next() {
    let rule = "flag: {component: kubelet, name: event-qps, must: {be: \"7\"}}";
    let node = Node::new().file(CONFIG, "kubelet-arg: [seccomp-default, event-qps=7]\n");
    assert!(said(&node, "1.33", None, rule).starts_with("NotMet: not set"));
    assert!(said(&node, "1.30", None, rule).starts_with("Met: 7"));
}

#[test]
fn the_kubelet_will_protect_the_kernel_by_k3s_own_key() {
    let rule = "flag: {component: kubelet, name: protect-kernel-defaults, field: protectKernelDefaults, must: {be: \"true\"}}";
    let node = Node::new().file(CONFIG, "protect-kernel-defaults: true\n");
    for minor in ["1.24", "1.31", "1.32", newest()] {
        assert!(said(&node, minor, None, rule).starts_with("Met: true"), "{minor}");
    }
}

#[test]
fn gates_of_drop_ins_and_of_flags_are_one_map() {
    let rule = "gate: {component: kubelet, name: RotateKubeletServerCertificate, field: featureGates}";
    let drop_in = format!("{KUBELET}/10-mine.conf");
    let gates = |text: &str| Node::new().file(&drop_in, kubelet(&format!("featureGates: {{{text}}}\n")));
    let place = "/var/lib/rancher/k3s/agent/etc/kubelet.conf.d/10-mine.conf:1";
    let off = gates("RotateKubeletServerCertificate: false, NodeSwap: true");
    assert_eq!(said(&off, "1.36", None, rule), format!("NotMet: off ({place}:48)"));
    let node = off.file(CONFIG, "kubelet-arg: feature-gates=NodeSwap=false\n");
    assert_eq!(said(&node, "1.36", None, rule), format!("NotMet: off ({place}:48)"));
    // A name that a flag has is the flag's, and of two the last.
    let (on, off) = ("RotateKubeletServerCertificate=true", "RotateKubeletServerCertificate=0");
    let node = node.file(CONFIG, format!("kubelet-arg: [\"feature-gates={off},{on}\"]\n"));
    assert_eq!(said(&node, "1.36", None, rule), "Met: on (/etc/rancher/k3s/config.yaml:1:15)");
    let node = Node::new().file(CONFIG, format!("kubelet-arg: [\"feature-gates={on},{off}\"]\n"));
    assert_eq!(said(&node, "1.36", None, rule), "NotMet: off (/etc/rancher/k3s/config.yaml:1:15)");
    // The gates of its stage, and its own, which counts more.
    assert!(said(&gates("AllBeta: false"), "1.36", None, rule).starts_with("NotMet: off"));
    let both = gates("AllBeta: false, RotateKubeletServerCertificate: true");
    assert!(said(&both, "1.33", None, rule).starts_with("Met: on"));
    assert!(said(&gates("AllAlpha: false"), "1.36", None, rule).starts_with("Met: on"));
    // The kubelet knows no component before a gate.
    let named = Node::new().file(CONFIG, "kubelet-arg: [feature-gates=kube:NodeSwap=true]\n");
    assert!(said(&named, "1.36", None, rule).starts_with("Unknown: K3s does not start with this"));
    assert!(said(&Node::new(), "1.36", None, rule).starts_with("Met: on"));
}

#[test]
fn files_may_permit_no_more() {
    let rule = "file: {path: server/tls/**/*.key, mode: \"600\", owner: root}";
    assert!(said(&Node::new(), "1.33", None, rule).starts_with("Unknown: not created yet"));
    assert!(
        said(&Node::new().file(STARTED, "t"), "1.33", None, rule).starts_with("Unknown: not there, although")
    );
    let node =
        Node::new().file(&format!("{SERVER}/tls/a.key"), "").file(&format!("{SERVER}/tls/etcd/b.key"), "");
    let chmod = |path: &str, mode| {
        let path = node.path().join(SERVER).join(path);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    chmod("tls/a.key", 0o600);
    chmod("tls/etcd/b.key", 0o400);
    assert!(said(&node, "1.33", None, rule).starts_with("Met: 0400, owned by root; 0600, owned by root"));
    chmod("tls/etcd/b.key", 0o640);
    assert_eq!(
        said(&node, "1.33", None, rule),
        "NotMet: 0640, owned by root (/var/lib/rancher/k3s/server/tls/etcd/b.key)"
    );
    chmod("tls/etcd/b.key", 0o4600);
    assert!(said(&node, "1.33", None, rule).starts_with("NotMet: 4600"));
    let none = "file: {path: /var/lib/cni/networks/**/*, mode: \"600\", missing: not-applicable}";
    assert!(said(&Node::new().file(STARTED, "t"), "1.33", None, none).starts_with("NotApplicable: "));
}

#[test]
fn k3s_may_write_the_kubeconfig_elsewhere() {
    let rule = "file: {path: /etc/rancher/k3s/k3s.yaml, key: write-kubeconfig, mode: \"600\"}";
    let node = Node::new()
        .file("etc/rancher/k3s/k3s.yaml", "")
        .file("root/.kube/config", "")
        .file(CONFIG, "write-kubeconfig: /root/.kube/config\n");
    let chmod = |path: &str, mode| {
        std::fs::set_permissions(node.path().join(path), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    chmod("etc/rancher/k3s/k3s.yaml", 0o600);
    chmod("root/.kube/config", 0o644);
    assert_eq!(said(&node, "1.33", None, rule), "NotMet: 0644 (/root/.kube/config)");
    assert!(said(&node.file(CONFIG, ""), "1.33", None, rule).starts_with("Met: 0600"));
}

#[test]
fn files_behind_symlinks_and_with_odd_names_are_files_too() {
    let rule = "file: {path: server/tls/**/*.key, mode: \"600\"}";
    let node = Node::new().file(&format!("{SERVER}/tls/a.key"), "").file("srv/etcd/b.key", "");
    let chmod = |path: &str, mode| {
        std::fs::set_permissions(node.path().join(path), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    chmod(&format!("{SERVER}/tls/a.key"), 0o600);
    chmod("srv/etcd/b.key", 0o644);
    let tls = node.path().join(SERVER).join("tls");
    let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, tls.join(name)).unwrap();
    link("/srv/etcd", "etcd");
    assert_eq!(said(&node, "1.33", None, rule), "NotMet: 0644 (/var/lib/rancher/k3s/server/tls/etcd/b.key)");
    chmod("srv/etcd/b.key", 0o600);
    assert!(said(&node, "1.33", None, rule).starts_with("Met: 0600"));
    link(".", "round");
    assert!(
        said(&node, "1.33", None, rule).starts_with("Unknown: "),
        "who goes round in circles has not seen all"
    );
    std::fs::remove_file(tls.join("round")).unwrap();
    for name in [b"x\n.key".as_slice(), b"x\xff.key"] {
        let path = tls.join(std::ffi::OsStr::from_bytes(name));
        std::fs::write(&path, "").unwrap();
        assert!(said(&node, "1.33", None, rule).starts_with("NotMet: 0644 ("), "{name:?}");
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn some_names_are_not_meant() {
    let rule =
        "file: {path: /var/lib/cni/networks/*/*, except: [lock], mode: \"600\", missing: not-applicable}";
    let folder = "var/lib/cni/networks/cbr0";
    let node = Node::new().file(STARTED, "t").file(&format!("{folder}/lock"), "");
    let chmod = |name: &str, mode| {
        let path = node.path().join(folder).join(name);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    chmod("lock", 0o750);
    assert!(said(&node, "1.33", None, rule).starts_with("NotApplicable: "));
    std::fs::write(node.path().join(folder).join("10.42.0.2"), "").unwrap();
    chmod("10.42.0.2", 0o600);
    assert!(said(&node, "1.33", None, rule).starts_with("Met: 0600 "));
    chmod("10.42.0.2", 0o644);
    assert!(said(&node, "1.33", None, rule).starts_with("NotMet: 0644 "));
}

#[test]
fn etcd_is_judged_where_there_is_one() {
    let rule = "with-etcd: {etcd: {field: client-transport-security.client-cert-auth, must: {be: \"true\"}}}";
    assert_eq!(said(&Node::new(), "1.33", None, rule), "NotApplicable: the datastore is SQLite ()");
    let external = Node::new().file(CONFIG, "datastore-endpoint: mysql://x\n");
    assert_eq!(
        said(&external, "1.33", None, rule),
        "NotApplicable: the datastore is an external database (/etc/rancher/k3s/config.yaml:1:21)"
    );
    let begun = Node::new().file(CONFIG, "cluster-init: true\n");
    assert!(said(&begun, "1.33", None, rule).starts_with("Unknown: not created yet"));
    let config = format!("{SERVER}/db/etcd/config");
    // K3s goes by etcd's log alone (IsInitialized in pkg/etcd/etcd.go), whatever the endpoint is.
    let log = format!("{SERVER}/db/etcd/member/wal/0.wal");
    let node = Node::new().file(&config, "client-transport-security:\n  client-cert-auth: true\n");
    assert_eq!(said(&node, "1.33", None, rule), "NotApplicable: the datastore is SQLite ()");
    let node = node.file(&log, "").file(CONFIG, "datastore-endpoint: mysql://x\n");
    assert_eq!(
        said(&node, "1.33", None, rule),
        "Met: true (/var/lib/rancher/k3s/server/db/etcd/config:2:21)"
    );
    let node = Node::new().file(&config, "client-transport-security: {}\n").file(&log, "");
    assert!(said(&node, "1.33", None, rule).starts_with("NotMet: not set"));
}

#[test]
fn all_and_any() {
    let set =
        |name: &str| format!("flag: {{component: kube-apiserver, name: {name}, must: {{be-set: true}}}}");
    let (yes, no) = (set("profiling"), set("audit-log-path"));
    let outcome = |rule: &str| format!("{:?}", judged(&Node::new(), "1.33", None, rule).outcome);
    assert_eq!(outcome(&format!("all: [{{{yes}}}, {{{no}}}]")), "NotMet");
    assert_eq!(outcome(&format!("any: [{{{yes}}}, {{{no}}}]")), "Met");
    assert_eq!(outcome(&format!("all: [{{not-applicable: x}}, {{{yes}}}]")), "Met");
    assert_eq!(outcome("all: [{not-applicable: x}]"), "NotApplicable");
    assert_eq!(outcome(&format!("any: [{{manual: x}}, {{{no}}}]")), "Manual");
}

fn with_policy(policy: &str) -> Node {
    let node = Node::new().file(&format!("{SERVER}/audit.yaml"), policy);
    node.file(CONFIG, "kube-apiserver-arg: [audit-policy-file=/var/lib/rancher/k3s/server/audit.yaml, audit-log-path=/a.log]\n")
}

#[test]
fn an_audit_policy_has_to_record_what_matters() {
    let (there, covers) = ("check: {name: audit-policy}", "check: {name: audit-policy-coverage}");
    let policy =
        |rules: &str| with_policy(&format!("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n{rules}"));
    let outcome = |node: &Node, rule: &str| said(node, "1.33", None, rule);
    let metadata = policy("- level: Metadata\n");
    assert!(outcome(&metadata, there).starts_with("Met: "), "{}", outcome(&metadata, there));
    assert!(outcome(&metadata, covers).starts_with("Met: "), "{}", outcome(&metadata, covers));
    let nothing = policy("- level: None\n");
    assert!(outcome(&nothing, there).starts_with("NotMet: the policy records nothing"));
    assert!(outcome(&Node::new(), there).starts_with("NotMet: not set"));
    let bodies = outcome(&policy("- level: RequestResponse\n"), covers);
    assert!(bodies.contains("bodies of secrets go into the log"), "{bodies}");
    let hole = outcome(
        &policy("- level: None\n  resources: [{group: \"\", resources: [pods/exec]}]\n- level: Metadata\n"),
        covers,
    );
    assert!(hole.starts_with("NotMet: not recorded as it should be: pods/exec (get, create) "), "{hole}");
    assert!(hole.contains("audit.yaml:4:3"), "{hole}");
    // What one user does, or what is done in one namespace or with one object, is not recorded then (ruleMatches).
    for narrow in [
        "users: [a]",
        "namespaces: [a]",
        "userGroups: [a]",
        "nonResourceURLs: [/x]",
        "resources: [{group: \"\", resources: [secrets], resourceNames: [a]}]",
    ] {
        let node = policy(&format!("- level: None\n  {narrow}\n- level: Metadata\n"));
        let wanted = if narrow.starts_with("nonResource") { "Met: " } else { "NotMet: not recorded" };
        assert!(outcome(&node, covers).starts_with(wanted), "{narrow}: {}", outcome(&node, covers));
    }
    for wide in [
        "userGroups: [\"system:authenticated\"]",
        "verbs: [get]",
        "resources: [{group: \"\"}]",
        "resources: [{group: \"\", resources: [\"*\"]}]",
        "resources: [{group: \"\", resources: [\"pods/*\"]}]",
        "resources: [{group: \"\", resources: [\"secrets/*\"]}]",
        "namespaces: [\"\"]",
        "omitStages: [RequestReceived]",
    ] {
        let node = policy(&format!("- level: None\n  {wide}\n- level: Metadata\n"));
        assert!(outcome(&node, covers).starts_with("NotMet: "), "{wide}: {}", outcome(&node, covers));
    }
    let every_group = policy("- level: None\n  resources: [{group: \"*\"}]\n- level: Metadata\n");
    assert!(said(&every_group, "1.36", None, covers).starts_with("NotMet: not recorded"));
    let gone = Node::new().file(CONFIG, "kube-apiserver-arg: audit-policy-file=/none.yaml\n");
    assert!(outcome(&gone, there).starts_with("NotMet: the file is not there"));
}

#[test]
fn a_policy_that_records_nothing_or_is_refused_is_none() {
    let (there, covers) = ("check: {name: audit-policy}", "check: {name: audit-policy-coverage}");
    let head = "apiVersion: audit.k8s.io/v1\nkind: Policy\n";
    for (policy, says) in [
        (format!("{head}rules: [{{level: None}}, {{level: Metadata}}]"), "the policy records nothing"),
        (
            format!("{head}omitStages: [RequestReceived, ResponseComplete]\nrules: [{{level: Metadata}}]"),
            "the policy records nothing",
        ),
        (format!("{head}rules: [{{level: metadata}}]"), "the API server refuses its policy"),
        (format!("{head}rules: [{{levle: Metadata}}]"), "the API server refuses its policy"),
        (format!("{head}rules: []"), "the API server refuses its policy"),
        ("rules: [{level: Metadata}]".to_owned(), "the API server refuses its policy"),
        (head.replace("v1", "v1beta1") + "rules: [{level: Metadata}]", "the API server refuses its policy"),
    ] {
        let node = with_policy(&policy);
        let judged = said(&node, "1.33", None, there);
        assert!(judged.starts_with(&format!("NotMet: {says} ")), "{policy}: {judged}");
        assert!(said(&node, "1.33", None, covers).starts_with("NotMet: "), "{policy}");
    }
}

#[test]
fn what_apply_writes_covers_what_matters() {
    for (kind, minor) in [("metadata", "1.24"), ("writes", "1.33"), ("detailed", newest())] {
        let node = Node::new();
        let set = format!("audit_policy={kind}");
        let output = node.run(&["apply", "-q", "--k3s-version", minor, "--set", &set]);
        assert_eq!(output.code, 0, "{}", output.stderr);
        for judge in ["audit-policy", "audit-policy-coverage", "encryption", "encryption-providers"] {
            let judgement = said(&node, minor, None, &format!("check: {{name: {judge}}}"));
            assert!(judgement.starts_with("Met: "), "{kind}: {judge}: {judgement}");
        }
    }
}

#[test]
fn the_first_provider_of_secrets_encrypts_them() {
    let (on, fit) = ("check: {name: encryption}", "check: {name: encryption-providers}");
    let config = "secrets-encryption: true\n";
    let file = format!("{SERVER}/cred/encryption-config.json");
    let outcome = |node: &Node, rule: &str| said(node, "1.33", None, rule);
    assert!(outcome(&Node::new(), on).starts_with("NotMet: not set"));
    assert!(outcome(&Node::new().file(CONFIG, config), on).starts_with("Met: aescbc"));
    let head = "kind: EncryptionConfiguration\napiVersion: apiserver.config.k8s.io/v1\nresources:\n";
    // 32 bytes, which every provider takes.
    let keys = "keys: [{name: a, secret: MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=}]";
    let node = |resource: &str, first: &str| {
        let keys = if first == "identity" { "" } else { keys };
        let providers = format!("[{{{first}: {{{keys}}}}}, {{identity: {{}}}}]");
        let text = format!("{head}- resources: [{resource}]\n  providers: {providers}\n");
        Node::new().file(CONFIG, config).file(&file, text)
    };
    assert!(outcome(&node("secrets", "secretbox"), fit).starts_with("Met: secretbox"));
    assert!(outcome(&node("secrets", "identity"), on).starts_with("NotMet: identity"));
    assert!(outcome(&node("secrets", "aesgcm"), on).starts_with("Met: aesgcm"));
    assert!(outcome(&node("secrets", "aesgcm"), fit).starts_with("NotMet: aesgcm"));
    assert!(outcome(&node("configmaps", "aescbc"), on).starts_with("NotMet: no provider for Secrets"));
    // One with which the API server does not start encrypts nothing, and its error names no key.
    for wrong in [
        format!(
            "{head}- resources: [secrets]\n  providers: [{{aescbc: {{keys: [{{name: a, secret: c2hvcnQ=}}]}}}}]\n"
        ),
        format!("{head}- resources: [secrets]\n  providers: [{{aescbc: {{{keys}}}, identity: {{}}}}]\n"),
        format!("resources:\n- resources: [secrets]\n  providers: [{{aescbc: {{{keys}}}}}]\n"),
    ] {
        let refused = outcome(&Node::new().file(CONFIG, config).file(&file, wrong), on);
        assert!(refused.starts_with("NotMet: the API server refuses it"), "{refused}");
    }
}

#[test]
fn a_file_that_is_gone_is_no_evidence_of_encryption() {
    let path = format!("/{SERVER}/cred/encryption-config.json");
    let log = logged("kube-apiserver", &format!("--encryption-provider-config={path}"));
    let node = Node::new().file(CONFIG, "secrets-encryption: true\n").file(STARTED, "t");
    let judged = said(&node, "1.33", Some(&log), "check: {name: encryption}");
    assert!(judged.starts_with("NotMet: the file is not there"), "{judged}");
}
