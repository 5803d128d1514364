// SPDX-License-Identifier: Apache-2.0
//! Would it start? What `preflight` says, and that `apply` refuses a node on which K3s would not start.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use crate::support::{Node, Output};
use serde_json::Value;

const SERVER: [&str; 4] = ["--k3s-version", "1.33", "--role", "server"];
const CONFIG: &str = "etc/rancher/k3s/config.yaml";
const MANIFESTS: &str = "var/lib/rancher/k3s/server/manifests";

fn all(output: &Output) -> String {
    format!("{}{}[exit {}]", output.stdout, output.stderr, output.code)
}

fn applied(arguments: &[&str]) -> Node {
    let node = Node::new();
    let words: Vec<&str> = ["apply", "-q"].iter().chain(arguments).copied().collect();
    let output = node.run(&words);
    assert_eq!(output.code, 0, "{}", all(&output));
    node
}

fn verdict(node: &Node, arguments: &[&str]) -> Value {
    let words: Vec<&str> = ["preflight", "--format", "json"].iter().chain(arguments).copied().collect();
    let output = node.run(&words);
    let verdict: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{}", all(&output)));
    let expected = if verdict["starts"] == false { 2 } else { 0 };
    assert_eq!(output.code, expected, "{}", all(&output));
    verdict
}

/// The codes of the findings with their places, and whether K3s starts.
fn findings(verdict: &Value) -> String {
    let of = |list: &str| {
        let codes = verdict[list].as_array().unwrap().iter().map(|finding| {
            let line = finding["line"].as_u64().map(|line| format!(":{line}")).unwrap_or_default();
            let path = finding["path"].as_str().map(|path| format!(" {path}{line}")).unwrap_or_default();
            format!("{}{path}", finding["code"].as_str().unwrap())
        });
        codes.collect::<Vec<_>>()
    };
    let (now, later) = (of("now"), of("after_reboot"));
    format!("{} now {now:?} later {later:?}", verdict["starts"])
}

const CLEAN: &str = "true now [] later []";

