// SPDX-License-Identifier: Apache-2.0
//! Nodes whose service names another configuration file or data directory than the default: `apply` writes where K3s
//! reads, `verify` judges what K3s reads, and `rollback` puts every byte back.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;

use serde_json::Value;

use crate::support::journal::of_0_1_0;
use crate::support::{Node, Output, walk};

const UNIT: &str = "etc/systemd/system/k3s.service";
const OWN: &str = "etc/k3s/own.yaml";
const OWN_DROP_IN: &str = "etc/k3s/own.yaml.d/90-k3s-harden.yaml";
const DEFAULT_DROP_IN: &str = "etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml";
const AUDIT: &str = "var/lib/rancher/k3s/server/audit.yaml";
/// Controls that the drop-in alone meets, and one of the files of the data directory.
const MET: [&str; 4] =
    ["audit-log-path", "terminated-pod-gc-threshold", "streaming-connection-idle-timeout", "audit-policy"];

fn unit(words: &str) -> String {
    format!(
        "[Unit]\nDescription=K3s\n\n[Service]\nType=notify\nExecStart=/usr/local/bin/k3s server {words}\n"
    )
}

/// A node with the folders that every system has: what a run makes above its own state directory stays.
fn empty() -> Node {
    Node::new().file("var/lib/os/any", "")
}

/// A node whose service has `words` behind `server`, and a configuration file of its own.
fn node(words: &str) -> Node {
    empty().file(UNIT, unit(words)).file(OWN, "token: x\nkube-apiserver-arg: [v=2]\n")
}

fn run(node: &Node, words: &[&str]) -> Output {
    node.run(&[words, &["--k3s-version", "1.33", "--role", "server"]].concat())
}

fn apply(node: &Node) -> Output {
    let output = run(node, &["apply"]);
    assert_eq!(output.code, 0, "{}{}", output.stdout, output.stderr);
    output
}

/// Returns the state of a control, by its name.
fn state(node: &Node, name: &str) -> String {
    let output = run(node, &["verify", "--format", "json"]);
    let report: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{}", output.stderr));
    let control = report["controls"].as_array().unwrap().iter().find(|control| control["name"] == *name);
    control.unwrap_or_else(|| panic!("{name}"))["status"].as_str().unwrap().to_owned()
}

/// Returns the bytes, modes and link targets below a root, without the state directory.
fn bytes(node: &Node) -> BTreeMap<String, String> {
    let state = |path: &str, mode: &str| {
        let full = node.path().join(path);
        let metadata = fs::symlink_metadata(&full).unwrap();
        if metadata.is_symlink() {
            return format!("link to {}", fs::read_link(&full).unwrap().display());
        }
        let text = if metadata.is_file() { fs::read_to_string(&full).unwrap() } else { String::new() };
        format!("{mode} {text}")
    };
    let all = walk(node.path()).into_iter();
    let all = all.map(|(path, mode)| (path.to_str().unwrap().to_owned(), mode));
    all.filter(|(path, _)| !path.starts_with("var/lib/k3s-harden"))
        .map(|(path, mode)| (path.clone(), state(&path, &mode)))
        .collect()
}

/// Applies, checks that the drop-in is in force at `drop_in`, that a second run has nothing to do, and that the first
/// state comes back.
fn holds(node: &Node, drop_in: &str, before: &BTreeMap<String, String>) {
    apply(node);
    assert!(node.path().join(drop_in).exists(), "{}", node.tree());
    if drop_in != DEFAULT_DROP_IN {
        assert!(!node.path().join(DEFAULT_DROP_IN).exists(), "{}", node.tree());
    }
    for name in MET {
        assert_eq!(state(node, name), "pass", "{name}");
    }
    let found = run(node, &["effective-config", "--format", "json"]);
    let found: Value = serde_json::from_str(&found.stdout).unwrap();
    let (values, files) = (&found["values"], found["files"].to_string());
    assert_eq!(values["secrets-encryption"]["value"], "true", "{values}");
    assert!(files.contains(&format!("/{drop_in}")), "{files}");
    let again = apply(node);
    assert_eq!((again.stdout.as_str(), again.stderr.as_str()), ("Nothing to change.\n", ""));
    let back = node.run(&["rollback"]);
    assert_eq!(back.code, 0, "{}", back.stderr);
    assert_eq!(bytes(node), *before);
}

