// SPDX-License-Identifier: Apache-2.0
//! Kernel parameters after the next boot: the files under sysctl.d, merged.
//!
//! As systemd-sysctl does it (sysctl.d(5)): all `*.conf` of four directories sorted by name, a file in an earlier
//! directory hiding one of the same name in a later one; the last assignment counts; a pattern counts only for keys
//! that nothing names. Without systemd, `sysctl --system` reads `/etc/sysctl.conf` last.

use std::collections::BTreeMap;

use super::path::RootedPath;
use super::root::{PathState, Root};
use super::sysctl::SysctlKey;
use crate::error::{ErrorKind, Place, Result};

/// The folders of the files. The first has precedence.
const FOLDERS: [&str; 5] =
    ["/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"];
/// The file of old, which systemd reads only through a link in one of the directories.
const SYSCTL_CONF: &str = "/etc/sysctl.conf";
/// The path that exists on a machine with systemd.
const SYSTEMD: [&str; 2] = ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"];

/// What the files set, in the order in which they are read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BootSysctls {
    lines: Vec<SysctlLine>,
}

/// A line that sets keys, or excludes a key from patterns (no value).
#[derive(Debug, Clone, PartialEq, Eq)]
struct SysctlLine {
    /// With slashes, as below /proc/sys.
    pattern: String,
    value: Option<String>,
    place: Place,
}

impl BootSysctls {
    /// Reads the files of a root.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn read(root: &Root) -> Result<Self> {
        // In the order of the bytes of their names, whatever the folder.
        let mut files: BTreeMap<RootedPath, RootedPath> = BTreeMap::new();
        for folder in FOLDERS.map(RootedPath::fixed) {
            let names = root.names(&folder)?.into_iter();
            for name in names.filter(|name| name.ends_with(".conf") && !name.starts_with('.')) {
                files.entry(RootedPath::fixed("/").join(&name)).or_insert_with(|| folder.join(&name));
            }
        }
        let mut sysctls = Self::default();
        for path in files.values() {
            sysctls.add(root, path)?;
        }
        if !SYSTEMD.iter().any(|path| root.exists(&RootedPath::fixed(path))) {
            sysctls.add(root, &RootedPath::fixed(SYSCTL_CONF))?;
        }
        Ok(sysctls)
    }

    /// Returns the value that a key gets, with the line that sets it; none if no file sets the key.
    #[must_use]
    pub fn value(&self, key: &SysctlKey) -> Option<(&str, &Place)> {
        let name = key.to_string().replace('.', "/");
        let named = self.lines.iter().rev().find(|line| line.pattern == name);
        let line = match named {
            // Only a pattern sets it, and this key is excluded from the pattern.
            Some(SysctlLine { value: None, .. }) => return None,
            Some(line) => line,
            None => {
                self.lines.iter().rev().find(|line| line.value.is_some() && matches(&line.pattern, &name))?
            }
        };
        line.value.as_deref().map(|value| (value, &line.place))
    }

    /// Returns the last line that names a key, in a file whose name sorts between two others.
    #[must_use]
    pub fn between(&self, key: &str, first: &str, last: &str) -> Option<&Place> {
        let is_between = |line: &&SysctlLine| {
            let name = line.place.file.rsplit('/').next().unwrap_or_default();
            line.pattern == key && line.value.is_some() && first < name && name < last
        };
        self.lines.iter().rfind(is_between).map(|line| &line.place)
    }

    fn add(&mut self, root: &Root, path: &RootedPath) -> Result<()> {
        // A link to /dev/null hides the file of that name in the other directories, and is no file itself.
        if matches!(root.look(path)?, PathState::Symlink { target, .. } if target == "/dev/null") {
            return Ok(());
        }
        let bytes = match root.read(path) {
            // No file: a directory, or a link that ends at a device, which hides the name all the same.
            Err(error) if error.kind() != ErrorKind::NotPermitted => return Ok(()),
            other => other?,
        };
        let Some(bytes) = bytes else { return Ok(()) };
        for (index, line) in String::from_utf8_lossy(&bytes).lines().enumerate() {
            let position = line.bytes().take_while(u8::is_ascii_whitespace).count() + 1;
            let place = Place { file: path.to_string(), position: Some((index + 1, position)) };
            self.lines.extend(parse(line.trim(), place));
        }
        Ok(())
    }
}

