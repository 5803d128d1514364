//! What K3s has left on the node: its version, its role, whether it has started, whether Rancher manages it.

use std::collections::BTreeMap;
use std::io::Read;

use super::path::RootedPath;
use super::root::Root;
use crate::Role;
use crate::error::{Error, ErrorKind, Result};
use crate::version::K3sVersion;

/// Where install.sh and packages put the binary.
const BINARIES: [&str; 3] = ["/usr/local/bin/k3s", "/opt/bin/k3s", "/usr/bin/k3s"];

/// Files under the data directory that only a started server leaves. `server/tls`, `data` and
/// `agent/images` are no proof: custom certificates, `k3s kubectl` and preloaded images put them there.
const STARTED_SERVER: [&str; 8] = [
    "server/db/state.db",
    "server/db/etcd/member/wal",
    "server/db/etcd/name",
    "server/token",
    "server/cred/passwd",
    "server/cred/admin.kubeconfig",
    "server/manifests/coredns.yaml",
    "server/manifests/rolebindings.yaml",
];

/// The same for an agent; a server runs one too.
const STARTED_AGENT: [&str; 3] =
    ["agent/kubelet.kubeconfig", "agent/client-kubelet.crt", "agent/etc/kubelet.conf.d/00-k3s-defaults.conf"];

/// Longest version text in a binary, in bytes.
const MAX_VERSION_BYTES: usize = 64;
/// How much of a binary is searched at a time, in bytes.
const CHUNK_BYTES: usize = 1 << 20;

/// What K3s has left on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces {
    /// The role that it has started in, with the file that proves it.
    pub started: Option<(Role, RootedPath)>,
    /// Whether it started with encrypted Secrets.
    pub secrets_encrypted: bool,
    /// Whether Rancher manages it.
    pub rancher: bool,
}

impl Traces {
    /// Looks for traces of K3s with its data in `data_dir`.
    #[must_use]
    pub fn observe(root: &Root, data_dir: &RootedPath) -> Self {
        let find = |role, files: &[&str]| {
            files
                .iter()
                .map(|file| data_dir.join(file))
                .find(|path| root.exists(path))
                .map(|path| (role, path))
        };
        let kubeconfig = || {
            let path = RootedPath::fixed("/etc/rancher/k3s/k3s.yaml");
            root.exists(&path).then_some((Role::Server, path))
        };
        let rancher = [
            "/etc/rancher/k3s/config.yaml.d/50-rancher.yaml",
            "/etc/systemd/system/rancher-system-agent.service",
        ];
        Self {
            started: find(Role::Server, &STARTED_SERVER)
                .or_else(kubeconfig)
                .or_else(|| find(Role::Agent, &STARTED_AGENT)),
            secrets_encrypted: root.exists(&data_dir.join("server/cred/encryption-config.json")),
            rancher: rancher.iter().any(|path| root.exists(&RootedPath::fixed(path))),
        }
    }
}

/// Finds the role that the node was given: by the command in the services that the installer writes, whatever
/// their names, else by what a started K3s has left. None where there is no trace, or where they disagree.
#[must_use]
pub fn role(root: &Root, data_dir: &RootedPath) -> Option<Role> {
    let mut roles = Vec::new();
    for folder in ["/etc/systemd/system", "/etc/init.d"].map(RootedPath::fixed) {
        for name in root.list(&folder).unwrap_or_default() {
            let Some(name) = name.to_str().filter(|name| name.starts_with("k3s")) else { continue };
            let bytes = root.read(&folder.join(name)).ok().flatten().unwrap_or_default();
            roles.extend(command(&String::from_utf8_lossy(&bytes)).or_else(|| role_of_name(name)));
        }
    }
    roles.dedup();
    match roles.as_slice() {
        [role] => Some(*role),
        [] => Traces::observe(root, data_dir).started.map(|(role, _)| role),
        _ => None,
    }
}

/// Finds the command behind the program in a unit's `ExecStart=` or an init script's `command_args=`.
fn command(service: &str) -> Option<Role> {
    let joined = service.replace("\\\n", " ");
    let line = joined
        .lines()
        .map(str::trim_start)
        .find(|line| line.starts_with("ExecStart=") || line.starts_with("command_args="))?;
    line.split(|letter: char| letter.is_whitespace() || "\"'=".contains(letter)).find_map(|word| match word {
        "server" => Some(Role::Server),
        "agent" => Some(Role::Agent),
        _ => None,
    })
}

fn role_of_name(name: &str) -> Option<Role> {
    match name.trim_end_matches(".service") {
        "k3s" => Some(Role::Server),
        "k3s-agent" => Some(Role::Agent),
        _ => None,
    }
}

/// Finds the installed binary.
#[must_use]
pub fn binary(root: &Root) -> Option<RootedPath> {
    BINARIES.map(RootedPath::fixed).into_iter().find(|path| root.exists(path))
}

