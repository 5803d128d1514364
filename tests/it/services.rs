// SPDX-License-Identifier: Apache-2.0
//! Which service of a node starts K3s, and what is said where that is not known.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests lay their nodes by hand")]

use serde_json::Value;

use crate::support::Node;

const UNITS: &str = "etc/systemd/system";

fn unit(command: &str) -> String {
    format!("[Service]\nExecStart={command}\n")
}

fn json(node: &Node, verb: &str, words: &[&str]) -> Value {
    let words = [&[verb, "--k3s-version", "1.33", "--format", "json"], words].concat();
    let run = node.run(&words);
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", run.stdout, run.stderr))
}

fn node(files: &[(&str, &str)]) -> Node {
    files.iter().fold(Node::new(), |node, (path, text)| node.file(path, text))
}

fn link(node: Node, path: &str, target: &str) -> Node {
    let path = node.path().join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(target, path).unwrap();
    node
}

/// The words of the command line; none if preflight does not know whether K3s starts.
fn words(node: &Node) -> Option<Vec<String>> {
    if json(node, "preflight", &["--role", "server"])["starts"].is_null() {
        return None;
    }
    let effective = json(node, "effective-config", &["--role", "server"]);
    Some(effective["argv"].as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect())
}

fn debugs(node: &Node) -> bool {
    words(node).unwrap().contains(&"--debug".to_owned())
}

#[test]
fn any_unit_that_runs_k3s_is_its_service() {
    for (name, command) in [
        ("kube.service", "/opt/bin/k3s server --debug"),
        ("rancher.service", "/bin/sh -c 'exec /usr/local/bin/k3s server --debug'"),
        ("k3s-node.service", "/usr/bin/env A=1 k3s server --debug"),
        ("x.service", "@/usr/local/bin/k3s-arm64 k3s --debug server"),
    ] {
        assert!(debugs(&Node::new().file(&format!("{UNITS}/{name}"), unit(command))), "{name}");
    }
    for command in
        ["/usr/local/bin/k3s etcd-snapshot save --debug", "/usr/local/bin/k3s-harden apply --role server"]
    {
        assert!(
            !debugs(&Node::new().file(&format!("{UNITS}/k3s-other.service"), unit(command))),
            "{command}"
        );
    }
}

#[test]
fn links_lead_to_units_with_the_drop_ins_of_both_names() {
    let debug = "[Service]\nExecStart=\nExecStart=/usr/local/bin/k3s server --debug\n";
    let plain = unit("/usr/local/bin/k3s server");
    let alias = node(&[
        ("usr/lib/systemd/system/k3s.service", &plain),
        ("etc/systemd/system/kubernetes.service.d/10.conf", debug),
    ]);
    assert!(!debugs(&alias));
    let alias = link(alias, "etc/systemd/system/kubernetes.service", "/usr/lib/systemd/system/k3s.service");
    assert!(debugs(&alias));

    // As NixOS has it: the unit lies outside of the folders, and keeps the name of the link.
    let store = node(&[
        ("nix/store/a-unit/other.service", &plain),
        ("etc/systemd/system/k3s.service.d/10.conf", debug),
    ]);
    assert!(debugs(&link(store, "etc/systemd/system/k3s.service", "/nix/store/a-unit/other.service")));

    let instance = node(&[("etc/systemd/system/k3s@.service", &unit("/usr/local/bin/k3s %i"))]);
    assert_eq!(words(&instance), Some(vec!["server".to_owned()]), "no instance is enabled");
    let wants = "etc/systemd/system/multi-user.target.wants/k3s@server.service";
    let instance = link(instance, wants, "/etc/systemd/system/k3s@.service");
    let instance = instance
        .file("etc/systemd/system/k3s@server.service.d/1.conf", "[Service]\nEnvironment=K3S_DEBUG=true\n");
    let effective = json(&instance, "effective-config", &["--role", "server"]);
    assert_eq!(effective["values"]["debug"]["origin"], "K3S_DEBUG in the service");
}

#[test]
fn a_masked_unit_starts_nothing() {
    let hidden = node(&[("usr/lib/systemd/system/k3s.service", &unit("/usr/local/bin/k3s server --debug"))]);
    let masked = link(hidden, "etc/systemd/system/k3s.service", "/dev/null");
    assert!(!debugs(&masked));
    let verdict = json(&masked, "preflight", &["--role", "server"]);
    assert_eq!(verdict["starts"], false);
    assert_eq!(verdict["now"][0]["code"], "service-refused");
    // A drop-in is masked in the same way, and the unit stays.
    let node = node(&[
        ("etc/systemd/system/k3s.service", &unit("/usr/local/bin/k3s server")),
        ("usr/lib/systemd/system/k3s.service.d/1.conf", "[Service]\nEnvironment=K3S_DEBUG=no\n"),
    ]);
    assert_eq!(json(&node, "preflight", &["--role", "server"])["starts"], false);
    let node = link(node, "etc/systemd/system/k3s.service.d/1.conf", "/dev/null");
    assert_eq!(json(&node, "preflight", &["--role", "server"])["starts"], true);
}