#[test]
fn the_drop_in_goes_beside_the_file_that_the_service_names() {
    for (words, drop_in) in [
        ("--config /etc/k3s/own.yaml", OWN_DROP_IN),
        ("--config=/etc/k3s/own.yaml", OWN_DROP_IN),
        ("-c /etc/k3s/own.yaml", OWN_DROP_IN),
        ("-c=/etc/k3s/own.yaml", OWN_DROP_IN),
        ("--config etc/k3s/own.yaml", OWN_DROP_IN),
        ("--config ./etc//k3s/own.yaml", OWN_DROP_IN),
        ("--config /etc/k3s/../k3s/own.yaml", OWN_DROP_IN),
        ("--config /etc/k3s/own.yaml --config /etc/k3s/two.yaml", OWN_DROP_IN),
        ("--config /srv/new/k3s/none.yaml", "srv/new/k3s/none.yaml.d/90-k3s-harden.yaml"),
        ("", DEFAULT_DROP_IN),
    ] {
        let node = node(words);
        let before = bytes(&node);
        holds(&node, drop_in, &before);
    }
}

#[test]
fn the_variable_counts_more_than_the_word() {
    for (environment, drop_in) in [
        ("Environment=K3S_CONFIG_FILE=/etc/k3s/own.yaml", OWN_DROP_IN),
        ("EnvironmentFile=-/etc/k3s.env", "etc/file/env.yaml.d/90-k3s-harden.yaml"),
        ("Environment=K3S_CONFIG_FILE=", "etc/k3s/word.yaml.d/90-k3s-harden.yaml"),
    ] {
        let text = unit("--config /etc/k3s/word.yaml").replace("Type=notify", environment);
        let node = node("")
            .file(UNIT, text)
            .file("etc/k3s.env", "K3S_CONFIG_FILE='/etc/file/env.yaml'\n")
            .file("etc/file/env.yaml", "debug: true\n");
        let before = bytes(&node);
        holds(&node, drop_in, &before);
    }
}

#[test]
fn drop_ins_of_the_unit_and_init_scripts_name_the_file_too() {
    let by_drop_in = node("--config /etc/k3s/old.yaml").file(
        "etc/systemd/system/k3s.service.d/own.conf",
        "[Service]\nExecStart=\nExecStart=/usr/local/bin/k3s server -c /etc/k3s/own.yaml\n",
    );
    let by_script = empty()
        .file("etc/init.d/k3s", "#!/sbin/openrc-run\ncommand=\"/usr/local/bin/k3s\"\ncommand_args=\"server --config /etc/k3s/own.yaml >>/var/log/k3s.log 2>&1\"\n")
        .file(OWN, "debug: true\n");
    for node in [by_drop_in, by_script] {
        let before = bytes(&node);
        holds(&node, OWN_DROP_IN, &before);
    }
}

#[test]
fn folders_are_made_as_beside_the_default_file_and_links_are_followed() {
    let node = node("--config /srv/new/k3s/own.yaml");
    apply(&node);
    for folder in ["srv/new", "srv/new/k3s", "srv/new/k3s/own.yaml.d"] {
        assert_eq!(node.mode(folder), "0755", "{folder}");
    }
    assert_eq!(node.mode("srv/new/k3s/own.yaml.d/90-k3s-harden.yaml"), "0600");

    let linked = self::node("--config /etc/k3s/link.yaml").file("srv/drop-ins/10-user.yaml", "debug: true\n");
    symlink("own.yaml", linked.path().join("etc/k3s/link.yaml")).unwrap();
    symlink("../../srv/drop-ins", linked.path().join("etc/k3s/link.yaml.d")).unwrap();
    let before = bytes(&linked);
    holds(&linked, "etc/k3s/link.yaml.d/90-k3s-harden.yaml", &before);
}

