// SPDX-License-Identifier: Apache-2.0
//! Who reaches the API server without credentials: a file of `authentication-config` takes the place of K3s's own
//! anonymous-auth=false.
#![allow(clippy::unwrap_used, reason = "tests look at files by hand")]

use serde_json::Value;

use crate::support::{Node, Output};

const CONFIG: &str = "etc/rancher/k3s/config.yaml";
const FILE: &str = "etc/k3s/authentication.yaml";
const NAMED: &str = "kube-apiserver-arg: [authentication-config=/etc/k3s/authentication.yaml]\n";
const HEAD: &str = "apiVersion: apiserver.config.k8s.io/v1beta1\nkind: AuthenticationConfiguration\n";
const OPEN: &str = "authentication-anonymous-open";
const SAYS_NOTHING: &str = "the file does not configure anonymous requests";

fn server(config: &str, file: &str) -> Node {
    Node::new().file(CONFIG, config).file(FILE, format!("{HEAD}{file}"))
}

/// The findings of preflight with a code.
fn findings(node: &Node, version: &str, code: &str) -> Vec<Value> {
    let done = node.run(&["preflight", "--format", "json", "--k3s-version", version, "--role", "server"]);
    let report: Value = serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{}", done.stderr));
    let all = report["now"].as_array().unwrap().iter();
    all.filter(|finding| finding["code"] == code).cloned().collect()
}

#[test]
fn a_file_that_opens_the_api_server_is_found() {
    let with = |more: &str| NAMED.replace(']', &format!(", {more}]"));
    for (config, file, version, place, says) in [
        (NAMED.to_owned(), "", "1.36", Some((1, 1)), "does not set anonymous-auth=false"),
        (NAMED.to_owned(), "jwt: []\n", "v1.32.5+k3s1", Some((1, 1)), SAYS_NOTHING),
        (NAMED.to_owned(), "anonymous: null\n", "1.37", Some((1, 1)), SAYS_NOTHING),
        (NAMED.to_owned(), "anonymous: {enabled: true}\n", "1.36", Some((3, 12)), "opens all paths"),
        (
            NAMED.to_owned(),
            "anonymous: {enabled: true, conditions: []}\n",
            "1.36",
            Some((3, 12)),
            "all paths",
        ),
        // Which of the releases of 1.32 runs is not known.
        (NAMED.to_owned(), "", "1.32", Some((1, 1)), "anonymous-auth=false from 1.32.5 on: "),
        // Older releases give the flag beside the file.
        (NAMED.to_owned(), "", "v1.32.4+k3s1", None, ""),
        (NAMED.to_owned(), "", "v1.33.0+k3s1", None, ""),
        // The file closes it, or opens what it names.
        (NAMED.to_owned(), "anonymous: {enabled: false}\n", "1.36", None, ""),
        (NAMED.to_owned(), "anonymous: {}\n", "1.36", None, ""),
        (NAMED.to_owned(), "anonymous: {enabled: true, conditions: [{path: /livez}]}\n", "1.36", None, ""),
        // The user's own flag counts where the file says nothing, whatever it says.
        (with("anonymous-auth=false"), "", "1.36", None, ""),
        (with("anonymous-auth=true"), "", "1.36", None, ""),
        // An API server that allows everything lets nobody in without credentials, if no file says otherwise.
        (with("authorization-mode=AlwaysAllow"), "", "1.36", None, ""),
        (
            with("authorization-mode=AlwaysAllow"),
            "anonymous: {enabled: true}\n",
            "1.36",
            Some((3, 12)),
            "opens all",
        ),
        // It does not start.
        (NAMED.to_owned(), "anonymus: {enabled: false}\n", "1.36", None, ""),
    ] {
        let found = findings(&server(&config, file), version, OPEN);
        let case = format!("{version} {config}{file}: {found:#?}");
        assert_eq!(found.len(), usize::from(place.is_some()), "{case}");
        let (Some((line, column)), [finding]) = (place, &found[..]) else { continue };
        assert_eq!(finding["class"], "hardens-nothing", "{case}");
        assert_eq!(
            (&finding["path"], &finding["line"], &finding["column"]),
            (&Value::from(format!("/{FILE}")), &line.into(), &column.into()),
            "{case}"
        );
        assert!(finding["message"].as_str().unwrap().contains(says), "{case}");
    }
}

