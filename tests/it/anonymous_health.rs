// SPDX-License-Identifier: Apache-2.0
//! Who reaches the API server without credentials: a file of `authentication-config` takes the place of K3s' own
//! anonymous-auth=false.
#![allow(clippy::unwrap_used, reason = "tests look at files by hand")]

use serde_json::Value;

use crate::support::Node;

const CONFIG: &str = "etc/rancher/k3s/config.yaml";
const FILE: &str = "etc/k3s/authentication.yaml";
const NAMED: &str = "kube-apiserver-arg: [authentication-config=/etc/k3s/authentication.yaml]\n";
const HEAD: &str = "apiVersion: apiserver.config.k8s.io/v1beta1\nkind: AuthenticationConfiguration\n";
const OPEN: &str = "authentication-anonymous-open";
const SAYS_NOTHING: &str = "the file says nothing of anonymous requests";

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
        (NAMED.to_owned(), "", "1.36", Some((1, 1)), "leaves its own anonymous-auth=false away: "),
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
        (NAMED.to_owned(), "", "1.32", Some((1, 1)), "away from 1.32.5 on: "),
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
