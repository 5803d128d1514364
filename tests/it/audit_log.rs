// SPDX-License-Identifier: Apache-2.0
//! The file of `audit-log-path`: what `preflight` says of it, against what the kernel answers to the two calls with which the
//! API server makes it.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use k3s_harden::Role;
use k3s_harden::k3s::NodeConfig;
use k3s_harden::node::Root;
use k3s_harden::preflight::{self, Class, Finding};
use k3s_harden::version::K3sVersion;

use crate::support::Node;
use crate::support::random::Random;

const CONFIG: &str = "etc/rancher/k3s/config.yaml";
const POLICY: &str = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n";
/// Releases that do not make the log's folder, and releases that do.
const OLD: [&str; 5] = ["v1.23.0+k3s1", "v1.23.9+k3s1", "v1.24.0+k3s1", "v1.24.3+k3s1", "v1.24.3"];
const NEW: [&str; 6] = ["v1.23.10+k3s1", "v1.23.17+k3s1", "v1.24.4+k3s1", "v1.25.0+k3s1", "1.25", "1.37"];

fn with_log(path: &str) -> Node {
    let config =
        format!("kube-apiserver-arg: [audit-policy-file=/etc/audit.yaml, \"audit-log-path={path}\"]\n");
    Node::new().file(CONFIG, config).file("etc/audit.yaml", POLICY)
}

/// Returns whether K3s starts, and the findings about the log.
fn judge(root: &Path, version: &str) -> (Option<bool>, Vec<Finding>) {
    let root = Root::open(root).unwrap();
    let version: K3sVersion = version.parse().unwrap();
    let data_dir = "/var/lib/rancher/k3s".parse().unwrap();
    let node = NodeConfig::read(&root, Role::Server, version.number(), &data_dir).unwrap();
    let verdict = preflight::check(&node);
    let starts = verdict.starts();
    let is_log =
        |finding: &Finding| finding.code.starts_with("audit-log-") && finding.code != "audit-log-disk";
    (starts, verdict.findings.into_iter().filter(is_log).collect())
}

#[test]
fn a_missing_folder_stops_the_releases_that_do_not_make_it() {
    let node = with_log("/var/log/k3s/audit.log");
    for version in OLD {
        let (starts, found) = judge(node.path(), version);
        assert_eq!(starts, Some(false), "{version}: {found:?}");
        assert_eq!(found[0].code, "audit-log-directory");
        let says = "ensureLogFile: open /var/log/k3s/audit.log: no such file or directory";
        assert_eq!(found[0].says.as_deref(), Some(says));
        assert!(
            found[0].remedy.contains("mkdir -p -m 700 ") && found[0].remedy.contains("/var/log/k3s`"),
            "{found:?}"
        );
        assert_eq!(found[0].place.as_ref().unwrap().file, "/etc/rancher/k3s/config.yaml");
    }
    for version in NEW {
        assert_eq!(judge(node.path(), version), (Some(true), vec![]), "{version}");
    }
    for (minor, since) in [("1.23", "1.23.10"), ("1.24", "1.24.4")] {
        let (starts, found) = judge(node.path(), minor);
        assert_eq!((starts, found[0].class), (None, Class::Unknown), "{minor}: {found:?}");
        assert!(found[0].message.contains(&format!("before {since} the API server")), "{found:?}");
        assert!(found[0].remedy.contains("name the release in full"), "{found:?}");
    }
    fs::create_dir_all(node.path().join("var/log/k3s")).unwrap();
    for version in OLD.into_iter().chain(["1.23", "1.24"]) {
        assert_eq!(judge(node.path(), version), (Some(true), vec![]), "{version}");
    }
}

#[test]
fn what_k3s_itself_makes_is_there_in_time() {
    for path in ["audit.log", "cred/audit.log", "./tls/a.log", "/var/lib/rancher/k3s/server/db/a.log", "-"] {
        assert_eq!(judge(with_log(path).path(), "v1.23.9+k3s1"), (Some(true), vec![]), "{path}");
    }
    for path in ["logs/audit.log", "manifests/a.log", "/var/lib/rancher/k3s/agent/a.log", "../logs/a.log"] {
        assert_eq!(judge(with_log(path).path(), "v1.23.9+k3s1").0, Some(false), "{path}");
        assert_eq!(judge(with_log(path).path(), "v1.23.10+k3s1").0, Some(true), "{path}");
    }
    // With a database elsewhere nobody makes server/db.
    let config = "datastore-endpoint: postgres://u:p@db/k3s\nkube-apiserver-arg: [audit-policy-file=/etc/audit.yaml, audit-log-path=db/a.log]\n";
    let node = Node::new().file(CONFIG, config).file("etc/audit.yaml", POLICY);
    assert_eq!(judge(node.path(), "v1.23.9+k3s1").1[0].code, "audit-log-directory");
}

#[test]
fn what_apply_writes_starts_on_the_releases_that_make_no_folder() {
    for version in OLD {
        let node = Node::new();
        let output = node.run(&["apply", "--k3s-version", version, "--role", "server"]);
        assert_eq!(output.code, 0, "{version}: {}", output.stderr);
        assert_eq!(judge(node.path(), version), (Some(true), vec![]), "{version}");
        fs::remove_dir(node.path().join("var/lib/rancher/k3s/server/logs")).unwrap();
        assert_eq!(judge(node.path(), version).0, Some(false), "{version}");
    }
}

