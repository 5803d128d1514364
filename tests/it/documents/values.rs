// SPDX-License-Identifier: Apache-2.0
//! Whatever a user types reaches every reader as it was typed.

use k3s_harden::Role;
use k3s_harden::document::{Document, RenderTarget, Rendered};
use k3s_harden::node::RootedPath;
use k3s_harden::profile::{Profile, SourceText};
use k3s_harden::version::KubernetesMinor;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::scalars::scalars;
use super::support::{
    argument, find, minor, profile, rendered, request, resolve, target, texts, value, yaml,
};

/// Writes `text` so that no reader can mistake it: every character by its number.
fn escaped(text: &str) -> String {
    let characters: String = text.chars().map(|c| format!("\\U{:08x}", u32::from(c))).collect();
    format!("\"{characters}\"")
}

/// Returns what differs between readers, and between them and templates, among other texts.
fn any_text() -> impl Strategy<Value = String> {
    let odd = [
        "no",
        "0600",
        "1_000",
        "null",
        "~",
        "1e3",
        "0x1f",
        "12:30:45",
        "2024-01-01",
        "- x",
        "a: b",
        "a #b",
        "#",
        "{{ settings }}",
        "{% raw %}",
        "{# x #}",
        "\"",
        "'",
        "\\",
        "\\n",
        "\\\"",
        "\r\n",
        "\t",
        " x ",
        "\n",
        "\0",
        "\u{7f}",
        "\u{85}",
        "\u{a0}",
        "\u{2028}",
        "\u{feff}",
        "\u{1f600}",
        "\u{10ffff}",
        "%YAML 1.1",
        "---",
        "...",
        "&a",
        "*a",
        "!!str",
        "<<",
        "[",
        "{",
        "|",
        ">",
        "@",
        "`",
        "system:serviceaccount:a:b",
        "<script>",
        "&amp;",
    ];
    let odd = select(odd.map(str::to_owned).to_vec());
    prop_oneof![
        odd.clone(),
        vec(odd, 1..8).prop_map(|parts| parts.concat()),
        vec(any::<char>(), 1..=200).prop_map(String::from_iter),
    ]
}

/// Returns names of namespaces: many of them are numbers or booleans to somebody.
fn namespace() -> impl Strategy<Value = String> {
    prop_oneof![
        select(
            ["no", "on", "y", "null", "true", "12", "0600", "1e3", "0x1f", "2024-01-01"]
                .map(str::to_owned)
                .to_vec()
        ),
        "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?",
    ]
}

fn duration() -> impl Strategy<Value = String> {
    prop_oneof!["0", "([0-9]{1,5}(ns|us|ms|s|m|h)){1,4}"]
}

/// Takes repetitions away, as settings do.
fn once(items: &[String]) -> Vec<&str> {
    let mut kept: Vec<&str> = Vec::new();
    for item in items {
        if !kept.contains(&item.as_str()) {
            kept.push(item);
        }
    }
    kept
}

/// Returns the scalars under `key` as an event parser sees them.
fn under(text: &str, key: &str) -> Vec<String> {
    let scalars = scalars(text).into_iter();
    scalars.filter(|scalar| !scalar.is_key && scalar.key == key).map(|scalar| scalar.value).collect()
}

/// Resolves settings that stand in a settings file, written as YAML.
fn from_file(minor: KubernetesMinor, text: &str) -> Profile {
    let mut request = request(minor, "cis", &[]);
    request.settings = Some(SourceText::new("site.yaml", text.as_bytes().to_vec()).unwrap());
    resolve(&request)
}

fn server(profile: &Profile) -> Vec<Document> {
    rendered(profile, Role::Server)
}

fn text<'a>(documents: &'a [Document], key: &str) -> &'a str {
    &find(documents, key).unwrap().text
}

fn exemptions(documents: &[Document]) -> Value {
    value(documents, "psa")["plugins"][0]["configuration"]["exemptions"].clone()
}

