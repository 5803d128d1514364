// SPDX-License-Identifier: Apache-2.0
//! Components that do not run on a node: no flags, no refusal, no verdict, and nothing written for them. The keys that keep
//! each from running are those of pkg/cli/cmds/server.go of K3s, and what they do is Server in pkg/daemons/control/server.go.
#![allow(clippy::unwrap_used, reason = "tests look at files by hand")]

use crate::support::Node;
use k3s_harden::version::KubernetesMinor;
use serde_json::Value;

const CONFIG: &str = "etc/rancher/k3s/config.yaml";
const UNIT: &str = "etc/systemd/system/k3s.service";
const OURS: &str = "etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml";
const WAL: &str = "var/lib/rancher/k3s/server/db/etcd/member/wal/0.wal";
const POLICY: &str = "var/lib/rancher/k3s/server/manifests/policy.yaml";

/// Every component that gets flags, and the key that gives it arguments.
const COMPONENTS: [(&str, &str); 6] = [
    ("cloud-controller-manager", "kube-cloud-controller-manager-arg"),
    ("kube-apiserver", "kube-apiserver-arg"),
    ("kube-controller-manager", "kube-controller-manager-arg"),
    ("kube-proxy", "kube-proxy-arg"),
    ("kube-scheduler", "kube-scheduler-arg"),
    ("kubelet", "kubelet-arg"),
];

/// A switch: its line in config.yaml, its word on the command line, the components that it keeps from running, controls that do
/// not apply then, and one that still does.
struct Switch {
    key: &'static str,
    word: &'static str,
    off: &'static [&'static str],
    not_applicable: &'static [&'static str],
    judged: &'static str,
}

const SWITCHES: [Switch; 6] = [
    Switch {
        key: "disable-apiserver: true\n",
        word: "--disable-apiserver",
        off: &["kube-apiserver"],
        not_applicable: &["1.2.1", "1.2.6", "1.2.16", "1.2.27", "3.2.1", "3.2.2", "5.1.5", "5.2.2", "5.3.2"],
        judged: "1.3.2",
    },
    Switch {
        key: "disable-controller-manager: 't'\n",
        word: "--disable-controller-manager=1",
        off: &["kube-controller-manager"],
        not_applicable: &["1.3.1", "1.3.2", "1.3.6", "1.3.7"],
        judged: "1.2.1",
    },
    Switch {
        key: "disable-scheduler: TRUE\n",
        word: "-disable-scheduler",
        off: &["kube-scheduler"],
        not_applicable: &["1.1.15", "1.1.16", "1.4.1", "1.4.2"],
        judged: "1.3.2",
    },
    Switch {
        key: "disable-kube-proxy: 1\n",
        word: "--disable-kube-proxy",
        off: &["kube-proxy"],
        not_applicable: &["4.1.3", "4.1.4", "4.3.1"],
        judged: "4.2.1",
    },
    Switch {
        key: "disable-agent: true\n",
        word: "--disable-agent",
        off: &["kube-proxy", "kubelet"],
        not_applicable: &["4.1.5", "4.2.1", "4.2.5", "4.2.13", "4.3.1"],
        judged: "1.2.1",
    },
    Switch {
        key: "disable-cloud-controller: true\ndisable: [traefik, servicelb]\n",
        word: "--disable-cloud-controller --disable=traefik,servicelb",
        off: &["cloud-controller-manager"],
        not_applicable: &[],
        judged: "1.3.2",
    },
];

fn json(node: &Node, arguments: &[&str]) -> Value {
    let output = node.run(&[arguments, &["--format", "json"]].concat());
    serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{arguments:?}: {}", output.stderr))
}

fn components(node: &Node, minor: &str) -> Vec<String> {
    let found = json(node, &["effective-config", "--k3s-version", minor]);
    found["components"].as_object().unwrap().keys().cloned().collect()
}

/// Returns whether K3s starts, and the codes of the findings.
fn preflight(node: &Node, arguments: &[&str]) -> (Value, Vec<String>) {
    let verdict = json(node, &[&["preflight"], arguments].concat());
    let findings =
        ["now", "after_reboot", "notes"].into_iter().flat_map(|list| verdict[list].as_array().unwrap());
    let codes = findings.map(|finding| finding["code"].as_str().unwrap().to_owned());
    (verdict["starts"].clone(), codes.collect())
}