#[test]
fn a_later_file_decides_after_a_reboot() {
    let node = applied(&["--k3s-version", "1.24", "--role", "server"]);
    let node = node.file("usr/lib/sysctl.d/99-tuning.conf", "# tuned\nkernel.panic = 0\n");
    insta::assert_snapshot!(all(&node.run(&["preflight"])), @"
    does not start after a reboot: /usr/lib/sysctl.d/99-tuning.conf:2:1: at boot, this line sets kernel.panic to 0, but the kubelet requires 10 [kernel-after-reboot]
      K3s: invalid kernel flag: kernel/panic, expected value: 10, actual value: 0
      remove the line, or let a file that sorts after /usr/lib/sysctl.d/99-tuning.conf set kernel.panic = 10
    not judged: the parameters of the running kernel were not looked at: this is the root of an image [kernel-running]
      run preflight again on the node itself
    not judged: skipped the checks of disk, clock and cgroups: this is the root of an image [machine]
      run preflight again on the node itself

    K3s starts now, and does not after a reboot.
    [exit 2]
    ");
    // Without protect-kernel-defaults the kubelet sets them itself.
    let node = applied(&SERVER).file("etc/sysctl.d/99-tuning.conf", "kernel.panic = 0\n");
    assert_eq!(findings(&verdict(&node, &[])), CLEAN);
}

#[test]
fn nothing_that_sets_a_parameter_is_a_finding_too() {
    let node = Node::new().file(CONFIG, "protect-kernel-defaults: true\n");
    let codes = findings(&verdict(&node, &SERVER));
    // The two of the keyrings and panic_on_oom have the right value by themselves.
    let unset = "\"kernel-after-reboot\"";
    assert_eq!(codes, format!("false now [] later [{unset}, {unset}, {unset}]"));
}

#[test]
fn every_way_to_ask_for_the_check_and_to_write_a_value() {
    for argument in ["=true", "=True", "=1", "=t", ""] {
        for name in ["protect-kernel-defaults", "protect_kernel_defaults"] {
            let node = Node::new().file(CONFIG, format!("kubelet-arg: [\"{name}{argument}\"]\n"));
            assert_eq!(verdict(&node, &SERVER)["starts"], false, "{name}{argument}");
        }
    }
    let node = applied(&["--k3s-version", "1.24", "--role", "server"]);
    let node = node.file("etc/sysctl.d/99-x.conf", "kernel.panic = 0xa\nvm.overcommit_memory=01\n");
    assert_eq!(findings(&verdict(&node, &[])), CLEAN);
    // systemd does not read hidden files.
    let node = Node::new()
        .file(CONFIG, "protect-kernel-defaults: true\n")
        .file("etc/sysctl.d/.90.conf", "vm.overcommit_memory=1\nkernel.panic=10\nkernel.panic_on_oops=1\n");
    assert_eq!(verdict(&node, &SERVER)["starts"], false);
}

#[test]
fn what_k3s_refuses_in_its_configuration() {
    let cases = [
        (
            "server",
            "protect-kernel-defaults:\n",
            "false now [\"config-value /etc/rancher/k3s/config.yaml:1\"] later []",
        ),
        (
            "agent",
            "secrets-encryption: true\n",
            "false now [\"config-unknown-key /etc/rancher/k3s/config.yaml:1\"] later []",
        ),
        ("server", "a: [\n", "false now [\"config-unreadable /etc/rancher/k3s/config.yaml:1\"] later []"),
        (
            "server",
            "no-such-key: 1\n",
            "true now [\"config-skipped-key /etc/rancher/k3s/config.yaml:1\"] later []",
        ),
        (
            "server",
            "write-kubeconfig-mode: 0640\n",
            "true now [\"kubeconfig-mode /etc/rancher/k3s/config.yaml:1\"] later []",
        ),
        (
            "server",
            "write-kubeconfig-mode: 0600\n",
            "true now [\"kubeconfig-mode /etc/rancher/k3s/config.yaml:1\"] later []",
        ),
        ("server", "write-kubeconfig-mode: \"0640\"\n", CLEAN),
        ("server", "write-kubeconfig-mode: 640\n", CLEAN),
    ];
    for (role, text, expected) in cases {
        let node = Node::new().file(CONFIG, text);
        let found = findings(&verdict(&node, &["--k3s-version", "1.33", "--role", role]));
        assert_eq!(found, expected, "{role}: {text}");
    }
}

#[test]
fn a_dangling_link_takes_the_whole_configuration_away() {
    let node = applied(&SERVER);
    let link = node.path().join("etc/rancher/k3s/config.yaml.d/10-x.yaml");
    std::os::unix::fs::symlink("/nowhere", link).unwrap();
    let found = findings(&verdict(&node, &[]));
    assert_eq!(
        found,
        "true now [\"config-dangling-link /etc/rancher/k3s/config.yaml.d/10-x.yaml\"] later []"
    );
}

#[test]
fn manifests_that_the_minor_does_not_serve_or_that_do_nothing() {
    let psp = "apiVersion: policy/v1beta1\nkind: PodSecurityPolicy\nmetadata: {name: x}\n";
    let policy = |namespace: &str, label: &str| {
        format!(
            "# a comment\n---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: x, namespace: {namespace}}}\nspec:\n  podSelector: {{}}\n  ingress:\n    - from:\n        - namespaceSelector: {{matchLabels: {{{label}: kube-system}}}}\n"
        )
    };
    let good = policy("kube-system", "kubernetes.io/metadata.name");
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {name: shop}}\n---\n";
    for (minor, file, text, expected) in [
        ("1.24", "x.yaml", psp, "true now [] later []"),
        ("1.25", "x.yaml", psp, "true now [\"manifest-not-served /M/x.yaml:1\"] later []"),
        ("1.25", "sub/x.yml", psp, "true now [\"manifest-not-served /M/sub/x.yml:1\"] later []"),
        ("1.25", ".x.yaml", psp, CLEAN),
        ("1.25", "x.txt", psp, CLEAN),
        ("1.33", "x.yaml", &good, CLEAN),
        (
            "1.33",
            "x.yaml",
            &policy("kube-system", "name"),
            "true now [\"manifest-selects-nothing /M/x.yaml:3\"] later []",
        ),
        (
            "1.33",
            "x.yaml",
            &policy("shop", "kubernetes.io/metadata.name"),
            "true now [\"manifest-no-namespace /M/x.yaml:3\"] later []",
        ),
        ("1.33", "x.yaml", &format!("{namespace}{}", policy("shop", "name")), CLEAN),
        ("1.33", "x.yaml", "kind: Namespace\n", "true now [\"manifest-unreadable /M/x.yaml:1\"] later []"),
        ("1.33", "x.yaml", "---\n# nothing\n---\n", CLEAN),
        (
            "1.33",
            "x.json",
            "{\"apiVersion\": \"batch/v1beta1\", \"kind\": \"CronJob\"}",
            "true now [\"manifest-not-served /M/x.json:1\"] later []",
        ),
    ] {
        let node = Node::new().file(&format!("{MANIFESTS}/{file}"), text);
        let found = findings(&verdict(&node, &["--k3s-version", minor, "--role", "server"]));
        assert_eq!(found.replace(MANIFESTS, "M"), expected, "{minor} {file} {text}");
    }
    let list = r#"{"kind": "List", "apiVersion": "v1", "items": [{"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "shop"}}, {"kind": "PodSecurityPolicy", "apiVersion": "policy/v1beta1"}]}"#;
    let in_shop = "\u{feff}apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: shop}\n";
    let node =
        Node::new().file(&format!("{MANIFESTS}/a.json"), list).file(&format!("{MANIFESTS}/b.yaml"), in_shop);
    let found = || findings(&verdict(&node, &SERVER)).replace(MANIFESTS, "M");
    assert_eq!(found(), "true now [\"manifest-not-served /M/a.json:1\"] later []");
    std::os::unix::fs::symlink("nowhere", node.path().join(MANIFESTS).join("z.yaml")).unwrap();
    assert!(found().contains("manifest-dangling-link /M/z.yaml"), "{}", found());
    let node =
        Node::new().file(&format!("{MANIFESTS}/x.yaml"), psp).file(&format!("{MANIFESTS}/x.yaml.skip"), "");
    assert_eq!(findings(&verdict(&node, &SERVER)), CLEAN);
    let node = Node::new().file(&format!("{MANIFESTS}/x.yaml"), psp);
    assert_eq!(findings(&verdict(&node, &["--k3s-version", "1.33", "--role", "agent"])), CLEAN);
}