#[test]
fn a_file_that_forgets_the_field_is_told_of_by_plan() {
    for verb in ["plan", "apply", "plan"] {
        for (file, is_told) in [("", true), ("anonymous: {enabled: false}\n", false)] {
            let node = server(NAMED, file);
            let done = node.run(&[verb, "--k3s-version", "1.36", "--role", "server"]);
            assert_eq!(done.code, 0, "{}", done.stderr);
            assert_eq!(done.stderr.contains(&format!("WARN /{FILE}:1:1: {SAYS_NOTHING}")), is_told, "{file}");
            assert_eq!(done.stderr.contains("1.2.1 ("), is_told, "{}", done.stderr);
        }
    }
}

const OURS: &str = "var/lib/rancher/k3s/server/authentication.yaml";
const DROP_IN: &str = "etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml";
const EARLY: &str = "etc/rancher/k3s/config.yaml.d/10-early.yaml";
const LATE: &str = "etc/rancher/k3s/config.yaml.d/95-late.yaml";
const UNIT: &str = "etc/systemd/system/k3s.service";
const ON: &str = "anonymous_health=true";

fn run(node: &Node, verb: &str, version: &str, more: &[&str]) -> Output {
    node.run(&[&[verb, "--k3s-version", version, "--role", "server", "--set", ON], more].concat())
}

/// The values that K3s gives an argument of the API server.
fn given(node: &Node, name: &str) -> Vec<String> {
    let done = node.run(&["effective-config", "--format", "json"]);
    let found: Value = serde_json::from_str(&done.stdout).unwrap();
    let flags = found["components"]["kube-apiserver"].as_array().unwrap().iter();
    let start = format!("--{name}=");
    flags.filter_map(|flag| flag.as_str()?.strip_prefix(&start).map(str::to_owned)).collect()
}

fn starts(node: &Node, version: &str) -> Value {
    let done = node.run(&["preflight", "--format", "json", "--k3s-version", version, "--role", "server"]);
    serde_json::from_str::<Value>(&done.stdout).unwrap()["starts"].clone()
}

#[test]
fn the_file_lists_the_health_paths_in_the_version_of_the_minor() {
    for (version, api, controls) in [
        ("v1.32.5+k3s1", "v1beta1", ""),
        ("v1.33.1+k3s1", "v1beta1", ""),
        ("1.34", "v1", ""),
        ("1.36", "v1", " # CIS 1.2.1"),
        ("1.37", "v1", " # CIS 1.2.1"),
    ] {
        let node = Node::new();
        let done = run(&node, "apply", version, &[]);
        assert_eq!(done.code, 0, "{version}: {}", done.stderr);
        let text = node.read(OURS);
        let body: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let wanted = format!(
            "apiVersion: \"apiserver.config.k8s.io/{api}\"\nkind: AuthenticationConfiguration\nanonymous:\n  enabled: true\n  conditions:\n    - path: \"/livez\"\n    - path: \"/readyz\"\n    - path: \"/healthz\""
        );
        assert_eq!(body.join("\n"), wanted, "{version}");
        assert_eq!(node.mode(OURS), "0600");
        let argument = format!("  - \"authentication-config=/{OURS}\"{controls}\n");
        assert!(node.read(DROP_IN).contains(&argument), "{version}: {}", node.read(DROP_IN));
        assert!(given(&node, "anonymous-auth").is_empty(), "{version}");
        assert_eq!(starts(&node, version), true, "{version}");
        assert!(findings(&node, version, OPEN).is_empty());
        let says = if controls.is_empty() { "so control 1.2.1 fails" } else { "a person reviews 1.2.1" };
        assert!(done.stderr.contains(says), "{version}: {}", done.stderr);
        assert_eq!(run(&node, "apply", version, &[]).stdout, "Nothing to change.\n");
        // Off again: nothing of it stays.
        let off = node.run(&["apply", "--set", "anonymous_health=false"]);
        assert_eq!(off.code, 0, "{}", off.stderr);
        assert!(!node.path().join(OURS).exists() && !node.read(DROP_IN).contains("authentication-config"));
        assert_eq!(given(&node, "anonymous-auth"), ["false"], "{version}");
    }
    let agent = Node::new();
    let words = ["apply", "--k3s-version", "v1.32.4+k3s1", "--role", "agent", "--set", ON];
    assert_eq!(agent.run(&words).code, 0, "an agent has no API server");
    assert!(!agent.path().join(OURS).exists());
}

