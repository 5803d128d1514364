// SPDX-License-Identifier: Apache-2.0
//! How K3s takes the arguments of its components: one list behind old and new names, and the kubelet's in pairs from 1.32 on
//! (extractConfigArgs in pkg/daemons/agent/agent.go, GetArgs in pkg/util/args.go of K3s).
#![allow(clippy::unwrap_used, reason = "tests look at files by hand")]

use crate::support::Node;
use serde_json::Value;

const CONFIG: &str = "etc/rancher/k3s/config.yaml";
const DROP_INS: &str = "etc/rancher/k3s/config.yaml.d";
const UNIT: &str = "etc/systemd/system/k3s.service";
const KUBELET: &str =
    "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\npodPidsLimit: 100\n";

fn json(node: &Node, arguments: &[&str]) -> Value {
    let output = node.run(&[arguments, &["--format", "json"]].concat());
    serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{arguments:?}: {}", output.stderr))
}

/// Returns the values that a component gets for a flag, in their order.
fn values(node: &Node, minor: &str, component: &str, flag: &str) -> Vec<String> {
    let found = json(node, &["effective-config", "--k3s-version", minor, "--role", "server"]);
    let flags = found["components"][component].as_array().unwrap().iter();
    let value = |flag_and_value: &Value| {
        let (name, value) = flag_and_value.as_str().unwrap().split_once('=').unwrap();
        (name == format!("--{flag}")).then(|| value.to_owned())
    };
    flags.filter_map(value).collect()
}

fn status(node: &Node, minor: &str, id: &str) -> String {
    let found = json(node, &["verify", "--k3s-version", minor, "--role", "server"]);
    let controls = found["controls"].as_array().unwrap();
    controls.iter().find(|control| control["id"] == id).unwrap()["status"].as_str().unwrap().to_owned()
}

/// Returns whether K3s starts, and each finding as `code place`.
fn preflight(node: &Node, minor: &str) -> (Value, Vec<String>) {
    let verdict = json(node, &["preflight", "--k3s-version", minor, "--role", "server"]);
    let findings =
        ["now", "after_reboot", "notes"].into_iter().flat_map(|list| verdict[list].as_array().unwrap());
    let texts = findings.map(|finding| {
        format!("{} {}:{}:{}", finding["code"], finding["path"], finding["line"], finding["column"])
            .replace('"', "")
    });
    (verdict["starts"].clone(), texts.collect())
}

#[test]
fn old_and_new_names_fill_one_list_in_the_order_of_the_command_line() {
    let (new, old) = ("kube-controller-manager-arg", "kube-controller-arg");
    let gc = |node: &Node| values(node, "1.33", "kube-controller-manager", "terminated-pod-gc-threshold");
    let threshold = |key: &str, value: u8| format!("{key}: [terminated-pod-gc-threshold={value}]\n");
    for (config, drop_in, expected) in [
        (threshold(new, 1) + &threshold(old, 2), String::new(), "1 2"),
        (threshold(old, 2) + &threshold(new, 1), String::new(), "2 1"),
        // A key keeps the place at which it was first seen.
        (threshold(new, 1) + &threshold(old, 2), threshold(new, 3), "3 2"),
        (threshold(new, 1) + &threshold(old, 2), threshold(&format!("{new}+"), 3), "1 3 2"),
        (threshold(old, 2), threshold(new, 3), "2 3"),
    ] {
        let node = Node::new().file(CONFIG, &config).file(&format!("{DROP_INS}/50.yaml"), &drop_in);
        assert_eq!(gc(&node).join(" "), expected, "{config}{drop_in}");
        let is_met = !expected.ends_with('0');
        assert_eq!(status(&node, "1.33", "1.3.1") == "pass", is_met);
        // The words of the service come behind all of them.
        let word = "[Service]\nExecStart=/usr/local/bin/k3s server --kube-controller-arg terminated-pod-gc-threshold=0\n";
        let node = node.file(UNIT, word);
        assert_eq!(gc(&node).join(" "), format!("{expected} 0"), "{config}{drop_in}");
        assert_ne!(status(&node, "1.33", "1.3.1"), "pass", "{config}{drop_in}");
    }
    // Ours does not win behind it, and apply says where.
    let config = format!("{new}: [v=2]\n{}", threshold(old, 0));
    let node = Node::new().file(CONFIG, &config);
    let output = node.run(&["apply", "--k3s-version", "1.33", "--role", "server"]);
    assert_eq!(output.code, 0);
    assert!(
        output.stderr.contains("config.yaml:2:23 passes kube-controller-manager the argument"),
        "{}",
        output.stderr
    );
    assert_ne!(status(&node, "1.33", "1.3.1"), "pass");
    // Before it, it does.
    let node = Node::new().file(CONFIG, threshold(old, 0));
    assert_eq!(node.run(&["apply", "--k3s-version", "1.33", "--role", "server"]).code, 0);
    assert_eq!(status(&node, "1.33", "1.3.1"), "pass");
}