/// A running K3s does not see that a manifest changes whose time stays 0; the first pass after a start applies it.
#[test]
fn a_manifest_without_a_time_is_named_where_k3s_has_started() {
    let manifest = format!("{MANIFESTS}/x.yaml");
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: default}\n";
    let found = |seconds: u64, is_started: bool, role: &str| {
        let mut node = Node::new().file(&manifest, text);
        if is_started {
            node = node.file("var/lib/rancher/k3s/server/token", "");
        }
        let file = std::fs::File::options().append(true).open(node.path().join(&manifest)).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds)).unwrap();
        findings(&verdict(&node, &["--k3s-version", "1.33", "--role", role]))
    };
    assert_eq!(
        found(0, true, "server").replace(MANIFESTS, "M"),
        "true now [\"manifest-time /M/x.yaml\"] later []"
    );
    assert_eq!(found(0, false, "server"), CLEAN);
    assert_eq!(found(1, true, "server"), CLEAN);
    assert!(!found(0, true, "agent").contains("manifest-time"));
}

#[test]
fn a_started_cluster_decides_on_encryption() {
    let started = |files: &[(&str, &str)]| {
        let node = files.iter().fold(Node::new(), |node, (path, text)| node.file(path, text));
        findings(&verdict(&node, &SERVER))
    };
    let token = ("var/lib/rancher/k3s/server/token", "");
    let on = (CONFIG, "secrets-encryption: true\n");
    let keys = r#"{"keys": [{"name": "k", "secret": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}]}"#;
    let resources = format!(r#"[{{"resources": ["secrets"], "providers": [{{"aescbc": {keys}}}]}}]"#);
    let kind = r#""kind": "EncryptionConfiguration", "apiVersion": "apiserver.config.k8s.io/v1""#;
    let config = format!(r#"{{{kind}, "resources": {resources}}}"#);
    let encrypted = ("var/lib/rancher/k3s/server/cred/encryption-config.json", config.as_str());
    let late = "\"secrets-encryption-late /etc/rancher/k3s/config.yaml:1\"";
    assert_eq!(started(&[token, on]), format!("true now [{late}] later []"));
    // Only a server that joins another one compares.
    let etcd = ("var/lib/rancher/k3s/server/db/etcd/name", "");
    assert_eq!(started(&[token, on, etcd]), format!("true now [{late}] later []"));
    let joins = ("etc/rancher/k3s/config.yaml.d/join.yaml", "server: https://x:6443\ntoken: t\n");
    assert_eq!(started(&[token, on, etcd, joins]), format!("false now [{late}] later []"));
    let plain = r#"{"resources": [{"providers": [{"identity": {}}, {"aescbc": {}}]}]}"#;
    assert_eq!(started(&[token, (encrypted.0, plain)]), CLEAN, "k3s secrets-encrypt disable");
    assert_eq!(started(&[token, on, encrypted]), CLEAN);
    assert_eq!(started(&[token, encrypted]), "false now [\"secrets-encryption-gone\"] later []");
}

#[test]
fn what_the_installer_supplies_is_a_note() {
    let agent = ["--k3s-version", "1.33", "--role", "agent"];
    let codes = |node: &Node, arguments: &[&str]| -> Vec<String> {
        let verdict = verdict(node, arguments);
        let notes = verdict["notes"].as_array().unwrap().iter();
        notes.map(|note| note["code"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(codes(&Node::new(), &agent), ["kernel-running", "agent-join", "machine"]);
    let joined = Node::new().file(CONFIG, "server: https://x:6443\ntoken: t\n");
    assert_eq!(codes(&joined, &agent), ["kernel-running", "machine"]);
    assert_eq!(codes(&joined, &SERVER), ["kernel-running", "critical-settings", "machine"]);
}

#[test]
fn no_network_policy_means_that_ours_do_nothing() {
    let node = applied(&SERVER).file(CONFIG, "disable-network-policy: true\n");
    assert_eq!(
        findings(&verdict(&node, &[])),
        "true now [\"network-policy-off /etc/rancher/k3s/config.yaml:1\"] later []"
    );
    let other = "disable-network-policy: true\nflannel-backend: none\n";
    let cni = |plugin: &str| {
        let text = format!("{{\"plugins\": [{{\"type\": \"{plugin}\"}}]}}");
        let node = applied(&SERVER).file(CONFIG, other).file("etc/cni/net.d/10-x.conflist", &text);
        findings(&verdict(&node, &[]))
    };
    assert_eq!(cni("flannel"), "true now [\"network-policy-off /etc/rancher/k3s/config.yaml:1\"] later []");
    assert_eq!(cni("mystery"), "true now [\"network-policy-unknown /etc/cni/net.d/10-x.conflist\"] later []");
    assert_eq!(cni("calico"), "true now [] later []");
}

#[test]
fn apply_refuses_a_node_that_would_not_start_and_leaves_it_as_it_was() {
    let node = Node::new().file("etc/sysctl.d/99-tuning.conf", "kernel.panic = 0\n");
    let arguments = ["apply", "-q", "--k3s-version", "1.24", "--role", "server"];
    insta::assert_snapshot!(all(&node.run(&arguments)), @"
    error: /etc/sysctl.d/99-tuning.conf:1:1: K3s would not start: at boot, this line sets kernel.panic to 0, but the kubelet requires 10
     help: remove the line, or let a file that sorts after /etc/sysctl.d/99-tuning.conf set kernel.panic = 10
     help: to apply it anyway: --no-preflight
     help: all changes of this run were rolled back
    [exit 1]
    ");
    let left: Vec<String> = node
        .tree()
        .lines()
        .map(str::to_owned)
        .filter(|line| !line.ends_with("var") && !line.ends_with("var/lib"))
        .collect();
    assert_eq!(left, ["0755 etc", "0755 etc/sysctl.d", "0644 etc/sysctl.d/99-tuning.conf"]);
    let insist: Vec<&str> = arguments.iter().copied().chain(["--no-preflight"]).collect();
    assert_eq!(node.run(&insist).code, 0);
    assert_eq!(node.run(&["preflight"]).code, 2);
}

#[test]
fn the_gate_asks_before_k3s_is_started() {
    let node = Node::new();
    let words = ["render", "--as", "systemd-gate", "--k3s-version", "1.33", "--role", "agent"];
    let output = node.run(&[words.as_slice(), &["--binary", "/usr/bin/k3s-harden"]].concat());
    insta::assert_snapshot!(all(&output), @r#"
    # Keeps K3s from being started where it would not start.
    # Rendered by k3s-harden VERSION from profile cis-1.12.
    # CIS 1.12: none by itself
    # Put it into /etc/systemd/system/k3s-agent.service.d/, then: systemctl daemon-reload
    [Unit]
    # Where one of these cannot be mounted, the unit k3s-harden is not run, and K3s is not started either.
    RequiresMountsFor=/var/lib/k3s-harden /var/lib/rancher/k3s

    [Service]
    # What keeps the service from starting: exit code 2 (K3s would not start), and a unit k3s-harden that is enabled and has
    # failed. What cannot be told does not, nor does a k3s-harden that is gone, is for another machine, or does not know this
    # K3s yet. Each of them is in the journal.
    ExecStartPre=/bin/sh -c 'k=/usr/bin/k3s-harden; said=$$("$$k" --version); code=$$?; \
      case $$said in "k3s-harden "*) ;; *) \
        echo "<3>$$k cannot be run (exit code $$code): nobody is asked whether K3s starts, and it is started.\
    Install k3s-harden there, or remove this drop-in: systemctl cat k3s-agent"; exit 0 ;; \
      esac; \
      case $$(systemctl show --property=ActiveState,ExecMainStatus k3s-harden.service) in \
      *ExecMainStatus=126*|*ExecMainStatus=127*|*ExecMainStatus=203*) ;; \
      *ActiveState=failed*) if systemctl --quiet is-enabled k3s-harden.service; then \
        echo "<3>k3s-harden.service has failed: k3s-agent is not started.\
    Mend what journalctl -u k3s-harden names, then: systemctl start k3s-agent. Or, to go without: systemctl disable k3s-harden"; \
        exit 1; fi ;; \
      esac; \
      "$$k" preflight --role agent; code=$$?; \
      case $$code in \
      0) ;; \
      2) exit 1 ;; \
      *) echo "<4>$$k preflight ended with $$code: it is not known whether K3s starts, and it is started" ;; \
      esac'
    [exit 0]
    "#);
}