#[test]
fn of_two_services_the_enabled_one_counts() {
    let (debug, plain) = (unit("/usr/local/bin/k3s server --debug"), unit("/usr/local/bin/k3s server"));
    let two = || {
        node(&[("etc/systemd/system/k3s-a.service", &debug), ("etc/systemd/system/k3s-b.service", &plain)])
    };
    assert_eq!(words(&two()), None);
    let wants = "etc/systemd/system/multi-user.target.wants";
    let enabled = link(two(), &format!("{wants}/k3s-a.service"), "/etc/systemd/system/k3s-a.service");
    assert!(debugs(&enabled));
    let named = two().file("etc/systemd/system/k3s.service", &debug);
    assert!(debugs(&named));
    // What is left of the other role is not asked.
    let agent = unit("/usr/local/bin/k3s agent --no-such-flag");
    let both =
        node(&[("etc/systemd/system/k3s.service", &debug), ("etc/systemd/system/k3s-agent.service", &agent)]);
    assert!(debugs(&both));
}

#[test]
fn nothing_passes_where_the_command_line_is_not_known() {
    let control = |node: &Node, id: &str| {
        let report = json(node, "verify", &["--role", "server", "--fail-on", "never"]);
        let controls = report["controls"].as_array().unwrap().iter();
        controls.clone().find(|control| control["id"] == id).unwrap().clone()
    };
    let script = "#!/bin/sh\nexec /usr/local/bin/k3s server --kube-apiserver-arg=profiling=true\n";
    for command in [
        "/usr/local/bin/start-k3s.sh",
        "/bin/sh -c 'exec k3s server $ARGS'",
        "/bin/bash -c 'k3s server | tee /var/log/k3s'",
        "/usr/bin/nice -n 5 /usr/local/bin/k3s server",
        "/usr/local/bin/k3s server --node-name=%%v --node-label=a=%v",
        "/usr/local/bin/k3s server $PATH",
    ] {
        let node = node(&[
            ("etc/systemd/system/k3s.service", &unit(command)),
            ("usr/local/bin/start-k3s.sh", script),
        ]);
        let verdict = json(&node, "preflight", &["--role", "server"]);
        assert!(verdict["starts"].is_null(), "{command}: {verdict}");
        assert_eq!(verdict["not_judged"][0]["what"], "service-not-understood", "{command}");
        for id in ["1.2.15", "1.2.1", "2.1", "4.2.4"] {
            let found = control(&node, id);
            assert_eq!(found["status"], "unknown", "{command} {id}");
        }
        assert!(control(&node, "1.2.15")["evidence"].to_string().contains("/etc/systemd/system/k3s.service"));
        let warning = node.run(&["effective-config", "--role", "server", "--k3s-version", "1.33"]).stderr;
        assert!(warning.contains("/etc/systemd/system/k3s.service:2:1"), "{warning}");
    }
    for (path, text) in [
        ("etc/init.d/k3s", "#!/bin/sh\nk3s server\n"),
        (
            "etc/init.d/k3s",
            "#!/sbin/openrc-run\ncommand=/usr/local/bin/k3s\ncommand_args=\"server $(cat /etc/args)\"\n",
        ),
        ("etc/init.d/k3s", "#!/sbin/openrc-run\nstart() {\n  /usr/local/bin/k3s server\n}\n"),
    ] {
        let node = node(&[(path, text)]);
        assert!(json(&node, "preflight", &["--role", "server"])["starts"].is_null(), "{text}");
        assert_eq!(control(&node, "1.2.15")["status"], "unknown", "{text}");
    }
}

#[test]
fn what_systemd_refuses_does_not_start() {
    let k3s = "ExecStart=/usr/local/bin/k3s server\n";
    for text in [
        format!("[Service]\n{k3s}{k3s}"),
        format!("[Service]\n{k3s}EnvironmentFile=/etc/no\n"),
        "[Unit]\n".to_owned(),
        "[Service]\nExecStart=/usr/local/bin/k3s server 'a\n".to_owned(),
    ] {
        let node = Node::new().file("etc/systemd/system/k3s.service", &text);
        let verdict = json(&node, "preflight", &["--role", "server"]);
        assert_eq!(verdict["starts"], false, "{text}");
        assert_eq!(verdict["now"][0]["code"], "service-refused", "{text}");
    }
}

#[test]
fn a_script_that_stands_for_k3s_may_change_its_words() {
    let passing =
        "#!/bin/sh\nPATH=/opt/bin:$PATH\nexport PATH\nexec -a \"$0\" /opt/k3s/.k3s-wrapped \"$@\"\n";
    let adding = "#!/bin/sh\nexec /opt/k3s/k3s \"$@\" --kube-apiserver-arg=profiling=true\n";
    let service = unit("/usr/local/bin/k3s server --debug");
    for (script, is_known) in [(passing, true), (adding, false)] {
        let node =
            node(&[("etc/systemd/system/k3s.service", service.as_str()), ("usr/local/bin/k3s", script)]);
        assert_eq!(words(&node).is_some(), is_known, "{script}");
    }
    let own_name = node(&[
        ("etc/systemd/system/k3s.service", unit("/usr/local/bin/k3s-server").as_str()),
        ("usr/local/bin/k3s-server", "#!/bin/sh\nexec /usr/local/bin/k3s server --debug\n"),
    ]);
    assert_eq!(words(&own_name), None);
    // The script is named after K3s, and the service is not.
    let node = node(&[
        ("etc/systemd/system/kube.service", unit("/usr/local/bin/start-k3s.sh").as_str()),
        ("usr/local/bin/start-k3s.sh", "#!/bin/sh\nexec /usr/local/bin/k3s server --debug\n"),
    ]);
    assert_eq!(words(&node), None);
}