#[test]
fn releases_that_do_not_start_with_it_are_refused() {
    for (version, says) in [
        ("1.31", "anonymous_health does nothing on Kubernetes 1.31"),
        ("v1.32.4+k3s1", "supported since 1.32.5"),
        ("v1.33.0+k3s1", "supported since 1.33.1"),
        ("1.32", "name the release in full (--k3s-version v1.32.5+k3s1)"),
        ("1.33", "name the release in full (--k3s-version v1.33.1+k3s1)"),
    ] {
        for verb in ["plan", "apply"] {
            let node = Node::new();
            let done = run(&node, verb, version, &[]);
            assert_eq!(done.code, 65, "{verb} {version}: {}{}", done.stdout, done.stderr);
            assert!(done.stderr.contains(says), "{verb} {version}: {}", done.stderr);
        }
    }
    // A node that has it, told of an older release: what only reads goes on.
    let node = Node::new();
    assert_eq!(run(&node, "apply", "v1.33.1+k3s1", &[]).code, 0);
    assert_eq!(node.run(&["plan", "--k3s-version", "v1.33.0+k3s1"]).code, 65);
    assert_eq!(starts(&node, "v1.33.0+k3s1"), false);
    let settings = Node::new().file("etc/k3s-harden/settings.yaml", "anonymous_health: true\n");
    let done = settings.run(&["plan", "--k3s-version", "1.33", "--role", "server"]);
    assert!(done.code == 65 && done.stderr.contains("settings.yaml:1:"), "{}", done.stderr);
}