/// Reads a line of a file under sysctl.d: the key with slashes, as below /proc/sys, and its value, which a line that excludes
/// a key from patterns has not. None for a comment, and for a line that nothing is made of.
#[must_use]
pub fn sysctl_setting(line: &str) -> Option<(String, Option<String>)> {
    let nowhere = Place { file: String::new(), position: None };
    parse(line.trim(), nowhere).map(|line| (line.pattern, line.value))
}

fn parse(line: &str, place: Place) -> Option<SysctlLine> {
    if line.is_empty() || line.starts_with(['#', ';']) {
        return None;
    }
    match line.split_once('=') {
        Some((key, value)) => {
            let key = key.trim();
            // With a dash, systemd ignores a failure.
            let pattern = with_slashes(key.strip_prefix('-').unwrap_or(key).trim_start());
            let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
            Some(SysctlLine { pattern, value: Some(value), place })
        }
        None => {
            let pattern = with_slashes(line.strip_prefix('-')?.trim());
            Some(SysctlLine { pattern, value: None, place })
        }
    }
}

/// Whichever of `.` and `/` comes first separates the parts; the other one is then part of a name.
fn with_slashes(key: &str) -> String {
    match key.find(['.', '/']) {
        Some(at) if key[at..].starts_with('.') => {
            let swap = |letter| match letter {
                '.' => '/',
                '/' => '.',
                other => other,
            };
            key.chars().map(swap).collect()
        }
        _ => key.to_owned(),
    }
}

/// Patterns of glob(7), which do not match a slash.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), name.split('/').collect());
    pattern.len() == name.len()
        && pattern.iter().zip(name).all(|(pattern, name)| {
            part_matches(&pattern.chars().collect::<Vec<_>>(), &name.chars().collect::<Vec<_>>())
        })
}

fn part_matches(pattern: &[char], name: &[char]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        (['*', rest @ ..], _) => (0..=name.len()).any(|skip| part_matches(rest, &name[skip..])),
        (['?', rest @ ..], [_, name @ ..]) => part_matches(rest, name),
        (['[', rest @ ..], [letter, name @ ..]) => match rest.iter().skip(1).position(|end| *end == ']') {
            Some(end) => {
                let (set, rest) = (&rest[..=end], &rest[end + 2..]);
                let (negated, set) = match set {
                    ['!' | '^', set @ ..] => (true, set),
                    set => (false, set),
                };
                in_set(set, *letter) != negated && part_matches(rest, name)
            }
            None => false,
        },
        ([expected, rest @ ..], [letter, name @ ..]) => expected == letter && part_matches(rest, name),
        _ => false,
    }
}