#[test]
fn unknown_arguments_stop_k3s_under_every_name() {
    for key in [
        "kube-controller-arg",
        "kube-controller-manager-arg",
        "kube-cloud-controller-arg",
        "kube-cloud-controller-manager-arg",
    ] {
        let node = Node::new().file(CONFIG, format!("{key}: [v=2, no-such]\n"));
        let (starts, found) = preflight(&node, "1.33");
        assert_eq!(starts, false, "{key}");
        let column = key.len() + 9;
        assert_eq!(found[0], format!("argument-unknown /etc/rancher/k3s/config.yaml:1:{column}"), "{key}");
        let fine = Node::new().file(CONFIG, format!("{key}: [v=2]\n"));
        assert_eq!(preflight(&fine, "1.33").0, true, "{key}");
    }
}

#[test]
fn the_kubelet_configuration_may_be_two_items() {
    let node = |list: &str| {
        let node = Node::new().file(CONFIG, format!("kubelet-arg: {list}\n"));
        node.file("etc/k.yaml", KUBELET)
            .file("etc/k.d/10.conf", KUBELET)
            .file("etc/bare.yaml", "podPidsLimit: 1\n")
    };
    for list in
        ["[config, /etc/k.yaml]", "[--config, /etc/k.yaml]", "[config=/etc/k.yaml]", "[config-dir, /etc/k.d]"]
    {
        for minor in ["1.32", "1.36"] {
            assert_eq!(preflight(&node(list), minor).0, true, "{list} {minor}");
            assert_eq!(status(&node(list), minor, "4.2.13"), "pass", "{list} {minor}");
        }
    }
    for (list, code) in [
        ("[\"config=\"]", "kubelet-config-empty"),
        ("[config]", "kubelet-config-empty"),
        ("[config-dir=]", "kubelet-config-empty"),
        ("[\"--config-dir\", \"\"]", "kubelet-config-empty"),
        ("[config, /etc/none.yaml]", "argument-file-missing"),
        ("[config=/etc]", "argument-file-missing"),
        ("[config-dir=/etc/none.d]", "argument-file-missing"),
    ] {
        let (starts, found) = preflight(&node(list), "1.33");
        assert_eq!(starts, false, "{list}");
        assert!(
            found[0].starts_with(&format!("{code} /etc/rancher/k3s/config.yaml:1:")),
            "{list}: {found:?}"
        );
    }
    let (starts, found) = preflight(&node("[config, /etc/bare.yaml]"), "1.33");
    assert_eq!(
        (starts, found[0].starts_with("kubelet-file /etc/bare.yaml")),
        (false.into(), true),
        "{found:?}"
    );
    // Of several the last counts.
    assert_eq!(preflight(&node("[config=/etc/none.yaml, config=/etc/k.yaml]"), "1.33").0, true);
    // Before 1.32 an item is a flag of the kubelet, whatever comes behind it.
    assert_eq!(preflight(&node("[config, /etc/k.yaml]"), "1.31").0, false);
}