/// Finds the version in the bytes of the installed binary, which is never run; none where there is no binary.
///
/// # Errors
/// [`ErrorKind::BadInput`] where the binary holds no version, or several minors equally often.
pub fn version(root: &Root) -> Result<Option<(K3sVersion, RootedPath)>> {
    for path in BINARIES.map(RootedPath::fixed) {
        let Some(mut file) = root.open_for_reading(&path)? else { continue };
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let mut window = Vec::with_capacity(CHUNK_BYTES + MAX_VERSION_BYTES);
        loop {
            let kept = window.len();
            let read = (&mut file).take(CHUNK_BYTES as u64).read_to_end(&mut window).map_err(|error| {
                root.failed(
                    "read",
                    &path,
                    error.raw_os_error().map_or(nix::errno::Errno::EIO, nix::errno::Errno::from_raw),
                )
            })?;
            // A version that a chunk cuts in two is found with the next one; one in the kept part was counted.
            for version in versions(&window, kept, read < CHUNK_BYTES) {
                *counts.entry(version).or_default() += 1;
            }
            if read < CHUNK_BYTES {
                break;
            }
            window.drain(..window.len() - MAX_VERSION_BYTES);
        }
        return most_frequent(&counts, root, &path).map(|version| Some((version, path)));
    }
    Ok(None)
}

/// Returns the versions whose `+k3s` ends after `from`; near the end only when it is `last`.
fn versions(window: &[u8], from: usize, last: bool) -> Vec<String> {
    let mut found = Vec::new();
    let mark = b"+k3s";
    let half = MAX_VERSION_BYTES / 2;
    for at in 0..window.len().saturating_sub(mark.len()) {
        if window[at] != b'+' || !window[at..].starts_with(mark) {
            continue;
        }
        if (at + half < from) || (!last && at + half >= window.len()) {
            continue;
        }
        let number = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
        let start = at - window[..at].iter().rev().take(half).take_while(|byte| number(byte)).count();
        let digits = window[at + mark.len()..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if start == 0 || window[start - 1] != b'v' || digits == 0 {
            continue;
        }
        let text = String::from_utf8_lossy(&window[start - 1..at + mark.len() + digits]).into_owned();
        if text.parse::<K3sVersion>().is_ok() {
            found.push(text);
        }
    }
    found
}

fn most_frequent(counts: &BTreeMap<String, usize>, root: &Root, path: &RootedPath) -> Result<K3sVersion> {
    let most = counts.values().max().copied().unwrap_or(0);
    let mut versions = counts
        .iter()
        .filter(|(_, count)| **count == most)
        .filter_map(|(text, _)| text.parse::<K3sVersion>().ok());
    let error = |what: &str| {
        Error::new(ErrorKind::BadInput, format!("{} {what}", root.display(path)))
            .hint("name the version: --k3s-version v1.33.4+k3s1, or just 1.33")
    };
    let version = versions.next().ok_or_else(|| error("does not say which version of K3s it is"))?;
    if versions.any(|other| other.minor() != version.minor()) {
        return Err(error("names several versions of K3s"));
    }
    Ok(version)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests build their roots by hand")]
mod tests {
    use super::*;

    fn with_binary(bytes: &[u8]) -> Result<Option<String>> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("usr/local/bin")).unwrap();
        std::fs::write(dir.path().join("usr/local/bin/k3s"), bytes).unwrap();
        version(&Root::open(dir.path()).unwrap()).map(|found| found.map(|(version, _)| version.to_string()))
    }

    #[test]
    fn the_version_is_found_wherever_a_chunk_ends() {
        for offset in (CHUNK_BYTES - 80..CHUNK_BYTES + 80).step_by(1) {
            let mut bytes = vec![b'x'; offset];
            bytes.extend_from_slice(b"version.Version=v1.33.4+k3s1\0");
            bytes.extend(vec![0; 200]);
            assert_eq!(with_binary(&bytes).unwrap().as_deref(), Some("v1.33.4+k3s1"), "{offset}");
        }
    }

    #[test]
    fn the_role_is_the_command_of_the_service() {
        assert_eq!(
            command("[Service]\nExecStart=/usr/local/bin/k3s \\\n    agent \\\n\t'--x=server'\n"),
            Some(Role::Agent)
        );
        assert_eq!(command("ExecStart=/usr/local/bin/k3s server --disable agent"), Some(Role::Server));
        assert_eq!(command("command_args=\"agent  >>/var/log/k3s.log\"\n"), Some(Role::Agent));
        assert_eq!(command("[Unit]\n"), None);
    }

    #[test]
    fn the_most_frequent_one_counts_and_doubt_is_an_error() {
        assert_eq!(
            with_binary(b"v1.33.4+k3s1 v1.24.17+k3s1 v1.33.4+k3s1").unwrap().as_deref(),
            Some("v1.33.4+k3s1")
        );
        assert!(
            with_binary(b"v1.33.4+k3s1 v1.24.17+k3s1")
                .unwrap_err()
                .to_string()
                .ends_with("names several versions of K3s")
        );
        assert!(
            with_binary(b"1.33.4+k3s1 v1.33+k3s")
                .unwrap_err()
                .to_string()
                .ends_with("which version of K3s it is")
        );
    }
}