/// Returns an argument as both readers see it.
fn arguments(documents: &[Document], component: &str, name: &str) -> (Option<String>, Option<String>) {
    let config = value(documents, "config");
    let events = under(text(documents, "config"), &format!("{component}-arg+"));
    let event = events.iter().find_map(|argument| argument.strip_prefix(name)?.strip_prefix('='));
    (argument(&config, component, name).map(str::to_owned), event.map(str::to_owned))
}

fn namespaces_of(documents: &[Document], policy: &str) -> Vec<String> {
    let objects = yaml(text(documents, "policy"));
    let metadata = objects.iter().map(|object| &object["metadata"]);
    let named = metadata.filter(|metadata| metadata["name"] == policy);
    named.map(|metadata| metadata["namespace"].as_str().unwrap().to_owned()).collect()
}

/// Writes names as `--set` takes them. The word null alone takes a value back, so such a name stands in a list.
fn assigned(names: &[String], separator: &str) -> String {
    match names {
        [one] if one == "null" => "[\"null\"]".to_owned(),
        names => names.join(separator),
    }
}

fn is_part(name: &str) -> bool {
    !matches!(name, "." | "..") && !name.contains(['/', '\0', '\n'])
}

proptest! {
    // A case writes out a whole node; four times as many take a third of a minute on a busy machine.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn exempt_users(users in vec(any_text(), 1..4), in_file in any::<bool>()) {
        let list = format!("[{}]", users.iter().map(|user| escaped(user)).collect::<Vec<_>>().join(", "));
        let profile = if in_file {
            from_file(minor("1.33"), &format!("pod_security_exempt_users: {list}\n"))
        } else {
            profile(minor("1.33"), "cis", &[("pod_security_exempt_users", &list)])
        };
        let documents = server(&profile);
        let exemptions = exemptions(&documents);
        prop_assert_eq!(texts(&exemptions["usernames"]), once(&users));
        prop_assert_eq!(under(text(&documents, "psa"), "usernames"), once(&users));
        // Readers disagree on characters outside of ASCII that end a line.
        prop_assert!(text(&documents, "psa").chars().all(|c| matches!(c, '\n' | ' '..='~')));
    }

    #[test]
    fn exempt_namespaces_and_runtime_classes(
        namespaces in vec(namespace(), 1..4),
        classes in vec(vec(namespace(), 1..3).prop_map(|labels| labels.join(".")), 1..4),
    ) {
        let settings = [
            ("pod_security_exempt_namespaces", assigned(&namespaces, ",")),
            ("pod_security_exempt_runtime_classes", assigned(&classes, ", ")),
        ];
        let settings = settings.each_ref().map(|(name, text)| (*name, text.as_str()));
        let documents = server(&profile(minor("1.33"), "cis", &settings));
        let exemptions = exemptions(&documents);
        prop_assert_eq!(texts(&exemptions["runtimeClasses"]), once(&classes));
        prop_assert_eq!(under(text(&documents, "psa"), "runtimeClasses"), once(&classes));
        let preset = ["kube-system", "compliance-operator-system", "cis-operator-system"].map(str::to_owned);
        let namespaces = [preset.to_vec(), namespaces].concat();
        prop_assert_eq!(texts(&exemptions["namespaces"]), once(&namespaces));
        prop_assert_eq!(under(text(&documents, "psa"), "namespaces"), once(&namespaces));
    }

    #[test]
    fn namespaces_of_policies(isolated in vec(namespace(), 1..4), open in vec(namespace(), 1..4)) {
        let settings = [("namespaces", assigned(&isolated, ",")), ("ingress_to", assigned(&open, ","))];
        let settings = settings.each_ref().map(|(name, text)| (*name, text.as_str()));
        let documents = server(&profile(minor("1.33"), "cis", &settings));
        prop_assert_eq!(namespaces_of(&documents, "intra-namespace"), once(&isolated));
        prop_assert_eq!(namespaces_of(&documents, "allow-traefik"), once(&open));
        let events = under(text(&documents, "policy"), "namespace");
        let expected = [once(&isolated), once(&open)].concat();
        prop_assert_eq!(&events[..expected.len()], expected);
    }

    #[test]
    fn event_rate_limits(
        limits in vec(
            (
                select(vec!["Server", "Namespace", "User", "SourceAndObject"]),
                1..=i32::MAX,
                1..=i32::MAX,
                option::of(0..=i32::MAX),
            ),
            1..5,
        ),
    ) {
        let limits: Vec<Value> = limits
            .into_iter()
            .map(|(kind, qps, burst, cache)| match cache {
                None => json!({"type": kind, "qps": qps, "burst": burst}),
                Some(cache) => json!({"type": kind, "qps": qps, "burst": burst, "cacheSize": cache}),
            })
            .collect();
        let list = json!(limits).to_string();
        let settings = [("event_rate_limit", "true"), ("event_rate_limits", list.as_str())];
        let documents = server(&profile(minor("1.33"), "cis", &settings));
        let psa = value(&documents, "psa");
        prop_assert_eq!(&psa["plugins"][1]["configuration"]["limits"], &json!(limits));
        for key in ["qps", "burst", "cacheSize"] {
            let expected: Vec<String> =
                limits.iter().filter_map(|limit| Some(limit.get(key)?.to_string())).collect();
            prop_assert_eq!(under(text(&documents, "psa"), key), expected);
        }
    }

    #[test]
    fn durations(request in duration(), idle in duration()) {
        let settings = [("request_timeout", request.as_str()), ("streaming_connection_idle_timeout", &idle)];
        let documents = server(&profile(minor("1.33"), "cis", &settings));
        let both = |text: &String| (Some(text.clone()), Some(text.clone()));
        prop_assert_eq!(arguments(&documents, "kube-apiserver", "request-timeout"), both(&request));
        let found = arguments(&documents, "kubelet", "streaming-connection-idle-timeout");
        prop_assert_eq!(found, both(&idle));
    }

    #[test]
    fn numbers(
        days in 0..=36500u32,
        files in 0..=100_000u32,
        pods in 1..=1_000_000u32,
        pids in 1..=4_194_304u32,
    ) {
        let rows = [
            ("audit_log_maxage", "kube-apiserver", "audit-log-maxage", days.to_string()),
            ("audit_log_maxbackup", "kube-apiserver", "audit-log-maxbackup", files.to_string()),
            (
                "terminated_pod_gc_threshold",
                "kube-controller-manager",
                "terminated-pod-gc-threshold",
                pods.to_string(),
            ),
            ("pod_max_pids", "kubelet", "pod-max-pids", pids.to_string()),
        ];
        let settings = rows.each_ref().map(|(setting, .., number)| (*setting, number.as_str()));
        let documents = server(&profile(minor("1.33"), "cis", &settings));
        for (_, component, name, number) in &rows {
            let found = arguments(&documents, component, name);
            prop_assert_eq!(found, (Some(number.clone()), Some(number.clone())));
        }
    }

    #[test]
    fn modes_and_versions(mode in "0?[0-7]{3}", version in select(KubernetesMinor::supported())) {
        let version = format!("v{version}");
        let settings = [("write_kubeconfig_mode", mode.as_str()), ("pod_security_version", &version)];
        let documents = server(&profile(minor("1.33"), "cis", &settings));
        prop_assert_eq!(&value(&documents, "config")["write-kubeconfig-mode"], &json!(mode));
        // Without quotes the event parser would say the same, and K3s 384.
        let quoted = format!("write-kubeconfig-mode: \"{mode}\"");
        prop_assert!(text(&documents, "config").contains(&quoted));
        prop_assert_eq!(under(text(&documents, "psa"), "warn-version"), [version]);
    }

    #[test]
    fn data_directories(name in any_text().prop_filter("it is one part of a path", |name| is_part(name))) {
        let data_dir: RootedPath = format!("/{name}").parse().unwrap();
        let target = RenderTarget { data_dir, ..target(Role::Server) };
        let documents = Rendered::new(&profile(minor("1.33"), "cis", &[]), &target).documents;
        for (argument, file) in
            [("audit-policy-file", "audit.yaml"), ("admission-control-config-file", "psa.yaml")]
        {
            let path = format!("/{name}/server/{file}");
            let found = arguments(&documents, "kube-apiserver", argument);
            prop_assert_eq!(found, (Some(path.clone()), Some(path)));
        }
    }
}