#[test]
fn an_item_without_a_value_takes_the_next_one_with_it() {
    let list = "kubelet-arg: [seccomp-default, pod-max-pids=100, max-pods=99]\n";
    let node = Node::new().file(CONFIG, list);
    for minor in ["1.32", "1.33", "1.36"] {
        assert_eq!(values(&node, minor, "kubelet", "pod-max-pids"), [""; 0], "{minor}");
        assert_eq!(values(&node, minor, "kubelet", "seccomp-default"), ["true"]);
        assert_eq!(values(&node, minor, "kubelet", "max-pods"), ["99"]);
        let (starts, found) = preflight(&node, minor);
        assert_eq!(starts, true);
        assert!(
            found.contains(&"argument-swallowed /etc/rancher/k3s/config.yaml:1:32".to_owned()),
            "{found:?}"
        );
    }
    assert_eq!(values(&node, "1.31", "kubelet", "pod-max-pids"), ["100"]);
    assert!(!preflight(&node, "1.31").1.iter().any(|finding| finding.starts_with("argument-swallowed")));
    // Nobody hears of an unknown argument that is lost.
    let lost = Node::new().file(CONFIG, "kubelet-arg: [seccomp-default, no-such=1]\n");
    assert_eq!((preflight(&lost, "1.33").0, preflight(&lost, "1.31").0), (true.into(), false.into()));
    // Nor of a file that is lost; a K3s that hands the arguments on gives the kubelet both.
    let lost = Node::new().file(CONFIG, "kubelet-arg: [seccomp-default, config=/etc/none.yaml]\n");
    assert_eq!((preflight(&lost, "1.33").0, preflight(&lost, "1.31").0), (true.into(), false.into()));
    let said = node.run(&["plan", "--k3s-version", "1.33", "--role", "server"]).stderr;
    assert!(said.contains("config.yaml:1:32: the kubelet never gets \"pod-max-pids=100\""), "{said}");
}

#[test]
fn none_of_our_arguments_is_taken_by_an_item_before_it() {
    let ours = format!("{DROP_INS}/90-k3s-harden.yaml");
    for (list, kept) in [
        ("[max-pods=99, seccomp-default]", "seccomp-default=true"),
        ("[\"--fail-swap-on\"]", "fail-swap-on=true"),
        ("[config, /etc/k.yaml, max-pods=99, serialize-image-pulls]", "config=/etc/k.yaml"),
        ("[fail-swap-on, max-pods=99, seccomp-default]", "fail-swap-on=true"),
    ] {
        let node = Node::new().file(CONFIG, format!("kubelet-arg: {list}\n")).file("etc/k.yaml", KUBELET);
        let before = values(&node, "1.33", "kubelet", "max-pods");
        let output = node.run(&["apply", "--k3s-version", "1.33", "--role", "server"]);
        assert_eq!(output.code, 0, "{list}: {}", output.stderr);
        let text = node.read(&ours);
        assert!(text.contains("kubelet-arg:") && text.contains(kept), "{list}: {text}");
        for flag in ["make-iptables-util-chains", "streaming-connection-idle-timeout", "tls-cipher-suites"] {
            assert_eq!(values(&node, "1.33", "kubelet", flag).len(), 1, "{list}: {flag}: {text}");
        }
        assert_eq!(values(&node, "1.33", "kubelet", "max-pods"), before, "what was lost stays so: {list}");
        assert_eq!(status(&node, "1.33", "4.2.12"), "pass", "{list}");
        assert_eq!(node.run(&["apply"]).stdout, "Nothing to change.\n");
    }
    // Where nothing is taken, ours are appended.
    for (list, minor) in
        [("[max-pods=99]", "1.33"), ("[fail-swap-on, x]", "1.33"), ("[max-pods=99, fail-swap-on]", "1.31")]
    {
        let node = Node::new().file(CONFIG, format!("kubelet-arg: {list}\n"));
        node.run(&["apply", "--k3s-version", minor, "--role", "server", "--no-preflight"]);
        assert!(node.read(&ours).contains("kubelet-arg+:"), "{list}: {}", node.read(&ours));
    }
}

#[test]
fn names_and_values_are_what_k3s_makes_of_them() {
    let node = |list: &str| Node::new().file(CONFIG, format!("kube-scheduler-arg: {list}\n"));
    for (list, starts) in [
        ("[profiling]", true),
        ("[\"--profiling=false\"]", true),
        ("[\"profiling+=false\"]", true),
        ("[\"bind-address-=127.0.0.1\"]", true),
        // The scheduler's flag set does not make dashes of underscores (NewSchedulerCommand in cmd/kube-scheduler/app).
        ("[leader_elect_resource_name=x]", false),
        ("[leader-elect-resource-name=x]", true),
        ("[\"=x\"]", false),
        ("[\"\"]", false),
        ("[\"--=true\"]", false),
        ("[\"profiling =true\"]", false),
        ("[\"-profiling=true\"]", false),
        ("[\"profiling= true\"]", false),
    ] {
        assert_eq!(preflight(&node(list), "1.33").0, starts, "{list}");
    }
    assert_eq!(status(&node("[profiling]"), "1.33", "1.4.1"), "fail");
    assert_eq!(status(&node("[\"profiling+=true\"]"), "1.33", "1.4.1"), "fail");
    assert_eq!(status(&node("[\"profiling-=true\"]"), "1.33", "1.4.1"), "pass", "K3s's own comes behind it");
}