#[test]
fn the_output_of_a_service_of_systemd_is_no_file() {
    let unit = "[Service]\nExecStart=/usr/local/bin/k3s server\n";
    for path in ["/dev/stdout", "/proc/self/fd/2"] {
        let node = with_log(path).file("etc/systemd/system/k3s.service", unit);
        let (starts, found) = judge(node.path(), "v1.36.3+k3s1");
        assert_eq!((starts, found[0].class), (None, Class::Unknown), "{path}: {found:?}");
        assert!(found[0].says.as_ref().unwrap().ends_with("no such device or address"), "{found:?}");
        // Without a service, as in a container, it is a pipe or a file.
        assert_eq!(judge(with_log(path).path(), "v1.36.3+k3s1"), (Some(true), vec![]), "{path}");
    }
    let node = with_log("-").file("etc/systemd/system/k3s.service", unit);
    assert_eq!(judge(node.path(), "v1.36.3+k3s1"), (Some(true), vec![]));
}

/// Where K3s runs.
const SERVER: &str = "var/lib/rancher/k3s/server";

/// Puts folders, files and symlinks of all kinds at the root and where K3s runs.
fn lay_out(root: &Path) {
    for base in ["", SERVER] {
        let at = |path: &str| root.join(base).join(path);
        fs::create_dir_all(at("dir/deep")).unwrap();
        fs::write(at("file"), "").unwrap();
        for (target, link) in [
            ("dir", "to-dir"),
            ("dir/deep", "to-deep"),
            ("file", "to-file"),
            ("nothing", "to-nothing"),
            ("dir/new", "to-new"),
            ("missing/new", "to-missing"),
            ("circle", "circle"),
            ("../file", "dir/up"),
        ] {
            symlink(target, at(link)).unwrap();
        }
    }
}

/// Returns a text as Go's `filepath.Clean` writes it.
fn clean(text: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in text.split('/').filter(|part| !matches!(*part, "" | ".")) {
        match parts.last() {
            Some(last) if part == ".." && *last != ".." => drop(parts.pop()),
            None if part == ".." && text.starts_with('/') => {}
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// Makes a folder as Go's `os.MkdirAll` does.
fn make_folder(path: &Path) -> std::io::Result<()> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => return Err(std::io::ErrorKind::NotADirectory.into()),
        Err(_) => {}
    }
    path.parent().map_or(Ok(()), make_folder)?;
    fs::create_dir(path).or_else(|error| {
        let is_directory = fs::symlink_metadata(path).is_ok_and(|found| found.is_dir());
        if is_directory { Ok(()) } else { Err(error) }
    })
}

/// Makes the log as the API server does, below a root.
fn make(root: &Path, text: &str, makes_folder: bool) -> std::io::Result<()> {
    let base = if text.starts_with('/') { root.to_owned() } else { root.join(SERVER) };
    // K3s has made these by then.
    for folder in ["tls/etcd", "cred", "etc", "db"] {
        fs::create_dir_all(root.join(SERVER).join(folder)).unwrap();
    }
    if makes_folder {
        let folder = text.rsplit_once('/').map_or("", |(folder, _)| folder);
        let cleaned = if text.starts_with('/') { clean(&format!("/{folder}")) } else { clean(folder) };
        make_folder(&base.join(cleaned))?;
    }
    let path = format!("{}/{}", base.display(), text.trim_start_matches('/'));
    fs::OpenOptions::new().create(true).append(true).read(true).open(path).map(drop)
}

/// Counts how deep a path is behind another part; none once it is above its beginning.
fn climb(depth: i32, part: &&str) -> Option<i32> {
    let depth = match *part {
        ".." => depth - 1,
        "" | "." => depth,
        _ => depth + 1,
    };
    (depth >= 0).then_some(depth)
}

#[test]
fn the_verdict_is_the_kernels() {
    let seed = 20_230_410;
    let mut random = Random::new(seed);
    let names = [
        "dir",
        "deep",
        "file",
        "to-dir",
        "to-deep",
        "to-file",
        "to-nothing",
        "to-new",
        "to-missing",
        "circle",
        "up",
        "missing",
        "new",
        "..",
        ".",
        "",
        "cred",
        "tls",
    ];
    let (mut stopped, mut wrong) = ([0, 0], Vec::new());
    for _ in 0..250 {
        let parts: Vec<&str> = (0..=random.below(4)).map(|_| names[random.below(names.len())]).collect();
        let mut text = parts.join("/");
        if random.below(2) == 0 {
            text = format!("/{text}");
        }
        // Above a root that is a folder of this machine there is more; above that of a node there is not.
        let leads_out = text.starts_with('/') && parts.iter().try_fold(0_i32, climb).is_none();
        if text.is_empty() || leads_out {
            continue;
        }
        for (makes_folder, version) in [(false, "v1.24.3+k3s1"), (true, "v1.24.4+k3s1")] {
            let node = with_log(&text);
            lay_out(node.path());
            let (starts, found) = judge(node.path(), version);
            let answer = make(node.path(), &text, makes_folder);
            stopped[usize::from(makes_folder)] += usize::from(answer.is_err());
            if starts != Some(answer.is_ok()) {
                wrong.push(format!("{text:?} {version}: {starts:?} {found:?}, the kernel: {answer:?}"));
            } else if let Err(error) = answer {
                let reason = error.to_string().to_lowercase();
                let reason = reason.split(" (os error").next().unwrap().to_owned();
                let says = found[0].says.clone().unwrap();
                if !says.ends_with(&reason) {
                    wrong.push(format!("{text:?} {version}: says {says:?}, the kernel: {reason}"));
                }
            }
        }
    }
    println!("seed {seed}: {stopped:?} stopped");
    assert_eq!(wrong, Vec::<String>::new());
    assert!(stopped[0] > stopped[1] && stopped[1] > 60, "{stopped:?}");
}