#[test]
fn a_service_that_changes_afterwards_is_no_longer_hardened_until_the_next_apply() {
    let node = node("");
    let before = bytes(&node);
    apply(&node);
    assert_eq!(state(&node, MET[1]), "pass");
    fs::write(node.path().join(UNIT), unit("--config /etc/k3s/own.yaml")).unwrap();
    for name in &MET[..2] {
        let found = state(&node, name);
        assert!(
            ["fail", "warn"].contains(&found.as_str()),
            "{name}: {found}, and K3s reads another file now"
        );
    }
    let moved = apply(&node);
    assert!(moved.stderr.contains("K3s reads /etc/k3s/own.yaml"), "{}", moved.stderr);
    assert!(node.path().join(OWN_DROP_IN).exists() && !node.path().join(DEFAULT_DROP_IN).exists());
    assert_eq!(state(&node, MET[1]), "pass");
    assert_eq!(apply(&node).stdout, "Nothing to change.\n");
    assert_eq!(node.run(&["rollback"]).code, 0);
    assert!(!node.path().join(OWN_DROP_IN).exists() && node.path().join(DEFAULT_DROP_IN).exists());
    assert_eq!(node.run(&["rollback"]).code, 0);
    fs::write(node.path().join(UNIT), unit("")).unwrap();
    assert_eq!(bytes(&node), before);

    apply(&node);
    fs::write(node.path().join(UNIT), unit("--config /etc/k3s/own.yaml")).unwrap();
    apply(&node);
    assert_eq!(node.run(&["uninstall"]).code, 0);
    fs::write(node.path().join(UNIT), unit("")).unwrap();
    assert_eq!(bytes(&node), before);
}

#[test]
fn where_k3s_reads_no_configuration_file_nothing_is_written() {
    for words in ["--config=", "--config https://config.example/k3s.yaml", "--debug --config"] {
        let node = node(words);
        let before = bytes(&node);
        let refused = run(&node, &["apply"]);
        assert_eq!(refused.code, 65, "{words}: {}", refused.stderr);
        assert!(refused.stderr.contains("no configuration file"), "{}", refused.stderr);
        assert_eq!(bytes(&node), before);
        assert_eq!(state(&node, MET[0]), "fail", "{words}");
    }
}

#[test]
fn words_that_k3s_does_not_take_for_a_configuration_file() {
    let node = node("-config /etc/k3s/own.yaml");
    assert!(run(&node, &["plan"]).stdout.contains(&format!("/{DEFAULT_DROP_IN}")));
}

#[test]
fn a_missing_file_that_is_named_stops_old_releases() {
    let starts = |version: &str, environment: &str, words: &str| {
        let node = empty().file(UNIT, unit(words).replace("Type=notify", environment));
        let words = ["preflight", "--format", "json", "--role", "server", "--k3s-version", version];
        let output = node.run(&words);
        serde_json::from_str::<Value>(&output.stdout).unwrap()["starts"].clone()
    };
    let word = "--config /etc/k3s/none.yaml";
    let variable = "Environment=K3S_CONFIG_FILE=/etc/k3s/none.yaml";
    for (version, expected) in [
        ("1.26", Value::Bool(false)),
        ("v1.28.11+k3s1", Value::Bool(false)),
        ("v1.28.12+k3s1", Value::Bool(true)),
        ("1.28", Value::Null),
        ("1.31", Value::Bool(true)),
    ] {
        assert_eq!(starts(version, "Type=notify", word), expected, "{version}");
        assert_eq!(starts(version, variable, ""), expected, "{version}");
    }
}

fn data_dir(node: &Node, version: &str) -> Output {
    node.run(&["apply", "--k3s-version", version, "--role", "server"])
}

/// Tells where the audit policy is, and that the drop-in names it there.
fn is_in(node: &Node, folder: &str) {
    let policy = format!("{folder}/server/audit.yaml");
    assert!(node.path().join(&policy).exists(), "{folder}: {}", node.tree());
    assert!(node.read(DEFAULT_DROP_IN).contains(&format!("audit-policy-file=/{policy}")), "{folder}");
}

