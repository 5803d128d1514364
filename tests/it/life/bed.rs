// SPDX-License-Identifier: Apache-2.0
//! A node on which K3s has started, and its whole state.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use k3s_harden::Role;
use k3s_harden::k3s::{Datastore, FirstStart, RunningComponents, forecast_files};
use k3s_harden::node::RootedPath;
use serde_json::Value;

use crate::support::{Node, Output, walk};

/// Returns the time that runs record.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

pub(super) const K3S: &str = "var/lib/rancher/k3s";

/// Runs a verb that has to end with a code.
#[track_caller]
pub(super) fn run(node: &Node, code: i32, arguments: &[&str]) -> Output {
    let output = node.run(arguments);
    assert_eq!(output.code, code, "{arguments:?}: {}{}", output.stdout, output.stderr);
    output
}

/// The same, with its JSON.
#[track_caller]
pub(super) fn json(node: &Node, code: i32, arguments: &[&str]) -> Value {
    let output = run(node, code, &[arguments, &["--format", "json"]].concat());
    serde_json::from_str(&output.stdout).unwrap()
}

/// Lays what K3s makes at its first start, with its modes.
pub(super) fn start(node: &Node, minor: &str, role: Role, datastore: Datastore) {
    let data_dir = RootedPath::fixed("/var/lib/rancher/k3s");
    let running = RunningComponents::of_role(role, datastore);
    let minor = minor.parse().unwrap();
    let first = FirstStart { role, minor, data_dir: &data_dir, running: &running, provider: "aescbc" };
    let files = forecast_files(first);
    for (path, file) in &files {
        let path = node.path().join(path.trim_start_matches('/'));
        if file.directory {
            fs::create_dir_all(&path).unwrap();
        } else {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let extension = path.extension().and_then(|extension| extension.to_str());
            let text = match (file.text.as_str(), extension) {
                ("", Some("key")) => include_str!("../../certificates/ec.key"),
                ("", Some("crt")) => include_str!("../../certificates/ec.crt"),
                (_, Some("json")) => &encryption("aescbc"),
                (text, _) => text,
            };
            fs::write(&path, text).unwrap();
        }
    }
    for (path, file) in &files {
        chmod(&node.path().join(path.trim_start_matches('/')), file.mode.bits());
    }
    let more: &[&str] = match (role, datastore) {
        (Role::Agent, _) => &[],
        (_, Datastore::Sqlite) => &["server/db/state.db", "server/manifests/ccm.yaml"],
        (_, Datastore::Etcd) => &["server/db/etcd/name", "server/manifests/ccm.yaml"],
        _ => &["server/manifests/ccm.yaml"],
    };
    for path in more.iter().chain(&["agent/etc/containerd/config.toml"]) {
        let path = node.path().join(K3S).join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        chmod(&path, 0o600);
    }
    started_at(node, now() - 3600);
}

/// Returns K3s's encryption configuration with a provider in front.
pub(super) fn encryption(provider: &str) -> String {
    let keys = r#"{"keys":[{"name":"k","secret":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}]}"#;
    let first = match provider {
        "identity" => String::new(),
        _ => format!("{{\"{provider}\":{keys}}},"),
    };
    format!(
        "{{\"kind\":\"EncryptionConfiguration\",\"apiVersion\":\"apiserver.config.k8s.io/v1\",\"resources\":[{{\"resources\":[\"secrets\"],\"providers\":[{first}{{\"identity\":{{}}}}]}}]}}"
    )
}

/// Lets K3s start at a time: it writes some of its files again then.
pub(super) fn started_at(node: &Node, at: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(at);
    for path in [
        "server/manifests/ccm.yaml",
        "agent/etc/containerd/config.toml",
        "agent/etc/kubelet.conf.d/00-k3s-defaults.conf",
    ] {
        let path = node.path().join(K3S).join(path);
        if path.exists() {
            fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        }
    }
}

pub(super) fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Everything but the state directory and what leads to it: mode, owner and content or target by path.
pub(super) type State = BTreeMap<PathBuf, (String, u32, u32, Vec<u8>)>;

pub(super) fn state(node: &Node) -> State {
    let leads_there = |path: &PathBuf| "var/lib".starts_with(path.to_str().unwrap());
    let of = |(path, mode): (PathBuf, String)| {
        let at = node.path().join(&path);
        let target = fs::read_link(&at).map(|target| target.into_os_string().into_encoded_bytes());
        let content = target.or_else(|_| fs::read(&at)).unwrap_or_default();
        let metadata = fs::symlink_metadata(&at).unwrap();
        (path, (mode, metadata.uid(), metadata.gid(), content))
    };
    let found = walk(node.path()).into_iter();
    found
        .filter(|(path, _)| {
            !path.starts_with("var/lib/k3s-harden") && !path.starts_with("in") && !leads_there(path)
        })
        .map(of)
        .collect()
}

/// Fails with the paths of two states that differ.
#[track_caller]
pub(super) fn same(found: &State, wanted: &State, when: &str) {
    let differs = |path: &&PathBuf| found.get(*path) != wanted.get(*path);
    let paths: Vec<&PathBuf> = found.keys().chain(wanted.keys()).filter(differs).collect();
    assert!(paths.is_empty(), "{when}: {paths:?}");
}
