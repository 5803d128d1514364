// SPDX-License-Identifier: Apache-2.0
//! A run is about what it was told: with `--skip` and `--only` the bytes of every other control stay, whatever the
//! settings say, until a run is about them; and `null` takes a setting back.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

use k3s_harden::profile::{declarations, titles};

use crate::support::{Node, walk};

/// A setting with the control that its bytes belong to, and another value than the default and strict have.
struct Row {
    setting: &'static str,
    /// Several behind commas, if its bytes belong to several. None: it serves no control, so every run without `--only` is
    /// about it.
    control: Option<&'static str>,
    other: &'static str,
    /// The minors on which it means something, of [`BASES`].
    on: &'static [&'static str],
}

const ALL: &[&str] = &["1.24", "1.33"];
const NEW: &[&str] = &["1.33"];
const OLD: &[&str] = &["1.24"];
const NEWEST: &[&str] = &["1.37"];
const POLICIES: &str = "system-masters,wildcards-in-roles,pod-security-host-path,service-account-token-mounts,\
                        image-provenance,deny-service-external-ips";

const fn row(setting: &'static str, control: &'static str, other: &'static str) -> Row {
    Row { setting, control: Some(control), other, on: ALL }
}

const fn row_on(
    setting: &'static str,
    control: &'static str,
    other: &'static str,
    on: &'static [&'static str],
) -> Row {
    Row { setting, control: Some(control), other, on }
}

/// Every setting.
const ROWS: &[Row] = &[
    row("protect_kernel_defaults", "protect-kernel-defaults", "false"),
    row("kernel_keys", "protect-kernel-defaults", "true"),
    row("secrets_encryption", "encryption-providers", "false"),
    row_on("encryption_provider", "encryption-providers", "secretbox", NEW),
    Row { setting: "write_kubeconfig_mode", control: None, other: "0640", on: ALL },
    row("audit_policy", "audit-policy", "writes"),
    row("audit_policy_file", "audit-policy", "FILE"),
    row("audit_log_maxage", "audit-log-maxage", "90"),
    row("audit_log_maxbackup", "audit-log-maxbackup", "20"),
    row("audit_log_maxsize", "audit-log-maxsize", "200"),
    row("request_timeout", "request-timeout", "60s"),
    row("service_account_lookup", "service-account-lookup", "false"),
    row("service_account_extend_token_expiration", "service-account-extend-token-expiration", "true"),
    row_on("event_rate_limit", "event-rate-limit", "false", NEW),
    row_on("event_rate_limits", "event-rate-limit", "[{type: User, qps: 7, burst: 8, cacheSize: 9}]", NEW),
    row_on("deny_service_external_ips", "deny-service-external-ips", "false", NEW),
    row("service_account_plugin", "service-account-plugin", "false"),
    // A plugin that is on in any case serves no control of ours.
    Row { setting: "namespace_lifecycle_plugin", control: None, other: "true", on: ALL },
    row_on("anonymous_health", "api-anonymous-auth", "true", NEWEST),
    row("always_pull_images", "always-pull-images", "true"),
    row("terminated_pod_gc_threshold", "terminated-pod-gc-threshold", "50"),
    row("make_iptables_util_chains", "make-iptables-util-chains", "false"),
    row("streaming_connection_idle_timeout", "streaming-connection-idle-timeout", "4h"),
    row("kubelet_tls_cipher_suites", "kubelet-cipher-suites", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
    row("kubelet_tls_min_version", "kubelet-cipher-suites", "VersionTLS13"),
    row("pod_max_pids", "pod-max-pids", "77"),
    row_on("seccomp_default", "kubelet-seccomp-default", "false", NEW),
    row("kubelet_read_only_port", "kubelet-read-only-port", "10255"),
    row("event_qps", "event-qps", "9"),
    row_on("pod_security_enforce", "pod-security", "baseline", NEW),
    row_on("pod_security_audit", "pod-security", "baseline", NEW),
    row_on("pod_security_warn", "pod-security", "privileged", NEW),
    row_on("pod_security_version", "pod-security", "v1.30", NEW),
    row_on("pod_security_preset", "pod-security", "rancher", NEW),
    row_on("pod_security_exempt_namespaces", "pod-security", "shop", NEW),
    row_on("pod_security_exempt_users", "pod-security", "jane", NEW),
    row_on("pod_security_exempt_runtime_classes", "pod-security", "kata", NEW),
    row_on("admission_policies", POLICIES, "audit", NEWEST),
    row_on("admission_system_masters", "system-masters", "audit", NEWEST),
    row_on("admission_wildcard_roles", "wildcards-in-roles", "off", NEWEST),
    row_on("admission_allowed_wildcard_roles", "wildcards-in-roles", "argocd", NEWEST),
    row_on("admission_host_paths", "pod-security-host-path", "deny", NEWEST),
    row_on("admission_token_mounts", "service-account-token-mounts", "off", NEWEST),
    row_on("admission_image_digests", "image-provenance", "audit", NEWEST),
    // It means something only beside admission_registries.
    Row { setting: "admission_image_registries", control: Some("image-provenance"), other: "deny", on: &[] },
    row_on("admission_registries", "image-provenance", "ghcr.io/acme", NEWEST),
    row_on(
        "admission_exempt_namespaces",
        "pod-security-host-path,service-account-token-mounts,image-provenance",
        "shop",
        NEWEST,
    ),
    row_on("admission_exposed_services", "deny-service-external-ips", "deny", NEWEST),
    row_on("admission_exposing_namespaces", "deny-service-external-ips", "shop", NEWEST),
    row("namespaces", "network-policies", "shop"),
    row("intra_namespace_policy", "network-policies", "false"),
    row("dns_policy", "network-policies", "false"),
    row("metrics_server_policy", "network-policies", "false"),
    row("svclb_policy", "network-policies", "false"),
    row("traefik_policy", "network-policies", "false"),
    row("tight_ports", "network-policies", "true"),
    row("ingress_to", "network-policies", "shop"),
    row("ingress_controller_labels", "network-policies", "[app=own]"),
    // These mean something only beside ingress_to, or beside a Service that somebody makes.
    Row { setting: "ingress_controller", control: Some("network-policies"), other: "nginx", on: &[] },
    Row {
        setting: "ingress_controller_namespace",
        control: Some("network-policies"),
        other: "edge",
        on: &[],
    },
    Row { setting: "load_balancer", control: Some("network-policies"), other: "metallb", on: &[] },
    row("default_service_accounts", "default-service-account", "false"),
    row_on("pod_security_policies", "pod-security", "false", OLD),
    row_on("cis_operator_binding", "pod-security", "true", OLD),
    // It changes no file of the node.
    Row { setting: "history_runs", control: None, other: "40", on: &[] },
];

const BASES: [&str; 3] = ["1.24", "1.33", "1.37"];

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Returns the files of a node but the journal's.
fn files(node: &Node) -> Files {
    let paths = walk(node.path()).into_iter().map(|(path, _)| path);
    let ours = paths.filter(|path| !path.starts_with("var/lib/k3s-harden") && !path.starts_with("in"));
    ours.filter(|path| node.path().join(path).is_file())
        .map(|path| (path.clone(), fs::read(node.path().join(path)).unwrap()))
        .collect()
}

/// Hardens a node, strictly.
fn hardened(minor: &str, more: &[&str]) -> Node {
    let node = Node::new().file("in/audit.yaml", AUDIT_POLICY);
    told(&node, &[&["--k3s-version", minor, "--role", "server", "--profile", "cis,strict"], more].concat());
    node
}

const AUDIT_POLICY: &str = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Request}]\n";