/// A list of the user's that has the excluded argument, in every form that the drop-in can take over.
#[test]
fn an_excluded_argument_is_a_conflict() {
    for (file, text, place, is_open) in [
        (CONFIG, "kube-apiserver-arg: [anonymous-auth=false]\n", "1:22", false),
        (CONFIG, "kube-apiserver-arg:\n- v=2\n- --anonymous-auth=true\n", "3:3", true),
        (CONFIG, "kube-apiserver-arg: [anonymous-auth, v=2]\n", "1:22", true),
        (CONFIG, "kube-apiserver-arg: anonymous-auth=false\n", "1:21", false),
        (EARLY, "kube-apiserver-arg+: [anonymous-auth=false, v=2]\n", "1:23", false),
        (EARLY, "kube-apiserver-arg: ['anonymous-auth+=false']\n", "1:22", false),
        (EARLY, "kube-apiserver-arg: ['anonymous-auth-=true', audit-log-maxage=90]\n", "1:22", false),
    ] {
        let node = || Node::new().file(file, text);
        let ours = node();
        let done = run(&ours, "apply", "1.36", &[]);
        assert_eq!(done.code, 0, "{text}: {}", done.stderr);
        let said = format!("WARN /{file}:{place}: kube-apiserver: anonymous-auth is ");
        assert!(
            done.stderr.contains(&said) && done.stderr.contains("the argument is left out"),
            "{text}: {}",
            done.stderr
        );
        assert!(given(&ours, "anonymous-auth").is_empty(), "{text}");
        assert_eq!(given(&ours, "authentication-config"), [format!("/{OURS}")], "{text}");
        assert_eq!(
            given(&ours, "v").len(),
            usize::from(text.contains("v=2")),
            "{text}: nothing else is lost"
        );
        assert_eq!(starts(&ours, "1.36"), true, "{text}");
        assert_eq!(run(&ours, "apply", "1.36", &[]).stdout, "Nothing to change.\n", "{text}");
        // A run about something else keeps both as they are.
        let only = ours.run(&["apply", "--only", "audit-log-maxage", "--set", "audit_log_maxage=40"]);
        assert_eq!(only.code, 0, "{text}: {}", only.stderr);
        assert!(ours.path().join(OURS).exists() && given(&ours, "anonymous-auth").is_empty(), "{text}");
        assert_eq!(ours.run(&["rollback", "1"]).code, 0);
        assert_eq!(ours.read(file), text);
        assert!(!ours.path().join(OURS).exists());

        let kept = node();
        let done = run(&kept, "apply", "1.36", &["--on-conflict", "keep"]);
        assert_eq!(done.code, 0, "{text}: {}", done.stderr);
        assert!(
            done.stderr.contains(&said) && done.stderr.contains("the argument is kept"),
            "{text}: {}",
            done.stderr
        );
        assert!(
            !kept.path().join(OURS).exists() && given(&kept, "authentication-config").is_empty(),
            "{text}"
        );
        assert!(!given(&kept, "anonymous-auth").is_empty(), "{text}");

        // A benchmark whose 1.2.1 asks for the argument: what is left out is not said to be kept.
        for (answer, is_kept) in [("ours", false), ("keep", is_open)] {
            let done = run(&node(), "plan", "v1.33.4+k3s1", &["--on-conflict", answer]);
            let says = done.stderr.contains("apply keeps it, and 1.2.1");
            assert_eq!((done.code, says), (0, is_kept), "{answer} {text}: {}", done.stderr);
        }

        let failed = node();
        let before = failed.fingerprint();
        let done = run(&failed, "apply", "1.36", &["--on-conflict", "fail"]);
        assert!(done.code == 1 && done.stderr.contains("they contradict"), "{text}: {}", done.stderr);
        assert_eq!(failed.fingerprint(), before, "{text}");
    }
}

/// What the drop-in cannot take away: a later file, and words of the command line, however they get there.
#[test]
fn beside_an_excluded_argument_that_stays_nothing_is_written() {
    let unit = |line: &str| format!("[Service]\n{line}\n");
    let word = unit("ExecStart=/usr/local/bin/k3s server --kube-apiserver-arg=anonymous-auth=false");
    let two = unit("ExecStart=/usr/local/bin/k3s server --kube-apiserver-arg anonymous-auth=false");
    let variable = unit(
        "Environment=MORE=--kube-apiserver-arg=anonymous-auth=false\nExecStart=/usr/local/bin/k3s server $MORE",
    );
    let later = "kube-apiserver-arg+: [anonymous-auth=false]\n".to_owned();
    for (file, text) in [(LATE, later), (UNIT, word), (UNIT, two), (UNIT, variable)] {
        let node = || Node::new().file(file, &text);
        for answer in ["ours", "keep"] {
            let node = node();
            let done = run(&node, "apply", "1.36", &["--on-conflict", answer]);
            assert_eq!(done.code, 0, "{text}: {}", done.stderr);
            let parts =
                [&format!("WARN /{file}"), "anonymous_health has no effect until you remove the argument"];
            assert!(parts.iter().all(|part| done.stderr.contains(part)), "{text}: {}", done.stderr);
            assert!(!node.path().join(OURS).exists() && given(&node, "authentication-config").is_empty());
            assert_eq!(
                (starts(&node, "1.36"), given(&node, "anonymous-auth").len()),
                (true.into(), 1),
                "{text}"
            );
        }
        let done = run(&node(), "apply", "1.36", &["--on-conflict", "fail"]);
        assert!(
            done.code == 1 && done.stderr.contains("cannot be used with authentication-config"),
            "{}",
            done.stderr
        );
    }
}

