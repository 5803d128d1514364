// SPDX-License-Identifier: Apache-2.0
//! What is read on a node, by which verb: every path that a run looks at is in a table, and the manual's page of it is
//! made from what the runs did.
//!
//! The table `rows.yaml` says of each path whose it is and what is in it. This module runs the verbs on several nodes,
//! takes the paths from their system calls, and fails for a path without a row, for a row that no run reads, and if
//! `docs/READS.md` is not what comes out. `K3S_HARDEN_BLESS=1` writes the page.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::support::{Node, owner, tools};

const DATA_DIR: &str = "/var/lib/rancher/k3s";

/// What K3s's installer writes where OpenRC starts the machine, as far as it matters here.
const INIT_SCRIPT: &str = "#!/sbin/openrc-run
command=\"/usr/local/bin/k3s\"
command_args=\"server >>/var/log/k3s.log 2>&1\"
set -o allexport
if [ -f /etc/environment ]; then . /etc/environment; fi
if [ -f /etc/rancher/k3s/k3s.env ]; then . /etc/rancher/k3s/k3s.env; fi
set +o allexport
";

/// The verbs in the order in which they are run: `preflight` and `plan` before and after `apply`.
const RUNS: [&str; 12] = [
    "preflight",
    "plan",
    "apply",
    "preflight",
    "plan",
    "verify",
    "verify --as",
    "effective-config",
    "explain",
    "history",
    "rollback",
    "uninstall",
];

/// Each verb with what it needs, and its name in the table.
const VERBS: [(&str, &[&str]); 10] = [
    ("preflight", &["preflight"]),
    ("plan", &["plan"]),
    ("apply", &["apply"]),
    ("verify", &["verify"]),
    ("verify --as", &["verify", "--as", "kube-bench"]),
    ("effective-config", &["effective-config"]),
    ("explain", &["explain", "1.2.1"]),
    ("history", &["history"]),
    ("rollback", &["rollback"]),
    ("uninstall", &["uninstall"]),
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Table {
    read: Vec<Row>,
    not_read: Vec<Row>,
}

/// Paths, and what they are. `*` stands for a part of a name, `**` for anything. A path without a leading slash is below
/// K3s's data directory.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    paths: Vec<String>,
    /// Who reads it when the node starts.
    by: String,
    what: String,
}

impl Row {
    fn has(&self, path: &str) -> bool {
        self.paths.iter().any(|pattern| matches(&whole(pattern), path))
    }

    fn line(&self, verbs: &str) -> String {
        let paths: Vec<String> = self.paths.iter().map(|path| format!("`{path}`")).collect();
        let by = &self.by;
        format!("| {} | {by} | {} |{verbs}\n", paths.join(", "), self.what)
    }
}

fn whole(pattern: &str) -> String {
    if pattern.starts_with('/') { pattern.to_owned() } else { format!("{DATA_DIR}/{pattern}") }
}

fn matches(pattern: &str, path: &str) -> bool {
    if let Some(rest) = pattern.strip_prefix("**") {
        return (0..=path.len()).any(|at| path.is_char_boundary(at) && matches(rest, &path[at..]));
    }
    match (pattern.chars().next(), path.chars().next()) {
        (None, None) => true,
        (Some('*'), next) => {
            matches(&pattern[1..], path)
                || next.is_some_and(|letter| letter != '/' && matches(pattern, &path[letter.len_utf8()..]))
        }
        (Some(wanted), Some(found)) if wanted == found => {
            matches(&pattern[wanted.len_utf8()..], &path[found.len_utf8()..])
        }
        _ => false,
    }
}

/// An admission configuration that names a folder of policies.
const ADMISSION: &str = "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n- name: ValidatingAdmissionPolicy\n  configuration: {apiVersion: apiserver.config.k8s.io/v1, kind: ValidatingAdmissionPolicyConfiguration, staticManifestsDir: /var/lib/rancher/k3s/server/admission.d}\n";