/// What its component does not know under that name is no evidence.
#[test]
fn underscores_make_no_pass() {
    let node = |argument: &str| Node::new().file(CONFIG, format!("kube-apiserver-arg: [{argument}]\n"));
    assert_eq!(status(&node("audit-log-maxage=30"), "1.33", "1.2.17"), "pass");
    assert_ne!(status(&node("audit_log_maxage=30"), "1.33", "1.2.17"), "pass");
}

/// K3s takes `config-dir` out of the kubelet's arguments, but not with an underscore, which only the kubelet reads: then the kubelet
/// reads that folder alone, without what K3s writes (seen with Kubernetes' own code of 1.37.2).
#[test]
fn a_folder_named_with_an_underscore_is_the_only_one_that_the_kubelet_reads() {
    let minor = "1.37";
    let config = |text: &str| Node::new().file(CONFIG, format!("kubelet-arg: [\"{text}\"]\n"));
    // K3s would copy a folder that is around its own into itself.
    let around = ["config-dir=/", "--config-dir=/var/lib"];
    for refused in ["config_dir=/nope", "config-dir=/nope", "config_dir+=/nope"].into_iter().chain(around) {
        let (starts, findings) = preflight(&config(refused), minor);
        assert_eq!(starts, false, "{refused}: {findings:?}");
        assert!(findings.iter().any(|finding| finding.contains("config.yaml:1:15")), "{findings:?}");
    }
    let limited = |text: &str| config(text).file("opt/kubelet/50.conf", KUBELET);
    // 4.2.1: K3s's own drop-in forbids anonymous requests; the kubelet by itself has them.
    let (hyphen, underscore) = (limited("config-dir=/opt/kubelet"), limited("config_dir=/opt/kubelet"));
    for (node, expected) in [(&hyphen, "pass"), (&underscore, "fail")] {
        assert_eq!(preflight(node, minor).0, true);
        assert_eq!(status(node, minor, "4.2.1"), expected);
    }
    // It walks no symlink, and reads a file as what it is.
    let linked = config("config_dir=/opt/link").file("opt/kubelet/50.conf", "no: [YAML");
    std::os::unix::fs::symlink("kubelet", linked.path().join("opt/link")).unwrap();
    assert_eq!(preflight(&linked, minor).0, true);
    for (file, starts) in [("opt/kubelet.conf", false), ("opt/kubelet.yaml", true)] {
        let node = config(&format!("config_dir=/{file}")).file(file, "no: [YAML");
        assert_eq!(preflight(&node, minor).0, starts, "{file}");
    }
}

/// What ends a component, or K3s, by the place of a value among others of its name (seen with Kubernetes' own code of 1.37.2, and
/// in getArgValueFromList in pkg/cli/server/server.go of K3s).
#[test]
fn of_several_values_each_is_judged_by_its_place() {
    for (key, items, expected) in [
        ("kubelet-arg", "reserved-memory=, reserved-memory=", false),
        ("kubelet-arg", "reserved-memory=, \"reserved-memory=0:memory=1Gi\"", false),
        ("kubelet-arg", "reserved-memory=", true),
        ("kube-proxy-arg", "healthz-bind-address=, healthz-bind-address=", true),
        ("kube-proxy-arg", "healthz-bind-address=, \"healthz-bind-address=0.0.0.0:10256\"", false),
        // The scheduler takes the last, and K3s itself the first of the API server's.
        ("kube-scheduler-arg", "tls-min-version=x, tls-min-version=VersionTLS12", true),
        ("kube-scheduler-arg", "tls-min-version=VersionTLS12, tls-min-version=x", false),
        ("kube-apiserver-arg", "tls-min-version=x, tls-min-version=VersionTLS12", false),
        ("kube-apiserver-arg", "tls-min-version=VersionTLS13, tls-min-version=VersionTLS12", true),
        ("kube-apiserver-arg", "--tls-min-version=x, tls-min-version=VersionTLS12", true),
        // Without a value K3s panics.
        ("kube-apiserver-arg", "tls-min-version, tls-min-version=VersionTLS12", false),
        ("kube-apiserver-arg", "tls-cipher-suites", false),
    ] {
        let node = Node::new().file(CONFIG, format!("{key}: [{items}]\n"));
        let (starts, findings) = preflight(&node, "1.37");
        assert_eq!(starts, expected, "{key}: {items}: {findings:?}");
    }
}