fn control(node: &Node, id: &str, minor: &str) -> Value {
    let found = json(node, &["verify", "--k3s-version", minor, "--role", "server"]);
    let controls = found["controls"].as_array().unwrap();
    controls.iter().find(|control| control["id"] == id).unwrap_or_else(|| panic!("{id}")).clone()
}

/// The nodes that say a switch: as a key, and as a word of the service.
fn nodes(switch: &Switch, more: &str) -> [(Node, &'static str); 2] {
    let word = format!("[Service]\nExecStart=/usr/local/bin/k3s server {}\n", switch.word);
    [
        (Node::new().file(CONFIG, format!("{}{more}", switch.key)), "/etc/rancher/k3s/config.yaml"),
        (Node::new().file(UNIT, word).file(CONFIG, more), "/etc/systemd/system/k3s.service"),
    ]
}

#[test]
fn what_is_switched_off_gets_no_flags_no_refusal_and_no_verdict() {
    for switch in &SWITCHES {
        for minor in ["1.26", "1.33", "1.36"] {
            for (node, origin) in nodes(switch, "") {
                let expected: Vec<&str> = COMPONENTS
                    .iter()
                    .map(|(name, _)| *name)
                    .filter(|name| !switch.off.contains(name))
                    .collect();
                assert_eq!(components(&node, minor), expected, "{} {minor}", switch.word);
                for id in switch.not_applicable.iter().filter(|_| minor == "1.33") {
                    let found = control(&node, id, minor);
                    assert_eq!(found["status"], "not_applicable", "{} {id}: {found}", switch.word);
                    let evidence = &found["evidence"][0];
                    assert_eq!(evidence["path"], origin, "{} {id}: {evidence}", switch.word);
                    let key = switch.word.trim_start_matches('-').split(['=', ' ']).next().unwrap();
                    assert!(evidence["text"].as_str().unwrap().contains(key), "{id}: {evidence}");
                }
                let judged = control(&node, switch.judged, minor);
                assert_ne!(judged["status"], "not_applicable", "{} {}", switch.word, switch.judged);
            }
        }
        for (name, key) in COMPONENTS {
            for (node, _) in nodes(switch, &format!("{key}: [no-such-argument=1]\n")) {
                let (starts, codes) = preflight(&node, &["--k3s-version", "1.33", "--role", "server"]);
                let is_off = switch.off.contains(&name);
                // Without a kubelet here K3s starts the scheduler once a node joins.
                let is_later = name == "kube-scheduler" && switch.off.contains(&"kubelet");
                assert_eq!(starts, is_off || is_later, "{} {key}: {codes:?}", switch.word);
                assert_eq!(codes.contains(&"argument-unknown".to_owned()), !is_off, "{} {key}", switch.word);
            }
        }
    }
}

#[test]
fn a_switch_that_is_off_again_changes_nothing() {
    for text in [
        "disable-apiserver: false\ndisable-agent: 0\n",
        "disable-scheduler: f\ndisable-kube-proxy: F\ndisable-controller-manager: 'false'\n",
        "disable-cloud-controller: true\n",
        "disable: servicelb\n",
        "disable-apisever: true\n",
        "#disable-agent: true\n",
    ] {
        let names: Vec<&str> = COMPONENTS.iter().map(|(name, _)| *name).collect();
        assert_eq!(components(&Node::new().file(CONFIG, text), "1.33"), names, "{text}");
    }
    // The last value counts, wherever it is.
    let node = Node::new()
        .file(CONFIG, "disable-scheduler: true\n")
        .file("etc/rancher/k3s/config.yaml.d/50.yaml", "disable-scheduler: false\n");
    assert_eq!(control(&node, "1.4.1", "1.33")["status"], "pass");
    let node = node.file(UNIT, "[Service]\nExecStart=/usr/local/bin/k3s server --disable-scheduler\n");
    assert_eq!(control(&node, "1.4.1", "1.33")["status"], "not_applicable");
}

#[test]
fn the_cloud_controller_manager_has_k3s_own_flags() {
    let flags = |minor: &str, text: &str| {
        let node = Node::new().file(CONFIG, text);
        let found = json(&node, &["effective-config", "--k3s-version", minor]);
        let flags = found["components"]["cloud-controller-manager"].as_array().unwrap().iter();
        flags.map(|flag| flag.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    // A line that K3s 1.26 logged (k3s-io/k3s issue 7328).
    let cred = "/var/lib/rancher/k3s/server/cred/cloud-controller.kubeconfig";
    let logged = [
        "--allocate-node-cidrs=true".to_owned(),
        format!("--authentication-kubeconfig={cred}"),
        format!("--authorization-kubeconfig={cred}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--cloud-config=/var/lib/rancher/k3s/server/etc/cloud-config.yaml".to_owned(),
        "--cloud-provider=k3s".to_owned(),
        "--cluster-cidr=10.42.0.0/16".to_owned(),
        "--configure-cloud-routes=false".to_owned(),
        "--controllers=*,-route".to_owned(),
        format!("--kubeconfig={cred}"),
        "--leader-elect=false".to_owned(),
        "--leader-elect-resource-name=k3s-cloud-controller-manager".to_owned(),
        "--node-status-update-frequency=1m0s".to_owned(),
        "--profiling=false".to_owned(),
    ];
    assert_eq!(flags("1.26", ""), logged);
    let has = |minor: &str, text: &str, flag: &str| flags(minor, text).iter().any(|its| its == flag);
    assert!(has("1.29", "", "--feature-gates=CloudDualStackNodeIPs=true"));
    assert!(has("1.36", "disable: servicelb\n", "--controllers=*,-route,-service"));
    let provider = "disable-cloud-controller: true\n";
    assert!(has("1.36", provider, "--controllers=*,-route,-cloud-node,-cloud-node-lifecycle"));
    assert!(has("1.36", provider, "--secure-port=0"));
    assert!(!has("1.36", "cluster-init: true\n", "--leader-elect=false"));
    for key in ["kube-cloud-controller-manager-arg", "kube-cloud-controller-arg"] {
        assert!(has("1.33", &format!("{key}: [v=4]\n"), "--v=4"), "{key}");
    }
}

#[test]
fn k3s_own_controllers_are_known_in_every_minor() {
    let managers = [
        ("kube-controller-manager", "kube-controller-manager-arg"),
        ("cloud-controller-manager", "kube-cloud-controller-manager-arg"),
    ];
    let ways = ["", "disable-cloud-controller: true\n", "disable: servicelb\n", "cluster-init: true\n"];
    let mut seen = Vec::new();
    for minor in KubernetesMinor::supported().iter().map(ToString::to_string) {
        for way in ways {
            let node = Node::new().file(CONFIG, way);
            let found = json(&node, &["effective-config", "--k3s-version", &minor]);
            for (manager, key) in managers {
                let flags = found["components"][manager].as_array().unwrap().iter();
                let mut flags =
                    flags.filter_map(|flag| flag.as_str().unwrap().strip_prefix("--controllers="));
                let own = flags.next().unwrap().to_owned();
                // As an argument of the user, it is judged as the component judges it.
                let node = Node::new().file(CONFIG, format!("{way}{key}: [\"controllers={own}\"]\n"));
                let output = node.run(&["preflight", "--k3s-version", &minor, "--role", "server"]);
                assert_eq!(output.code, 0, "{minor} {way:?} {manager} {own}: {}", output.stdout);
                seen.push((minor.clone(), manager, own));
            }
        }
    }
    let of_kube = |minor: &str, own: &str| {
        seen.contains(&(minor.to_owned(), "kube-controller-manager", own.to_owned()))
    };
    assert!(of_kube("1.36", "*,tokencleaner,-service,-route,-cloud-node-lifecycle"));
    assert!(of_kube("1.37", "*,tokencleaner"));
    assert!(!of_kube("1.37", "*,tokencleaner,-service,-route,-cloud-node-lifecycle"));
}

#[test]
fn only_what_is_read_there_is_written() {
    let files = |text: &str| {
        let node = Node::new().file(CONFIG, text);
        let kernel = ["--set", "protect_kernel_defaults=true"];
        let apply = ["apply", "--k3s-version", "1.33", "--role", "server", "-q"];
        let output = node.run(&[&apply[..], &kernel].concat());
        assert_eq!(output.code, 0, "{text}: {}", output.stderr);
        let there = |path: &str| node.path().join(path).exists();
        let server = "var/lib/rancher/k3s/server";
        let found: Vec<&str> = ["audit.yaml", "psa.yaml", "manifests/policy.yaml", "logs"]
            .into_iter()
            .filter(|name| there(&format!("{server}/{name}")))
            .chain(there("etc/sysctl.d/90-kubelet.conf").then_some("sysctl"))
            .collect();
        (found.join(" "), node.read(OURS), node)
    };
    let (whole, drop_in, _) = files("");
    assert_eq!(whole, "audit.yaml psa.yaml manifests/policy.yaml logs sysctl");
    for part in
        ["kube-apiserver-arg", "kube-controller-manager-arg", "kubelet-arg", "protect-kernel-defaults"]
    {
        assert!(drop_in.contains(part), "{part}");
    }

    let (found, drop_in, node) = files("disable-apiserver: true\ncluster-init: true\n");
    assert_eq!(found, "sysctl");
    assert!(!drop_in.contains("kube-apiserver-arg") && drop_in.contains("kubelet-arg"), "{drop_in}");
    assert!(drop_in.contains("secrets-encryption: true"), "all servers have the same: {drop_in}");
    // Without the key the next run adds the rest, and with it again the one behind it takes it away.
    let node = node.file(CONFIG, "cluster-init: true\n");
    assert_eq!(node.run(&["apply", "-q"]).code, 0);
    assert!(node.read(OURS).contains("kube-apiserver-arg") && node.path().join(POLICY).exists());
    let node = node.file(CONFIG, "cluster-init: true\ndisable-apiserver: true\n");
    assert_eq!(node.run(&["apply", "-q"]).code, 0);
    assert!(!node.read(OURS).contains("kube-apiserver-arg") && !node.path().join(POLICY).exists());

    let (found, drop_in, _) = files("disable-agent: true\n");
    assert_eq!(found, "audit.yaml psa.yaml manifests/policy.yaml logs");
    assert!(!drop_in.contains("kubelet-arg") && !drop_in.contains("protect-kernel-defaults"), "{drop_in}");
    let (found, drop_in, _) = files("disable-controller-manager: true\n");
    assert_eq!(found, whole);
    assert!(!drop_in.contains("kube-controller-manager-arg"), "{drop_in}");
}

#[test]
fn nobody_reads_what_is_there_for_a_component_that_does_not_run() {
    let starts = |text: &str, more: &[(&str, &str)]| {
        let node =
            more.iter().fold(Node::new().file(CONFIG, text), |node, (path, text)| node.file(path, text));
        preflight(&node, &["--k3s-version", "1.33", "--role", "server"])
    };
    let audit = "kube-apiserver-arg: [audit-policy-file=/nowhere, audit-log-path=/a.log]\n";
    assert_eq!(starts(audit, &[]).0, false);
    let off = "disable-apiserver: true\n";
    assert_eq!(starts(&format!("{off}{audit}"), &[]).0, true);
    let psa = "kube-apiserver-arg: [admission-control-config-file=/psa.yaml]\n";
    let broken = [("psa.yaml", "kind: [\n")];
    assert_eq!(starts(psa, &broken).0, false);
    assert_eq!(starts(&format!("{off}{psa}"), &broken).0, true);
    let kernel = "protect-kernel-defaults: true\n";
    assert_eq!(starts(kernel, &[]).0, false, "the kernel's own values");
    assert_eq!(starts(&format!("disable-agent: true\n{kernel}"), &[]).0, true);
    // For its own listener K3s reads these all the same (pkg/cli/server/server.go).
    let tls = "kube-apiserver-arg: [tls-min-version=1.2]\n";
    let (verdict, codes) = starts(&format!("{off}{tls}"), &[]);
    assert_eq!((verdict, codes.contains(&"argument-tls-version".to_owned())), (false.into(), true));
}

#[test]
fn etcd_goes_before_the_endpoint_and_behind_its_own_switch() {
    let etcd = |node: &Node| control(node, "2.2", "1.33");
    let joins = "server: https://10.0.0.1:6443\ntoken: x\n";
    for (text, log, is_judged) in [
        ("", false, false),
        ("datastore-endpoint: mysql://u:p@tcp(h:3306)/k\n", false, false),
        ("datastore-endpoint: mysql://u:p@tcp(h:3306)/k\n", true, true),
        ("datastore-endpoint: \"\"\ncluster-init: true\n", false, true),
        (joins, false, true),
        ("server: https://10.0.0.1:6443\n", false, false),
        ("server: https://10.0.0.1:6443\ntoken: x\ndisable-etcd: true\n", true, false),
    ] {
        let node = Node::new().file(CONFIG, text);
        let node = if log { node.file(WAL, "") } else { node };
        let found = etcd(&node);
        assert_eq!(found["status"] != "not_applicable", is_judged, "{text}{log}: {found}");
    }
    // A control plane that joins speaks to the etcd of others, with certificates.
    let node = Node::new().file(CONFIG, format!("{joins}disable-etcd: true\n"));
    assert_eq!(etcd(&node)["evidence"][0]["line"], 3);
    assert_eq!(control(&node, "1.2.26", "1.33")["status"], "pass");
}

#[test]
fn a_started_node_says_that_it_logged_a_start() {
    let log = "time=\"t\" level=info msg=\"Running kube-scheduler --profiling=true\"\n";
    let node = Node::new()
        .file(CONFIG, "disable-scheduler: true\n")
        .file("var/lib/rancher/k3s/server/token", "t")
        .file("var/log/k3s.log", log);
    let found = control(&node, "1.4.1", "1.33");
    assert_eq!(found["status"], "not_applicable");
    assert_eq!(found["evidence"][0]["path"], "/etc/rancher/k3s/config.yaml");
    assert_eq!(found["evidence"][1]["path"], "/var/log/k3s.log");
}

#[test]
fn a_scanner_sees_no_line_of_what_does_not_run() {
    let state = |text: &str, id: &str| {
        let node = Node::new().file(CONFIG, text);
        let found =
            json(&node, &["verify", "--as", "kube-bench", "--k3s-version", "1.33", "--role", "server"]);
        let checks = found["controls"].as_array().unwrap();
        checks.iter().find(|check| check["id"] == id).unwrap()["why"].as_str().unwrap().to_owned()
    };
    assert!(state("", "1.2.1").contains("anonymous-auth false"), "{}", state("", "1.2.1"));
    let off = "disable-apiserver: true\n";
    assert!(!state(off, "1.2.1").contains("anonymous-auth false"), "{}", state(off, "1.2.1"));
    let timeout = state("disable-agent: true\n", "4.2.5");
    assert!(timeout.contains("the journal's last line of kubelet does not exist"), "{timeout}");
}

#[test]
fn an_agent_runs_a_kubelet_and_kube_proxy() {
    let node = Node::new().file(CONFIG, "server: https://x:6443\ntoken: t\nkubelet-arg: [no-such=1]\n");
    let found = json(&node, &["effective-config", "--k3s-version", "1.33", "--role", "agent"]);
    let names: Vec<&String> = found["components"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["kube-proxy", "kubelet"]);
    let (starts, codes) = preflight(&node, &["--k3s-version", "1.33", "--role", "agent"]);
    assert_eq!((starts, codes.contains(&"argument-unknown".to_owned())), (false.into(), true));
}

/// K3s starts the scheduler once a node is there.
#[test]
fn the_scheduler_waits_for_a_node() {
    for (config, starts) in [
        ("kube-scheduler-arg: [no-such=1]\n", "false"),
        ("kube-scheduler-arg: [no-such=1]\ndisable-agent: true\n", "true"),
        ("kube-controller-manager-arg: [no-such=1]\ndisable-agent: true\n", "false"),
    ] {
        let node = Node::new().file("etc/rancher/k3s/config.yaml", config);
        let words = ["preflight", "--k3s-version", "1.36", "--role", "server", "--format", "json"];
        let output = node.run(&words).stdout;
        assert!(output.contains(&format!("\"starts\": {starts}")), "{config}: {output}");
        assert!(output.contains("no-such"), "{output}");
    }
}
