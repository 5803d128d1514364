// SPDX-License-Identifier: Apache-2.0
//! What in K3s's data directory is in K3s's way (data/data-directory.yaml).

use std::sync::LazyLock;

use serde::Deserialize;

use super::effective::EffectiveConfig;
use super::flags::ENCRYPTION_KEY;
use super::node_config::NodeConfig;
use super::own_values::{self, Ending, OwnCondition, OwnReader};
use crate::Role;
use crate::embedded;
use crate::error::Result;
use crate::node::{PathKind, PathState, Root, RootedPath};

/// A database that is smaller may be one that K3s has just begun.
const SMALLEST_DATABASE: usize = 512;
/// Where nobody makes folders: file systems of the kernel, and devices.
const PSEUDO: [&str; 3] = ["/proc", "/sys", "/dev/null"];

/// Something that keeps K3s from starting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// What is in the way.
    pub path: RootedPath,
    /// What is wrong with it.
    pub what: String,
    /// K3s's message.
    pub says: String,
    /// What K3s does.
    pub ends: Ending,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct DirectoryTable {
    folders: Vec<MadeFolder>,
    made_before_apiserver: Vec<EarlyFolder>,
    etcd_log: SaidOf,
    sqlite: MadeDatabase,
    files: Vec<String>,
    encryption: Vec<String>,
    keys: Vec<ReadFile>,
    authorities: Vec<Authority>,
    token: ReadFile,
    passwords: ReadFile,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MadeFolder {
    path: String,
    #[serde(default)]
    roles: Vec<Role>,
    #[serde(default)]
    when: Vec<OwnCondition>,
    says: String,
    #[serde(default)]
    ends: Ending,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EarlyFolder {
    path: String,
    #[serde(default)]
    when: Vec<OwnCondition>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SaidOf {
    says: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MadeDatabase {
    path: String,
    header: String,
    says: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadFile {
    path: String,
    says: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Authority {
    pair: String,
    #[serde(default)]
    read: bool,
    signs: Vec<String>,
}

fn table() -> &'static DirectoryTable {
    static TABLE: LazyLock<DirectoryTable> = LazyLock::new(|| embedded::table("data-directory"));
    &TABLE
}

/// Returns what is in K3s's way, in the order in which K3s comes to it.
///
/// # Errors
/// If something there cannot be looked at.
pub fn obstacles(node: &NodeConfig<'_>, config: &EffectiveConfig) -> Result<Vec<Obstacle>> {
    let reader = OwnReader::new(node, config)?;
    let looker = Looker { root: node.root, data_dir: &node.data_dir };
    let mut found = Vec::new();
    for folder in &table().folders {
        let read = folder.roles.is_empty() || folder.roles.contains(&node.role);
        if !read || !folder.when.iter().all(|condition| reader.holds(condition)) {
            continue;
        }
        if let Some((path, error)) = looker.in_the_way(&looker.path(&folder.path)?)? {
            // What is below it is in the same way.
            return Ok(vec![looker.obstacle(&path, error, &folder.says, error, folder.ends)]);
        }
    }
    if node.role == Role::Agent {
        return Ok(found);
    }
    looker.token(&reader, &mut found)?;
    looker.database(&reader, &mut found)?;
    looker.certificates(&mut found)?;
    looker.credentials(node.is_on(ENCRYPTION_KEY), &mut found)?;
    Ok(found)
}

/// Tells whether K3s makes a folder of its data directory before it starts the API server.
///
/// # Errors
/// If what decides it cannot be looked at.
pub fn makes_before_apiserver(
    node: &NodeConfig<'_>,
    config: &EffectiveConfig,
    folder: &RootedPath,
) -> Result<bool> {
    let reader = OwnReader::new(node, config)?;
    let data_dir = node.root.real_path(&node.data_dir)?;
    let made = table().made_before_apiserver.iter();
    let mut made = made.filter(|early| early.when.iter().all(|condition| reader.holds(condition)));
    Ok(made.any(|early| data_dir.join(&early.path).is_within(folder)))
}

struct Looker<'a> {
    root: &'a Root,
    data_dir: &'a RootedPath,
}

impl Looker<'_> {
    fn path(&self, text: &str) -> Result<RootedPath> {
        if text.starts_with('/') { text.parse() } else { Ok(self.data_dir.join(text)) }
    }

    fn obstacle(&self, path: &RootedPath, what: &str, says: &str, error: &str, ends: Ending) -> Obstacle {
        let says = says.replace("{path}", path.as_str()).replace("{error}", error);
        Obstacle { path: path.clone(), what: what.to_owned(), says, ends }
    }

    /// Returns what keeps a folder from being made, and Go's reason.
    fn in_the_way(&self, folder: &RootedPath) -> Result<Option<(RootedPath, &'static str)>> {
        let is_below = |parent: &&str| {
            folder.as_str().strip_prefix(*parent).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if let Some(parent) = PSEUDO.iter().find(|parent| is_below(parent)) {
            return Ok(Some((RootedPath::fixed(parent), "not a directory")));
        }
        let mut next = Some(folder.clone());
        while let Some(path) = next {
            let error = match self.root.kind(&path)? {
                PathKind::Directory => return Ok(None),
                PathKind::File | PathKind::Other => Some("not a directory"),
                PathKind::Loop => Some("too many levels of symbolic links"),
                PathKind::BelowFile => None,
                PathKind::Absent => self.is_link(&path)?.then_some("file exists"),
            };
            if let Some(error) = error {
                return Ok(Some((path, error)));
            }
            next = path.parent();
        }
        Ok(None)
    }

    fn is_link(&self, path: &RootedPath) -> Result<bool> {
        Ok(matches!(self.root.look_without_attributes(path)?, PathState::Symlink { .. }))
    }

    fn bytes(&self, path: &RootedPath) -> Result<Option<Vec<u8>>> {
        if self.root.kind(path)? == PathKind::File { self.root.read(path) } else { Ok(None) }
    }

    fn is_directory(&self, path: &RootedPath) -> Result<bool> {
        Ok(self.root.kind(path)? == PathKind::Directory)
    }

    /// Adds a directory that is where K3s wants a file.
    fn file(&self, text: &str, found: &mut Vec<Obstacle>) -> Result<()> {
        let path = self.path(text)?;
        if self.is_directory(&path)? {
            let says = "preparing server: failed to generate server dependencies: open {path}: {error}";
            found.push(self.obstacle(&path, "is a directory", says, "is a directory", Ending::Exits));
        }
        Ok(())
    }

    fn token(&self, reader: &OwnReader<'_>, found: &mut Vec<Obstacle>) -> Result<()> {
        if !reader.token().is_empty() {
            return Ok(());
        }
        let ReadFile { path, says } = &table().token;
        let path = self.path(path)?;
        if self.is_directory(&path)? {
            let says = "open {path}: is a directory";
            found.push(self.obstacle(&path, "is a directory", says, "", Ending::Exits));
        } else if let Some(bytes) = self.bytes(&path)? {
            let text = String::from_utf8_lossy(&bytes);
            let text = text.trim_end_matches('\n');
            if !text.is_empty() && !own_values::is_server_token(text) {
                found.push(self.obstacle(&path, "holds no token of a server", says, "", Ending::Exits));
            }
        }
        Ok(())
    }

    fn database(&self, reader: &OwnReader<'_>, found: &mut Vec<Obstacle>) -> Result<()> {
        let log = self.path(super::Datastore::ETCD_LOG)?;
        if self.root.kind(&log)? == PathKind::BelowFile {
            let says = &table().etcd_log.says;
            found.push(self.obstacle(&log, "is below a file", says, "", Ending::Exits));
        }
        let default = [OwnCondition::Kine, OwnCondition::Absent("datastore-endpoint".to_owned())];
        if !default.iter().all(|condition| reader.holds(condition)) {
            return Ok(());
        }
        let MadeDatabase { path, header, says } = &table().sqlite;
        let path = self.path(path)?;
        if self.is_directory(&path)? {
            let error = "unable to open database file: is a directory";
            found.push(self.obstacle(&path, "is a directory", says, error, Ending::Waits));
        } else if self.root.kind(&path)? == PathKind::File && self.is_no_database(&path, header)? {
            let error = "file is not a database";
            found.push(self.obstacle(&path, "is no SQLite database", says, error, Ending::Waits));
        }
        Ok(())
    }

    /// Looks at the beginning of a file, which may be large.
    fn is_no_database(&self, path: &RootedPath, header: &str) -> Result<bool> {
        let mut first = None;
        self.root.read_in_pieces(path, SMALLEST_DATABASE, 0, |window, _, _| {
            first.get_or_insert_with(|| window.to_vec());
        })?;
        let first = first.unwrap_or_default();
        Ok(first.len() >= SMALLEST_DATABASE && !first.starts_with(header.as_bytes()))
    }

    fn certificates(&self, found: &mut Vec<Obstacle>) -> Result<()> {
        for Authority { pair, read, signs } in &table().authorities {
            let (certificate, key) = (self.path(&format!("{pair}.crt"))?, self.path(&format!("{pair}.key"))?);
            let mut unsigned = false;
            for signed in signs {
                unsigned |= self.signed(signed, found)?;
            }
            self.file(&format!("{pair}.crt"), found)?;
            self.file(&format!("{pair}.key"), found)?;
            let (certificate_bytes, key_bytes) = (self.bytes(&certificate)?, self.bytes(&key)?);
            // A certificate without a key is made again.
            let Some(key_bytes) = key_bytes else { continue };
            if (certificate_bytes.is_none() || unsigned) && !is_key(&key_bytes) {
                let says = "preparing server: failed to generate server dependencies: error loading key from {path}: <nil>";
                found.push(self.obstacle(&key, "holds no private key", says, "", Ending::Exits));
            }
            if let Some(bytes) = certificate_bytes
                && (*read || unsigned)
                && !holds(&bytes, &["CERTIFICATE"])
            {
                let says = "preparing server: failed to generate server dependencies: error reading {path}: data does not contain any valid RSA or ECDSA certificates";
                found.push(self.obstacle(&certificate, "holds no certificate", says, "", Ending::Exits));
            }
        }
        for ReadFile { path, says } in &table().keys {
            self.file(path, found)?;
            let path = self.path(path)?;
            if self.bytes(&path)?.is_some_and(|bytes| !is_key(&bytes)) {
                let says = format!("preparing server: failed to generate server dependencies: {says}");
                found.push(self.obstacle(&path, "holds no private key", &says, "", Ending::Exits));
            }
        }
        Ok(())
    }

    /// Looks at a pair that an authority signs, and tells whether K3s makes it.
    fn signed(&self, pair: &str, found: &mut Vec<Obstacle>) -> Result<bool> {
        self.file(&format!("{pair}.crt"), found)?;
        self.file(&format!("{pair}.key"), found)?;
        let (certificate, key) = (self.path(&format!("{pair}.crt"))?, self.path(&format!("{pair}.key"))?);
        let is_made = self.bytes(&certificate)?.is_none() || self.bytes(&key)?.is_none();
        if is_made && self.bytes(&key)?.is_some_and(|bytes| !is_key(&bytes)) {
            let says = "preparing server: failed to generate server dependencies: error loading key from {path}: <nil>";
            found.push(self.obstacle(&key, "holds no private key", says, "", Ending::Exits));
        }
        Ok(is_made)
    }

    fn credentials(&self, encrypts: bool, found: &mut Vec<Obstacle>) -> Result<()> {
        let ReadFile { path, says } = &table().passwords;
        self.file(path, found)?;
        let path = self.path(path)?;
        if let Some(bytes) = self.bytes(&path)? {
            let text = String::from_utf8_lossy(&bytes);
            if text.lines().any(|line| !line.is_empty() && !line.contains(',')) {
                found.push(self.obstacle(&path, "has a line without a name", says, "1", Ending::Exits));
            }
        }
        for file in &table().files {
            self.file(file, found)?;
        }
        if encrypts {
            for file in &table().encryption {
                self.file(file, found)?;
            }
        }
        Ok(())
    }
}

fn is_key(bytes: &[u8]) -> bool {
    holds(bytes, &["RSA PRIVATE KEY", "EC PRIVATE KEY", "PRIVATE KEY"])
}

/// Tells whether there is a PEM block of one of these types; what is in it is not parsed.
fn holds(bytes: &[u8], types: &[&str]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    types.iter().any(|name| {
        let (begin, end) = (format!("-----BEGIN {name}-----"), format!("-----END {name}-----"));
        text.split_once(begin.as_str()).is_some_and(|(_, rest)| rest.contains(end.as_str()))
    })
}