#[test]
fn an_init_script_of_any_name_is_its_service() {
    let script = "#!/sbin/openrc-run\ncommand=/usr/local/bin/k3s\ncommand_args=\"server --debug\"\n";
    assert!(debugs(&node(&[("etc/init.d/kube", script)])));
    // What only depends on K3s starts something else.
    let other = "#!/sbin/openrc-run\ndepend() {\n  need k3s\n}\nstart() {\n  /usr/local/bin/agent\n}\n";
    assert_eq!(words(&node(&[("etc/init.d/other", other)])), Some(vec!["server".to_owned()]));
    let called = "#!/sbin/openrc-run\ncommand=/usr/local/bin/k3s\ncommand_args=server\nstart_pre() {\n  more\n}\nmore() {\n  command_args=\"server --debug\"\n}\n";
    assert_eq!(words(&node(&[("etc/init.d/k3s", called)])), None);
}

#[test]
fn units_are_read_where_there_is_a_systemd() {
    let script = "#!/sbin/openrc-run\ncommand=/usr/local/bin/k3s\ncommand_args=\"server --debug\"\n";
    let both = || {
        node(&[
            ("etc/systemd/system/k3s.service", unit("/usr/local/bin/k3s server").as_str()),
            ("etc/init.d/k3s", script),
        ])
    };
    assert!(!debugs(&both()));
    assert!(debugs(&both().file("sbin/openrc-run", "")));
    assert!(!debugs(&both().file("sbin/openrc-run", "").file("lib/systemd/systemd", "")));
}

/// Where `apply` goes with a command line that is known in part: the drop-in and the audit policy.
#[test]
fn apply_writes_where_k3s_reads_or_nowhere() {
    let apply = |service: &str, words: &[&str]| {
        let node = node(&[("etc/systemd/system/k3s.service", &format!("[Service]\n{service}\n"))])
            .file("etc/k3s/own.yaml", "data-dir: /srv/own\n");
        let words = [&["apply", "--k3s-version", "1.33", "--role", "server"], words].concat();
        let run = node.run(&words);
        (node, run)
    };
    let k3s = "ExecStart=/usr/local/bin/k3s server";
    for (service, drop_in, folder) in [
        (format!("{k3s} --node-label=a=%v"), "etc/rancher/k3s/config.yaml.d", "var/lib/rancher/k3s"),
        (format!("{k3s} --node-label=a=%v -d /srv/k3s"), "etc/rancher/k3s/config.yaml.d", "srv/k3s"),
        (format!("{k3s} --config /etc/k3s/own.yaml --node-label=a=%v"), "etc/k3s/own.yaml.d", "srv/own"),
        (format!("PassEnvironment=K3S_TOKEN\n{k3s} -c=/etc/k3s/own.yaml"), "etc/k3s/own.yaml.d", "srv/own"),
    ] {
        let (node, run) = apply(&service, &[]);
        assert_eq!(run.code, 0, "{service}: {}", run.stderr);
        for path in [format!("{drop_in}/90-k3s-harden.yaml"), format!("{folder}/server/audit.yaml")] {
            assert!(node.path().join(&path).exists(), "{service}: {}", node.tree());
        }
    }
    for service in [
        "ExecStart=/bin/sh -c 'exec /usr/local/bin/k3s server $ARGS'",
        "ExecStart=/usr/bin/nice /usr/local/bin/k3s server",
        "ExecStart=/usr/local/bin/k3s server --data-dir /srv/%v",
        "ExecStart=/usr/local/bin/k3s server --config=/etc/k3s/%v.yaml",
        "PassEnvironment=K3S_CONFIG_FILE\nExecStart=/usr/local/bin/k3s server",
    ] {
        let (node, refused) = apply(service, &[]);
        assert_eq!(refused.code, 65, "{service}: {}", refused.stderr);
        assert!(refused.stderr.contains("/etc/systemd/system/k3s.service:2:1"), "{}", refused.stderr);
        assert!(!node.path().join("var/lib/rancher").exists(), "{service}: {}", node.tree());
        // Who names the directory knows how K3s is started.
        let (node, named) = apply(service, &["--data-dir", "/srv/named"]);
        if service.contains("--config") {
            assert_eq!(named.code, 65, "{service}: {}", named.stderr);
            assert!(named.stderr.contains("write the name of the file in full"), "{}", named.stderr);
            continue;
        }
        assert_eq!(named.code, 0, "{service}: {}", named.stderr);
        assert!(node.path().join("srv/named/server/audit.yaml").exists(), "{service}: {}", node.tree());
    }
}