#[test]
fn the_data_directory_is_the_value_of_k3s_own_flag() {
    let env = |line: &str, words: &str| unit(words).replace("Type=notify", line);
    let variable = "Environment=K3S_DATA_DIR=/srv/env";
    for (version, unit, config, folder) in [
        ("1.33", unit("--data-dir /srv/word"), "data-dir: /srv/key\n", "srv/word"),
        ("1.33", unit("-d=/srv/word"), "", "srv/word"),
        ("1.33", env(variable, ""), "data-dir: /srv/key\n", "srv/key"),
        ("1.33", env(variable, "--data-dir=/srv/word"), "", "srv/word"),
        ("1.33", env(variable, ""), "", "srv/env"),
        ("1.33", env("Environment=K3S_DATA_DIR=", ""), "", "var/lib/rancher/k3s"),
        ("1.33", env(variable, ""), "data-dir:\n", "var/lib/rancher/k3s"),
        ("1.33", unit(""), "data-dir: srv/./key/\n", "srv/key"),
        ("1.33", unit(""), "data-dir: ../srv/a/../key\n", "srv/key"),
        ("1.33", env("User=root", ""), "data-dir: ~/k3s\n", "root/k3s"),
        ("1.33", env("WorkingDirectory=~", ""), "data-dir: ${HOME}/k3s\n", "root/k3s"),
        ("1.33", env("Environment=HOME=/home/k3s", ""), "rootless: true\n", "home/k3s/.rancher/k3s"),
        ("1.33", unit(""), "rootless: true\ndata-dir: /srv/key\n", "srv/key"),
        ("1.26", env(variable, ""), "", "var/lib/rancher/k3s"),
        ("v1.28.11+k3s1", env(variable, ""), "", "var/lib/rancher/k3s"),
        ("v1.28.12+k3s1", env(variable, ""), "", "srv/env"),
        ("v1.27.16+k3s1", env(variable, ""), "", "srv/env"),
    ] {
        let node = empty().file(UNIT, &unit).file("etc/rancher/k3s/config.yaml", config);
        let before = bytes(&node);
        let output = data_dir(&node, version);
        assert_eq!(output.code, 0, "{version} {unit} {config}: {}", output.stderr);
        is_in(&node, folder);
        assert_eq!(data_dir(&node, version).stdout, "Nothing to change.\n");
        assert_eq!(node.run(&["rollback"]).code, 0);
        assert_eq!(bytes(&node), before);
    }
}

#[test]
fn the_data_directory_stands_in_the_file_that_is_read() {
    let node = node("--config /etc/k3s/own.yaml")
        .file(OWN, "data-dir: /srv/own\n")
        .file("etc/k3s/own.yaml.d/20-more.yaml", "data-dir: /srv/more\n")
        .file("etc/rancher/k3s/config.yaml", "data-dir: /srv/unread\n");
    apply(&node);
    assert!(node.path().join("srv/more/server/audit.yaml").exists(), "{}", node.tree());
    assert!(!node.path().join("srv/unread").exists() && !node.path().join(AUDIT).exists());
    // Another one is a conflict, as with the default file.
    let other = run(&node, &["apply", "--data-dir", "/srv/other"]);
    assert_eq!(other.code, 65, "{}", other.stderr);
    assert!(other.stderr.contains("/etc/k3s/own.yaml.d/20-more.yaml:1:11"), "{}", other.stderr);
}

#[test]
fn a_started_server_is_seen_in_its_own_data_directory() {
    let mut node = node("--config /etc/k3s/own.yaml").file(OWN, "data-dir: /srv/k3s\n");
    for file in ["server/db/state.db", "server/token", "server/cred/passwd", "server/manifests/coredns.yaml"]
    {
        node = node.file(&format!("srv/k3s/{file}"), "");
    }
    let before = bytes(&node);
    let refused = run(&node, &["apply"]);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(refused.stderr.contains("started without secrets-encryption"), "{}", refused.stderr);
    assert_eq!(bytes(&node), before);
}