/// Returns the nodes that the verbs are run on, with their arguments.
fn nodes() -> Vec<(Node, [&'static str; 4])> {
    let server = ["--k3s-version", "1.33", "--role", "server"];
    let agent = ["--k3s-version", "1.33", "--role", "agent"];
    let unit = |command: &str| {
        format!(
            "[Service]\nEnvironmentFile=-/etc/systemd/system/k3s.service.env\nExecStart=/usr/local/bin/k3s {command}\n"
        )
    };
    let config = "etc/rancher/k3s/config.yaml";
    let started = |node: Node| {
        node.file("var/lib/rancher/k3s/server/db/state.db", "").file("var/lib/rancher/k3s/server/token", "x")
    };
    vec![
        (
            Node::new()
                .file("etc/systemd/system/k3s.service", unit("server"))
                .file("etc/systemd/system/k3s.service.d/10-env.conf", "[Service]\nEnvironment=A=b\n")
                .file(config, "token: x\nkubelet-arg: [\"config=/etc/rancher/k3s/kubelet.yaml\"]\n")
                .file(
                    "etc/rancher/k3s/kubelet.yaml",
                    "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n",
                ),
            server,
        ),
        (
            started(
                Node::new()
                    .file("etc/init.d/k3s", INIT_SCRIPT)
                    .file("etc/environment", "A=b\n")
                    .file("etc/rancher/k3s/k3s.env", "K3S_DEBUG=true\n")
                    .file("etc/conf.d/k3s", "rc_ulimit=\"-n 1000\"\n")
                    .file("etc/rancher/k3s/registries.yaml", "mirrors: {}\n"),
            ),
            server,
        ),
        (
            Node::new()
                .file("etc/systemd/system/k3s-agent.service", unit("agent"))
                .file(config, "server: https://192.0.2.1:6443\ntoken: x\n"),
            agent,
        ),
        (
            Node::new()
                .file(config, "kube-apiserver-arg: [admission-control-config-file=/var/lib/rancher/k3s/server/psa.yaml]\n")
                .file("var/lib/rancher/k3s/server/psa.yaml", ADMISSION)
                .file("var/lib/rancher/k3s/server/admission.d/a.yaml", ""),
            ["--k3s-version", "1.37", "--role", "server"],
        ),
    ]
}

/// Runs a verb, and returns the paths below the root that it looks at.
fn looked_at(node: &Node, words: &[&str], version: &[&str]) -> BTreeSet<String> {
    let folder = tempfile::tempdir().unwrap();
    let calls = folder.path().join("calls");
    let mut command = tools::command("strace");
    command
        .args(["-f", "-qq", "-y", "-s", "4096", "-e", "trace=%file", "-e", "signal=none", "-o"])
        .arg(&calls);
    command.arg(env!("CARGO_BIN_EXE_k3s-harden")).args(words);
    if !["history", "rollback", "uninstall"].contains(&words[0]) {
        command.args(version).args(["--owner", &owner()]);
    }
    command.arg("--root").arg(node.path()).env_clear().output().unwrap();
    let text = fs::read_to_string(&calls).unwrap();
    let root = node.path().to_str().unwrap();
    text.lines().filter_map(|line| path_of(line, root)).collect()
}

/// Returns the path below the root that a system call names.
fn path_of(line: &str, root: &str) -> Option<String> {
    let (call, rest) = line.split_once('(')?;
    if call.ends_with("execve") {
        return None;
    }
    let folder = rest.split_once(", \"").filter(|(folder, _)| !folder.contains('"'));
    let folder = folder.and_then(|(folder, _)| folder.split_once('<')?.1.strip_suffix('>'));
    let (_, name) = rest.split_once('"')?;
    let (name, _) = name.split_once('"')?;
    let whole = match folder {
        Some(folder) if !name.starts_with('/') => format!("{folder}/{name}"),
        // In a confined look-up a path begins at the folder.
        Some(folder) if folder.starts_with(root) => format!("{folder}{name}"),
        _ => name.to_owned(),
    };
    let path = whole.strip_prefix(root)?.trim_end_matches("/.").trim_end_matches('/');
    (!path.is_empty()).then(|| path.to_owned())
}

#[test]
fn names_with_stars_match() {
    assert!(matches("/etc/*.d/a.*", "/etc/x.d/a.conf") && !matches("/etc/*", "/etc/a/b"));
    assert!(matches("/etc/**", "/etc/a/b") && matches("/a*", "/a") && !matches("/a", "/ab"));
    let root = "/tmp/n";
    assert_eq!(
        path_of(r#"1 openat2(3</tmp/n>, "etc/x/", {flags=O_RDONLY}, 24) = 4"#, root).as_deref(),
        Some("/etc/x")
    );
    assert_eq!(path_of(r#"1 readlinkat(4</tmp/n/etc>, "x", "y", 9) = 1"#, root).as_deref(), Some("/etc/x"));
    assert_eq!(path_of(r#"1 openat(AT_FDCWD</work>, "/proc/self/maps", O_RDONLY) = 3"#, root), None);
}

#[test]
#[ignore = "needs strace"]
fn what_is_read_on_a_node_is_in_the_table() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table: Table =
        serde_yaml::from_str(&fs::read_to_string(here.join("tests/it/reads/rows.yaml")).unwrap()).unwrap();
    let mut verbs_of: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
    let mut unknown = BTreeSet::new();
    for (node, version) in nodes() {
        for run in RUNS {
            let (verb, words) = VERBS.into_iter().find(|(verb, _)| *verb == run).unwrap();
            let paths = looked_at(&node, words, &version);
            assert!(!paths.is_empty(), "{verb} looked at nothing");
            for path in &paths {
                // A folder is opened on the way to what is in it.
                let below = format!("{path}/");
                let is_on_the_way = table
                    .read
                    .iter()
                    .flat_map(|row| &row.paths)
                    .any(|pattern| whole(pattern).starts_with(&below));
                let rows: Vec<usize> = (0..table.read.len()).filter(|at| table.read[*at].has(path)).collect();
                if rows.is_empty() && !is_on_the_way {
                    unknown.insert(format!("{verb}: {path}"));
                }
                for row in rows {
                    verbs_of.entry(row).or_default().insert(verb);
                }
            }
        }
    }
    assert!(unknown.is_empty(), "these paths have no row:\n{unknown:#?}");
    let page = page(&table, &verbs_of);
    let path = here.join("docs/READS.md");
    if std::env::var_os("K3S_HARDEN_BLESS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), page, "K3S_HARDEN_BLESS=1 writes the page");
}

fn page(table: &Table, verbs_of: &BTreeMap<usize, BTreeSet<&str>>) -> String {
    let mut page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/reads/head.md")).unwrap();
    page += "| path | read by | what it is |";
    for (verb, _) in VERBS {
        write!(page, " {verb} |").unwrap();
    }
    page += &format!("\n|{}\n", "---|".repeat(3 + VERBS.len()));
    for (at, row) in table.read.iter().enumerate() {
        let verbs = verbs_of.get(&at).unwrap_or_else(|| panic!("no verb reads {:?}", row.paths));
        let marks: String =
            VERBS.iter().map(|(verb, _)| if verbs.contains(verb) { " x |" } else { "  |" }).collect();
        page += &row.line(&marks);
    }
    page += "\n## Not read\n\nThe tool gives no verdict on these; no verb opens them.\n\n| path | read by | why not |\n|---|---|---|\n";
    for row in &table.not_read {
        page += &row.line("");
    }
    page
}