fn in_set(set: &[char], letter: char) -> bool {
    match set {
        [first, '-', last, rest @ ..] => (*first..=*last).contains(&letter) || in_set(rest, letter),
        [one, rest @ ..] => *one == letter || in_set(rest, letter),
        [] => false,
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests build their roots by hand")]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// Returns the value of `key` on a root with these files, and its place.
    fn value(files: &[(&str, &str)], key: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match text.strip_prefix("-> ") {
                Some(target) => symlink(target, path).unwrap(),
                None => fs::write(path, text).unwrap(),
            }
        }
        let root = Root::open(dir.path()).unwrap();
        let sysctls = BootSysctls::read(&root).unwrap();
        match sysctls.value(&key.parse().unwrap()) {
            Some((value, place)) => format!("{value} {place}"),
            None => "unset".to_owned(),
        }
    }

    #[test]
    fn the_last_file_by_name_wins_wherever_it_is() {
        let ours = ("etc/sysctl.d/90-kubelet.conf", "kernel.panic=10\n");
        assert_eq!(value(&[ours], "kernel.panic"), "10 /etc/sysctl.d/90-kubelet.conf:1:1");
        let later = ("usr/lib/sysctl.d/99-z.conf", "# x\n\n  kernel/panic =  0 \n");
        assert_eq!(value(&[ours, later], "kernel.panic"), "0 /usr/lib/sysctl.d/99-z.conf:3:3");
        let earlier = ("run/sysctl.d/50-z.conf", "kernel.panic=0\n");
        assert_eq!(value(&[ours, earlier], "kernel.panic"), "10 /etc/sysctl.d/90-kubelet.conf:1:1");
        assert_eq!(
            value(&[ours, ("etc/sysctl.d/99-z", "kernel.panic=0")], "kernel.panic"),
            "10 /etc/sysctl.d/90-kubelet.conf:1:1"
        );
        assert_eq!(value(&[("etc/sysctl.d/1.conf", "a.b=1\na.b=2\n")], "a.b"), "2 /etc/sysctl.d/1.conf:2:1");
    }

    #[test]
    fn a_name_hides_the_same_name_elsewhere() {
        let other = ("usr/lib/sysctl.d/99-z.conf", "kernel.panic=0\n");
        assert_eq!(value(&[other, ("etc/sysctl.d/99-z.conf", "")], "kernel.panic"), "unset");
        assert_eq!(value(&[other, ("run/sysctl.d/99-z.conf", "-> /dev/null")], "kernel.panic"), "unset");
        let both = [other, ("usr/local/lib/sysctl.d/99-z.conf", "kernel.panic=7\n")];
        assert_eq!(value(&both, "kernel.panic"), "7 /usr/local/lib/sysctl.d/99-z.conf:1:1");
    }

    #[test]
    fn sysctl_conf_is_read_last_without_systemd_and_through_its_link_with_it() {
        let conf = ("etc/sysctl.conf", "kernel.panic=0\n");
        let ours = ("etc/sysctl.d/90-kubelet.conf", "kernel.panic=10\n");
        assert_eq!(value(&[conf, ours], "kernel.panic"), "0 /etc/sysctl.conf:1:1");
        let systemd = ("usr/lib/systemd/systemd", "");
        assert_eq!(value(&[conf, ours, systemd], "kernel.panic"), "10 /etc/sysctl.d/90-kubelet.conf:1:1");
        let link = ("etc/sysctl.d/99-sysctl.conf", "-> ../sysctl.conf");
        assert_eq!(value(&[conf, ours, systemd, link], "kernel.panic"), "0 /etc/sysctl.d/99-sysctl.conf:1:1");
    }

    #[test]
    fn patterns_count_for_what_nothing_names() {
        let pattern = ("etc/sysctl.d/99.conf", "-kernel.pan[hi]* = 3\nkernel.?*.root_maxkeys=5\n");
        assert_eq!(value(&[pattern], "kernel.panic"), "3 /etc/sysctl.d/99.conf:1:1");
        assert_eq!(value(&[pattern], "kernel.keys.root_maxkeys"), "5 /etc/sysctl.d/99.conf:2:1");
        assert_eq!(
            value(&[pattern, ("etc/sysctl.d/10.conf", "-kernel.panic=10")], "kernel.panic"),
            "10 /etc/sysctl.d/10.conf:1:1"
        );
        assert_eq!(value(&[pattern, ("etc/sysctl.d/10.conf", "-kernel.panic\n")], "kernel.panic"), "unset");
        assert_eq!(value(&[pattern], "vm.panic"), "unset");
        for (pattern, name, expected) in [
            ("a/*", "a/b", true),
            ("a/*", "a/b/c", false),
            ("[!b]/x", "a/x", true),
            ("[a-c]/x", "b/x", true),
            ("[]]/x", "]/x", true),
            ("[a", "a", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn the_first_separator_decides() {
        assert_eq!(with_slashes("net.ipv4.conf.eth0/5.x"), "net/ipv4/conf/eth0.5/x");
        assert_eq!(with_slashes("net/ipv4/conf/eth0.5/x"), "net/ipv4/conf/eth0.5/x");
    }
}