#[test]
fn an_agent_has_its_own_configuration_and_data_directory() {
    let agent = "[Service]\nExecStart=/usr/local/bin/k3s agent --server https://10.0.0.1:6443 --token x --data-dir /srv/agent --config /etc/agent.yaml\n";
    let node = empty()
        .file(UNIT, unit("--data-dir /srv/server"))
        .file("etc/systemd/system/k3s-agent.service", agent);
    let output = node.run(&["apply", "--k3s-version", "1.33", "--role", "agent"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(node.path().join("etc/agent.yaml.d/90-k3s-harden.yaml").exists(), "{}", node.tree());
    assert!(!node.path().join("srv/server").exists() && !node.path().join(DEFAULT_DROP_IN).exists());
}

#[test]
fn the_role_is_found_in_the_data_directory_that_is_configured() {
    let node = empty()
        .file("etc/rancher/k3s/config.yaml", "data-dir: /srv/k3s\n")
        .file("srv/k3s/agent/client-kubelet.crt", "");
    let output = node.run(&["plan", "--k3s-version", "1.33", "--format", "json"]);
    assert_eq!(serde_json::from_str::<Value>(&output.stdout).unwrap()["role"], "agent", "{}", output.stderr);
}

#[test]
fn a_data_directory_that_depends_on_the_patch_level_is_not_guessed() {
    let text = unit("").replace("Type=notify", "Environment=K3S_DATA_DIR=/srv/env");
    let node = empty().file(UNIT, text);
    let refused = data_dir(&node, "1.28");
    assert_eq!(refused.code, 65, "{}", refused.stderr);
    assert!(refused.stderr.contains("1.28.12"), "{}", refused.stderr);
    let words = ["preflight", "--format", "json", "--role", "server", "--k3s-version", "1.28"];
    let verdict: Value = serde_json::from_str(&node.run(&words).stdout).unwrap();
    assert_eq!(verdict["starts"], Value::Null, "{verdict}");
    assert!(verdict["not_judged"].to_string().contains("1.28.12"), "{verdict}");
}

#[test]
fn a_relative_path_in_the_variable_stops_k3s() {
    let starts = |line: &str, words: &str| {
        let node = empty().file(UNIT, unit(words).replace("Type=notify", line));
        let output = run(&node, &["preflight", "--format", "json"]);
        serde_json::from_str::<Value>(&output.stdout).unwrap()["starts"].clone()
    };
    let variable = "Environment=K3S_DATA_DIR=srv/k3s";
    assert_eq!(starts(variable, ""), false);
    assert_eq!(
        starts(variable, "--data-dir /srv/k3s"),
        false,
        "the variable counts first for what is unpacked"
    );
    assert_eq!(starts("Type=notify", "--data-dir srv/k3s"), Value::Null);
}

#[test]
fn a_home_directory_is_that_of_the_service() {
    let starts = |line: &str, words: &str, config: &str| {
        let node = empty()
            .file(UNIT, unit(words).replace("Type=notify", line))
            .file("etc/rancher/k3s/config.yaml", config);
        let output = run(&node, &["preflight", "--format", "json"]);
        let verdict: Value = serde_json::from_str(&output.stdout).unwrap();
        let says = verdict["now"].to_string().contains("$HOME is not defined");
        assert_eq!(says, verdict["starts"] == false, "{verdict}");
        verdict["starts"].clone()
    };
    // systemd sets HOME for a service with User= only; os.UserHomeDir of Go fails without.
    for config in ["data-dir: ~/k3s\n", "data-dir: $HOME/k3s\n"] {
        assert_eq!(starts("Type=notify", "", config), false, "{config}");
        assert_eq!(starts("User=root", "", config), true, "{config}");
        assert_eq!(starts("Environment=HOME=/home/k3s", "", config), true, "{config}");
        assert_eq!(starts("Environment=HOME=", "", config), false, "{config}");
        assert_eq!(starts("User=root\nUnsetEnvironment=HOME", "", config), false, "{config}");
        assert_eq!(starts("User=k3s", "", config), Value::Null, "{config}");
    }
    assert_eq!(starts("User=root", "--rootless", ""), true);
    assert_eq!(starts("Type=notify", "--data-dir=", "data-dir: /srv/k3s\n"), true);
    // Nobody knows what OpenRC gives its services.
    let script = "#!/sbin/openrc-run\ncommand=/usr/local/bin/k3s\ncommand_args=server\n";
    let node =
        empty().file("etc/init.d/k3s", script).file("etc/rancher/k3s/config.yaml", "data-dir: ~/k3s\n");
    let refused = data_dir(&node, "1.33");
    assert_eq!(refused.code, 65, "{}", refused.stderr);
    assert!(refused.stderr.contains("without the home directory"), "{}", refused.stderr);
}

#[test]
fn renderings_and_reports_name_the_file_that_k3s_reads() {
    let node = node("--config /etc/k3s/own.yaml");
    let rendered = run(&node, &["render", "--as", "shell"]);
    assert_eq!(rendered.code, 0, "{}", rendered.stderr);
    assert!(
        rendered.stdout.contains(&format!("/{OWN_DROP_IN}")) && !rendered.stdout.contains("config.yaml.d")
    );
    let explained = run(&node, &["explain", "audit-log-path"]);
    assert!(explained.stdout.contains(&format!("/{OWN_DROP_IN}")), "{}", explained.stdout);
    let sarif = run(&node, &["verify", "--format", "sarif"]);
    assert!(sarif.stdout.contains("etc/k3s/own.yaml.d/90-k3s-harden.yaml"), "{}", sarif.stdout);
    assert!(!sarif.stdout.contains("etc/rancher/k3s/config.yaml"), "{}", sarif.stdout);
}

/// An uninstall removes everything in k3s-harden's own directory.
#[test]
fn a_configuration_file_in_our_own_directory_is_refused() {
    let about = ["--k3s-version", "1.33", "--role", "server"];
    let own = "var/lib/k3s-harden/c.yaml";
    for (link, unit) in [
        (Some("etc/rancher/k3s/config.yaml"), ""),
        (Some("etc/own.yaml"), "--config /etc/own.yaml"),
        (None, "--config /var/lib/k3s-harden/c.yaml"),
    ] {
        let unit = format!("[Service]\nExecStart=/usr/local/bin/k3s server {unit}\n");
        let node = Node::new().file("etc/systemd/system/k3s.service", &unit).file(own, "node-label: [a=b]\n");
        if let Some(link) = link {
            let link = node.path().join(link);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink("/var/lib/k3s-harden/c.yaml", link).unwrap();
        }
        for verb in ["plan", "apply"] {
            let output = node.run(&[&[verb], &about[..]].concat());
            assert_eq!(output.code, 65, "{unit}: {}", output.stderr);
            assert!(
                output.stderr.contains("K3s's configuration file is /etc/") == link.is_some(),
                "{}",
                output.stderr
            );
            assert!(output.stderr.contains("for example to /etc/rancher/k3s, "), "{}", output.stderr);
        }
    }
}

/// What could not be rolled back is not changed: the journal names each path in one line.
#[test]
fn a_path_that_no_journal_can_name_is_refused() {
    let config = |text: &str| empty().file("etc/rancher/k3s/config.yaml", format!("token: x\n{text}\n"));
    let by_unit = |words: &str| node(words).file("etc/k3s/a\nb.yaml", "token: x\n");
    for (node, place) in [
        (config(r#"data-dir: "/srv/a\nb""#), "/etc/rancher/k3s/config.yaml:2:"),
        (config(r#"data-dir: "/srv/a\U0010F7FF""#), "/etc/rancher/k3s/config.yaml:2:"),
        (by_unit(r#"--data-dir "/srv/a\nb""#), "/etc/systemd/system/k3s.service"),
        (by_unit(r#"--config "/etc/k3s/a\nb.yaml""#), "/etc/systemd/system/k3s.service"),
    ] {
        let before = bytes(&node);
        for verb in [&["plan"][..], &["apply"], &["apply", "--no-preflight"]] {
            let output = run(&node, verb);
            assert_eq!(output.code, 65, "{verb:?}: {}{}", output.stdout, output.stderr);
            assert!(
                output.stderr.contains(place) && output.stderr.contains("could not be rolled back"),
                "{}",
                output.stderr
            );
            assert!(output.stderr.contains("help: name a path without"), "{}", output.stderr);
        }
        assert_eq!(bytes(&node), before);
        run(&node, &["verify"]);
        assert!(!node.path().join("var/lib/k3s-harden").exists());
    }
    let output = run(&empty(), &["apply", "--data-dir", "/srv/a\nb"]);
    assert!(
        output.code == 64 && output.stderr.contains(r#""/srv/a\nb" has a line break"#),
        "{}",
        output.stderr
    );
}

/// An earlier version recorded such a path.
#[test]
fn a_line_break_in_a_recorded_path_is_put_back() {
    let node = empty().file("etc/rancher/k3s/config.yaml", "token: x\ndata-dir: /srv/ab\n");
    let node = node.file("srv/ab/server/audit.yaml", "mine\n");
    apply(&node);
    let journal = node.path().join("var/lib/k3s-harden/runs/0001/journal.json");
    let record = of_0_1_0(&fs::read_to_string(&journal).unwrap());
    fs::write(&journal, record.to_string().replace("/srv/ab", r"/srv/a\nb")).unwrap();
    fs::rename(node.path().join("srv/ab"), node.path().join("srv/a\nb")).unwrap();
    assert_ne!(fs::read(node.path().join("srv/a\nb/server/audit.yaml")).unwrap(), b"mine\n");
    let output = node.run(&["rollback"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert_eq!(fs::read(node.path().join("srv/a\nb/server/audit.yaml")).unwrap(), b"mine\n");
    assert!(!node.path().join("srv/a\nb/server/psa.yaml").exists());
    assert_eq!(node.run(&["uninstall"]).code, 0);
}