#[test]
fn a_file_of_the_users_own_stays() {
    let closed = "anonymous: {enabled: false}\n";
    let unit = "[Service]\nExecStart=/usr/local/bin/k3s server --kube-apiserver-arg=authentication-config=/etc/k3s/authentication.yaml\n";
    for (file, text) in
        [(CONFIG, NAMED), (EARLY, NAMED), (LATE, &NAMED.replace("arg:", "arg+:")), (UNIT, unit)]
    {
        for answer in ["ours", "keep", "fail"] {
            let node = server("write-kubeconfig-mode: '0600'\n", closed).file(file, text);
            let done = run(&node, "apply", "1.36", &["--on-conflict", answer]);
            assert_eq!(done.code, 0, "{text}: {}", done.stderr);
            assert!(done.stderr.contains("anonymous_health has no effect"), "{text}: {}", done.stderr);
            assert!(!node.path().join(OURS).exists());
            assert_eq!(given(&node, "authentication-config"), [format!("/{FILE}")], "{text}");
        }
    }
}

#[test]
fn an_issuer_in_arguments_is_refused() {
    let unit =
        "[Service]\nExecStart=/usr/local/bin/k3s server --kube-apiserver-arg=oidc-issuer-url=https://a\n";
    let list = "kube-apiserver-arg: [oidc-issuer-url=https://a, oidc-client-id=b]\n";
    for (file, text) in [(CONFIG, list), (LATE, &list.replace("arg:", "arg+:")), (UNIT, unit)] {
        let node = Node::new().file(file, text);
        let done = run(&node, "plan", "1.36", &[]);
        assert_eq!(done.code, 65, "{text}: {}{}", done.stdout, done.stderr);
        assert!(
            done.stderr.contains(&format!("/{file}")) && done.stderr.contains("oidc-issuer-url"),
            "{}",
            done.stderr
        );
    }
}

#[test]
fn verify_and_both_scanners_say_what_they_make_of_it() {
    let verdict = |node: &Node, version: &str| {
        let words =
            ["verify", "--format", "json", "--only", "1.2.1", "--k3s-version", version, "--role", "server"];
        let report: Value = serde_json::from_str(&node.run(&words).stdout).unwrap();
        let control = &report["controls"][0];
        (control["status"].as_str().unwrap().to_owned(), control.to_string())
    };
    for (version, status, says) in [
        ("v1.33.1+k3s1", "fail", "use a waiver to accept the paths of health probes"),
        ("1.35", "fail", "use a waiver to accept the paths of health probes"),
        ("1.36", "manual", "the paths that the file opens to anonymous requests"),
    ] {
        let node = Node::new();
        assert_eq!(run(&node, "apply", version, &[]).code, 0);
        let (found, told) = verdict(&node, version);
        assert_eq!(found, status, "{version}: {told}");
        for part in [says, "allowed for /livez, /readyz, /healthz", "setting anonymous_health"] {
            assert!(told.contains(part), "{version} {part}: {told}");
        }
        for scanner in ["kube-bench", "security-scan"] {
            let words =
                ["verify", "--as", scanner, "--format", "json", "--k3s-version", version, "--role", "server"];
            let done = node.run(&words);
            let report: Value =
                serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{}", done.stderr));
            let found =
                report["controls"].as_array().unwrap().iter().find(|one| one["id"] == "1.2.1").unwrap();
            println!("{version} {scanner}: {found}");
            assert!(found.to_string().to_lowercase().contains("fail"), "{version} {scanner}: {found}");
        }
    }
    let told = Node::new().run(&["explain", "1.2.1", "--k3s-version", "1.36", "--role", "server"]).stdout;
    for part in ["anonymous_health", "authentication.yaml", "authentication-config"] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

/// Rancher's own configuration of a cluster names the file that it brings.
#[test]
fn rancher_gets_the_file_and_the_argument() {
    let of = |format: &str| {
        let words = ["render", "--as", format, "--k3s-version", "v1.36.3+k3s1", "--set", ON];
        let done = Node::new().run(&words);
        assert_eq!(done.code, 0, "{}", done.stderr);
        done.stdout
    };
    assert!(of("rancher-cluster").contains(&format!("authentication-config=/{OURS}")));
    assert!(of("rancher-files").contains("/healthz"));
}
