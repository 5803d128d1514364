// SPDX-License-Identifier: Apache-2.0
//! Everything that a run must keep, or put back: paths, types, bytes, modes, owners, extended attributes.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

/// What stands at a path.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) what: What,
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
    pub(crate) labels: BTreeMap<OsString, Vec<u8>>,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum What {
    Directory,
    File(Vec<u8>),
    Symlink(PathBuf),
    Other,
}

/// All entries below a directory, by their path from there.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Tree(pub(crate) BTreeMap<String, Entry>);

/// Where the tool keeps its own files, from the root.
pub(crate) const STATE: &str = "var/lib/k3s-harden";

impl Tree {
    /// Looks at everything below `root`.
    pub(crate) fn of(root: &Path) -> Self {
        let mut found = BTreeMap::new();
        let mut left = vec![root.to_owned()];
        while let Some(folder) = left.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let here = Entry::of(&path);
                if here.what == What::Directory {
                    left.push(path.clone());
                }
                found.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned(), here);
            }
        }
        Self(found)
    }

    /// The same without what the tool keeps for itself.
    pub(crate) fn of_node(root: &Path) -> Self {
        let mut tree = Self::of(root);
        tree.0.retain(|path, _| !Path::new(path).starts_with(STATE));
        tree
    }

    /// Makes all of it below `root`, which has to be empty.
    pub(crate) fn make(&self, root: &Path) {
        for (path, entry) in &self.0 {
            let path = root.join(path);
            match &entry.what {
                What::Directory => fs::create_dir(&path).unwrap(),
                What::File(bytes) => fs::write(&path, bytes).unwrap(),
                What::Symlink(target) => symlink(target, &path).unwrap(),
                What::Other => panic!("{} is neither file, directory nor symlink", path.display()),
            }
            lchown(&path, Some(entry.owner.0), Some(entry.owner.1)).unwrap();
            for (name, value) in &entry.labels {
                xattr::set(&path, name, value).unwrap();
            }
            if !matches!(entry.what, What::Symlink(_)) {
                fs::set_permissions(&path, fs::Permissions::from_mode(entry.mode)).unwrap();
            }
        }
    }

    /// The same as if nothing had a label.
    pub(crate) fn without_labels(mut self) -> Self {
        self.0.values_mut().for_each(|entry| entry.labels.clear());
        self
    }

    /// Says how this differs from what was expected; empty where it does not. What lies above the state directory
    /// is no difference where it is there for its sake alone.
    pub(crate) fn differs_from(&self, expected: &Self) -> String {
        let mut text = String::new();
        let paths = self.0.keys().chain(expected.0.keys().filter(|path| !self.0.contains_key(*path)));
        for path in paths {
            let (is, should) = (self.0.get(path), expected.0.get(path));
            let is_above_the_state = should.is_none() && Path::new(STATE).starts_with(path);
            if is != should && !is_above_the_state {
                writeln!(text, "{path}: {} instead of {}", describe(is), describe(should)).unwrap();
            }
        }
        text
    }

    /// Says what is not whole; empty where everything is. A path is whole when it is as it was or as it shall be, or
    /// is a file on its way to one of ours, no more open to others than that one. What is changed in place may have
    /// one of mode and owner already.
    pub(crate) fn broken_between(&self, old: &Self, new: &Self) -> String {
        let mut text = String::new();
        for (path, entry) in &self.0 {
            let known: Vec<&Entry> = [old, new].into_iter().filter_map(|tree| tree.0.get(path)).collect();
            let in_place = || {
                known.iter().all(|known| known.what == entry.what)
                    && known.iter().any(|known| known.mode == entry.mode)
                    && known.iter().any(|known| known.owner == entry.owner)
                    && known.iter().any(|known| known.labels == entry.labels)
            };
            let on_its_way = || {
                let target = target(path);
                let targets = [old, new].into_iter().filter_map(|tree| tree.0.get(target.as_ref()?));
                targets.into_iter().any(|whole| entry.mode & !(whole.mode | 0o600) == 0)
            };
            let is_state = Path::new(STATE).starts_with(path) || is_coming_state(path);
            let is_whole = known.contains(&entry) || (!known.is_empty() && in_place());
            if !is_whole && !is_state && !on_its_way() {
                let (old, new) = (describe(old.0.get(path)), describe(new.0.get(path)));
                writeln!(text, "{path}: {}, neither {old} nor {new}", entry.describe()).unwrap();
            }
        }
        let stay = old.0.keys().filter(|path| new.0.contains_key(*path) && !self.0.contains_key(*path));
        stay.for_each(|path| writeln!(text, "{path}: lost").unwrap());
        text
    }
}

fn describe(entry: Option<&Entry>) -> String {
    entry.map_or("nothing".to_owned(), Entry::describe)
}

/// Tells whether this belongs to a state directory that is not at its place yet.
fn is_coming_state(path: &str) -> bool {
    path.split('/').any(|part| part.starts_with(".k3s-harden."))
}

/// Returns the path that a temporary file is written for, or changes places with.
pub(crate) fn target(path: &str) -> Option<String> {
    let (folder, name) = path.rsplit_once('/')?;
    let name = name.strip_prefix('.')?;
    let name = name.strip_suffix(".tmp").or_else(|| name.strip_suffix(".swap"))?;
    Some(format!("{folder}/{}", name.rsplit_once('.')?.0))
}

impl Entry {
    /// Looks at `path`, without following it.
    pub(crate) fn of(path: &Path) -> Self {
        let found = fs::symlink_metadata(path).unwrap();
        let what = match found.file_type() {
            kind if kind.is_dir() => What::Directory,
            kind if kind.is_file() => What::File(fs::read(path).unwrap()),
            kind if kind.is_symlink() => What::Symlink(fs::read_link(path).unwrap()),
            _ => What::Other,
        };
        let names = xattr::list(path).unwrap();
        let labels = names.map(|name| {
            let value = xattr::get(path, &name).unwrap().unwrap();
            (name, value)
        });
        let labels = labels.collect();
        Self { what, mode: found.mode() & 0o7777, owner: (found.uid(), found.gid()), labels }
    }

    fn describe(&self) -> String {
        let what = match &self.what {
            What::Directory => "a directory".to_owned(),
            What::File(bytes) => {
                let start = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
                format!("{} bytes {start:?}", bytes.len())
            }
            What::Symlink(target) => format!("a symlink to {}", target.display()),
            What::Other => "something else".to_owned(),
        };
        let labels: Vec<String> = self
            .labels
            .iter()
            .map(|(name, value)| format!("{}={:?}", name.display(), String::from_utf8_lossy(value)))
            .collect();
        format!("{what} {:04o} {}:{} [{}]", self.mode, self.owner.0, self.owner.1, labels.join(" "))
    }
}