#[track_caller]
fn told(node: &Node, arguments: &[&str]) {
    let file = node.path().join("in/audit.yaml");
    let arguments: Vec<String> = ["apply", "-q"]
        .iter()
        .chain(arguments)
        .map(|text| text.replace("FILE", file.to_str().unwrap()))
        .collect();
    let output = node.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(output.code, 0, "{arguments:?}: {}", output.stderr);
}

#[track_caller]
fn same(found: &Files, wanted: &Files, what: &str) {
    let keys = |files: &Files| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(found), keys(wanted), "{what}");
    for (path, bytes) in wanted {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        // A file is not written for its comments alone: the numbers of the controls in them may be older.
        let said = |bytes: &[u8]| without_comments(&text(bytes));
        assert_eq!(said(&found[path]), said(bytes), "{what}: {}", path.display());
    }
}

/// Returns a text without its comments, as k3s-harden writes them: on lines of their own, or behind ` # CIS `.
fn without_comments(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines.map(|line| line.split(" # CIS ").next().unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

/// Returns the settings that mean something on a minor; on the older one those that the newer one lacks, and every fifth.
fn rows(minor: &str) -> impl Iterator<Item = &'static Row> {
    let is_tried =
        move |index: usize, row: &Row| row.on == [minor] || minor == BASES[1] || index.is_multiple_of(5);
    let rows =
        ROWS.iter().enumerate().filter(move |(index, row)| row.on.contains(&minor) && is_tried(*index, row));
    rows.map(|(_, row)| row)
}

/// Returns the files of a node that was told `set` in its first run.
fn fresh(minor: &'static str, set: &str) -> Files {
    static KNOWN: Mutex<BTreeMap<(&str, String), Files>> = Mutex::new(BTreeMap::new());
    let key = (minor, set.to_owned());
    if let Some(known) = KNOWN.lock().unwrap().get(&key) {
        return known.clone();
    }
    let found = files(&hardened(minor, &["--set", set]));
    KNOWN.lock().unwrap().insert(key, found.clone());
    found
}

fn assignment(row: &Row) -> String {
    format!("{}={}", row.setting, row.other)
}

/// Returns a setting of another control, a different one for each row.
fn elsewhere(minor: &'static str, row: &Row) -> &'static Row {
    let after = rows(minor).skip_while(|other| other.setting != row.setting).skip(1);
    let mut others = after.chain(rows(minor));
    let own: Vec<&str> = row.control.unwrap_or_default().split(',').collect();
    let is_elsewhere = |controls: &str| !controls.split(',').any(|control| own.contains(&control));
    others.find(|other| other.control.is_some_and(is_elsewhere)).unwrap()
}

#[test]
fn the_table_has_every_setting() {
    let known: Vec<&String> = declarations().keys().collect();
    let mut listed: Vec<&str> = ROWS.iter().map(|row| row.setting).collect();
    listed.sort_unstable();
    assert_eq!(listed, known);
    assert!(
        ROWS.iter()
            .filter_map(|row| row.control)
            .flat_map(|controls| controls.split(','))
            .all(|control| titles().contains_key(control))
    );
}

#[test]
fn what_is_skipped_stays_until_it_is_taken_back() {
    for minor in BASES {
        let base = files(&hardened(minor, &[]));
        for row in rows(minor) {
            let Some(control) = row.control else { continue };
            let what = format!("{minor} {} of {control}", row.setting);
            let set = assignment(row);
            let wanted = fresh(minor, &set);
            assert_ne!(wanted, base, "{what}: the value changes nothing");
            // The control alone is skipped, and everything else that the run is told is done.
            let node = hardened(minor, &[]);
            told(&node, &["--skip", control, "--set", &set]);
            same(&files(&node), &base, &what);
            let other = elsewhere(minor, row);
            told(&node, &["--set", &assignment(other)]);
            let changed = fresh(minor, &assignment(other));
            same(&files(&node), &changed, &format!("{what}, beside {}", other.setting));
            told(&node, &["--skip", "none", "--set", &format!("{}=null", other.setting)]);
            same(&files(&node), &wanted, &format!("{what}, taken back"));
        }
    }
}

#[test]
fn a_run_about_another_control_changes_nothing_of_this_one() {
    for minor in BASES {
        let base = files(&hardened(minor, &[]));
        for (index, row) in rows(minor).enumerate() {
            // A few of the other controls for each setting; over all settings each of them several times.
            let controls: Vec<&String> = titles()
                .keys()
                .filter(|name| !row.control.unwrap_or_default().split(',').any(|own| own == *name))
                .collect();
            let node = hardened(minor, &[]);
            for step in 0..3 {
                let only = controls[(index * 5 + step * 9) % controls.len()];
                // The objects and the plugin of PodSecurityPolicy, and both controls of the encryption, are one.
                let is_one =
                    |control: &str| control.starts_with("pod-security") || control.starts_with("encryption");
                if row.control.is_some_and(is_one) && is_one(only) {
                    continue;
                }
                let what = format!("{minor} {} in a run about {only}", row.setting);
                told(&node, &["--only", only, "--set", &assignment(row)]);
                same(&files(&node), &base, &what);
            }
            told(&node, &[]);
            let wanted = fresh(minor, &assignment(row));
            same(&files(&node), &wanted, &format!("{minor} {} in a run about everything", row.setting));
        }
    }
}

#[test]
fn a_setting_that_is_taken_back_was_never_set() {
    for minor in BASES {
        let base = files(&hardened(minor, &[]));
        for (index, row) in rows(minor).enumerate() {
            let what = format!("{minor} {}", row.setting);
            let node = hardened(minor, &["--set", &assignment(row)]);
            let word = if index % 2 == 0 { "null" } else { "" };
            told(&node, &["--set", &format!("{}={word}", row.setting)]);
            same(&files(&node), &base, &what);
            // It is not remembered either: the settings file counts.
            let node = node.file("in/settings.yaml", format!("{}: {}\n", row.setting, in_file(row)));
            let settings = node.path().join("in/settings.yaml").to_str().unwrap().to_owned();
            told(&node, &["--settings", &settings]);
            assert_ne!(files(&node), base, "{what}: the settings file counts again");
            fs::write(&settings, format!("{}: null\n", row.setting)).unwrap();
            told(&node, &["--settings", &settings]);
            same(&files(&node), &base, &format!("{what}, null in the settings file"));
        }
    }
}

fn in_file(row: &Row) -> String {
    match row.other {
        "FILE" => "audit.yaml".to_owned(),
        "0640" => "\"0640\"".to_owned(),
        "shop" | "jane" | "kata" | "argocd" | "ghcr.io/acme" => format!("[{}]", row.other),
        text if text.starts_with("TLS_") => format!("[{text}]"),
        text => text.to_owned(),
    }
}

#[test]
fn words_that_take_back_are_checked_and_ordered() {
    let node = Node::new();
    let plan = |sets: &[&str]| {
        let arguments = ["plan", "-q", "--k3s-version", "1.33"].iter().copied();
        let sets = sets.iter().flat_map(|set| ["--set", *set]);
        node.run(&arguments.chain(sets).collect::<Vec<_>>())
    };
    assert_eq!(plan(&["audit_log_max_age=null"]).code, 65);
    for (sets, wanted) in [
        (&["audit_log_maxage=90", "audit_log_maxage=null"][..], "audit-log-maxage=30"),
        (&["audit_log_maxage=null", "audit_log_maxage=90"], "audit-log-maxage=90"),
        (&["audit_log_maxage=90", "audit_log_maxsize=null"], "audit-log-maxage=90"),
    ] {
        assert!(plan(sets).stdout.contains(wanted), "{sets:?}");
    }
}

#[test]
fn a_rollback_of_such_runs_leads_back() {
    let node = hardened("1.33", &[]);
    let base = files(&node);
    told(
        &node,
        &["--skip", "pod-security", "--set", "pod_security_enforce=baseline", "--set", "namespaces=shop"],
    );
    let only = ["--only", "pod-security,audit-log-maxage", "--skip", "pod-security"];
    told(&node, &[&only[..], &["--set", "audit_log_maxage=90"]].concat());
    told(&node, &["--only", "pod-security", "--skip", "none"]);
    assert_ne!(files(&node), base);
    for _ in 0..3 {
        assert_eq!(node.run(&["rollback", "-q"]).code, 0);
    }
    same(&files(&node), &base, "three rollbacks");
}

const DROP_IN: &str = "etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml";
const PSA: &str = "var/lib/rancher/k3s/server/psa.yaml";
const POLICY: &str = "var/lib/rancher/k3s/server/manifests/policy.yaml";

#[test]
fn what_was_edited_by_hand_stays_where_a_run_is_not_about_it() {
    let node = hardened("1.33", &[]);
    let edit = |path: &str, from: &str, to: &str| {
        let text = node.read(path);
        assert!(text.contains(from), "{path}: {from}\n{text}");
        fs::write(node.path().join(path), text.replace(from, to)).unwrap();
    };
    edit(
        DROP_IN,
        "\"audit-log-maxage=30\" # CIS 1.2.17",
        "\"audit-log-maxage=45\" # CIS 1.2.17; from /etc/x",
    );
    edit(PSA, "enforce: \"restricted\"", "enforce: baseline # while we move");
    edit(POLICY, "automountServiceAccountToken: false", "automountServiceAccountToken: true");
    edit("etc/sysctl.d/90-kubelet.conf", "kernel.panic=10", "kernel.panic=10\nvm.swappiness=9");
    let edited = files(&node);
    told(&node, &["--skip", "audit-log-maxage,pod-security,default-service-account,protect-kernel-defaults"]);
    same(&files(&node), &edited, "skipped");
    // The other parts of the same files change, and these do not.
    told(
        &node,
        &[
            "--set",
            "request_timeout=60s",
            "--set",
            "dns_policy=false",
            "--set",
            "event_rate_limits=[{type: User, qps: 7, burst: 8}]",
        ],
    );
    let drop_in = node.read(DROP_IN);
    assert!(drop_in.contains("  - \"audit-log-maxage=45\" # CIS 1.2.17; from /etc/x\n"), "{drop_in}");
    assert!(drop_in.contains("request-timeout=60s"), "{drop_in}");
    let psa = node.read(PSA);
    assert!(psa.contains("        enforce: baseline # while we move\n") && psa.contains("qps: 7"), "{psa}");
    let policy = node.read(POLICY);
    assert!(policy.contains("automountServiceAccountToken: true"), "{policy}");
    assert!(!policy.contains("default-network-dns-policy"), "{policy}");
    // A run about them writes them again.
    told(&node, &["--skip", "none"]);
    assert!(node.read(DROP_IN).contains("audit-log-maxage=30") && node.read(PSA).contains("\"restricted\""));
}

#[test]
fn a_file_that_was_left_to_its_author_keeps_its_argument() {
    for (path, argument, control, theirs) in [
        ("server/audit.yaml", "audit-policy-file", "audit-policy", AUDIT_POLICY),
        (
            "server/psa.yaml",
            "admission-control-config-file",
            "pod-security",
            "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins: []\n",
        ),
    ] {
        let path = format!("var/lib/rancher/k3s/{path}");
        let node = Node::new().file(&path, theirs);
        told(&node, &["--k3s-version", "1.33", "--role", "server", "--on-foreign", "keep"]);
        let before = files(&node);
        assert!(node.read(DROP_IN).contains(argument));
        for only in ["request-timeout", "event-rate-limit", "network-policies", control] {
            told(&node, &["--only", only]);
            same(&files(&node), &before, &format!("{path} in a run about {only}"));
        }
        told(&node, &["--skip", control, "--set", "audit_log_maxage=31"]);
        assert!(node.read(DROP_IN).contains(argument), "{argument}");
    }
}

#[test]
fn stale_files_go_if_the_run_is_about_all_that_they_hold() {
    let server = |folder: &str| format!("srv/{folder}/server");
    let make = |more: &[&str]| {
        let node = Node::new();
        told(&node, &[&["--k3s-version", "1.33", "--role", "server", "--data-dir", "/srv/a"], more].concat());
        node
    };
    let has = |node: &Node, folder: &str, name: &str| node.path().join(server(folder)).join(name).exists();
    const NAMES: [&str; 3] = ["audit.yaml", "psa.yaml", "manifests/policy.yaml"];
    let there = |node: &Node, folder: &str| NAMES.map(|name| has(node, folder, name));
    // What is skipped was never written: all of them go.
    for skip in ["request-timeout", "default-service-account", "event-rate-limit"] {
        let node = make(&["--skip", skip]);
        told(&node, &["--data-dir", "/srv/b"]);
        assert_eq!((there(&node, "a"), there(&node, "b")), ([false; 3], [true; 3]), "{skip}");
    }
    // What holds something of a skipped control stays, with the argument that names it.
    let node = make(&[]);
    told(&node, &["--data-dir", "/srv/b", "--skip", "audit-policy"]);
    assert_eq!((there(&node, "a"), there(&node, "b")), ([true, false, false], [false, true, true]));
    let drop_in = node.read(DROP_IN);
    assert!(drop_in.contains("audit-policy-file=/srv/a/server/audit.yaml"), "{drop_in}");
    assert!(drop_in.contains("admission-control-config-file=/srv/b/server/psa.yaml"), "{drop_in}");
    // A run about one control moves its file alone.
    let node = make(&[]);
    told(&node, &["--data-dir", "/srv/b", "--only", "audit-policy"]);
    assert_eq!((there(&node, "a"), there(&node, "b")), ([false, true, true], [true, false, false]));
    assert!(node.read(DROP_IN).contains("admission-control-config-file=/srv/a/server/psa.yaml"));
    // One plugin of two: the other one is written beside it, because one argument names one file.
    let node = make(&["--set", "event_rate_limit=true"]);
    told(
        &node,
        &["--data-dir", "/srv/b", "--only", "event-rate-limit", "--set", "pod_security_enforce=baseline"],
    );
    let psa = node.read("srv/b/server/psa.yaml");
    assert!(psa.contains("enforce: \"restricted\"") && psa.contains("EventRateLimit"), "{psa}");
    assert!(node.read(DROP_IN).contains("admission-control-config-file=/srv/b/server/psa.yaml"));
    // A file that its setting no longer wants goes too, and one that somebody overwrote stays.
    let node = make(&["--skip", "request-timeout"]);
    fs::write(node.path().join("srv/a/server/audit.yaml"), "theirs: 1\n").unwrap();
    told(&node, &["--role", "agent"]);
    assert_eq!(there(&node, "a"), [true, false, false]);
}

#[test]
fn a_plugin_that_the_minor_does_not_have_is_not_kept() {
    let node = hardened("1.24", &[]);
    let skip = ["--skip", "pod-security,pod-security-policy-plugin,service-account-plugin"];
    told(&node, &[&["--k3s-version", "1.25"], &skip[..]].concat());
    assert!(!node.read(DROP_IN).contains("PodSecurityPolicy"), "{}", node.read(DROP_IN));
    assert!(!node.read(POLICY).contains("kind: PodSecurityPolicy"));
}
