// SPDX-License-Identifier: Apache-2.0
//! 90-kubelet.conf: what the user has in it besides ours goes to 89-kubelet-local.conf, which is his from then on.
//!
//! That file is read before ours. A key of ours that stands in it is not written into ours, so that it counts; any other value
//! of ours counts. A pattern counts only for keys that nothing names.

use super::files::{UsersFile, UsersFiles};
use super::part::UsersPart;
use crate::document::OnConflict;
use crate::document::file_table::LOCAL_SYSCTL;
use crate::document::header::without_header;
use crate::error::Place;
use crate::node::{RootedPath, sysctl_setting};

/// 90-kubelet.conf and the file of the user's beside it.
#[derive(Debug, Default)]
pub(in crate::document) struct SysctlUnion {
    /// Keys of ours that are not written, because the user's values count.
    pub(in crate::document) left: Vec<String>,
    /// The user's file, without a header.
    pub(in crate::document) local: Option<LocalText>,
    pub(in crate::document) parts: Vec<UsersPart>,
}

/// A file of the user's that k3s-harden made of parts of another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::document) enum LocalText {
    /// It stays as it is, with its header.
    Same(String),
    /// Its text, which gets a header.
    Body(String),
}

/// The lines of a file of the user's.
struct LocalLines {
    /// The whole file, if it is one of ours: its header is still there.
    whole: Option<String>,
    lines: Vec<String>,
    is_changed: bool,
}

impl LocalLines {
    fn read(users: &UsersFiles) -> Self {
        if let Some(text) = users.ours.get(LOCAL_SYSCTL) {
            let lines = without_header(text).lines().map(str::to_owned).collect();
            return Self { whole: Some(text.clone()), lines, is_changed: false };
        }
        let foreign = users.foreign.get(LOCAL_SYSCTL);
        let text = foreign.map(|file| String::from_utf8_lossy(&file.bytes).into_owned()).unwrap_or_default();
        Self {
            whole: None,
            lines: text.lines().map(|line| line.trim_end().to_owned()).collect(),
            is_changed: false,
        }
    }

    fn key_of(line: &str) -> Option<String> {
        sysctl_setting(line).map(|(key, _)| key)
    }

    fn value_of(&self, key: &str) -> Option<String> {
        let settings = self.lines.iter().filter_map(|line| sysctl_setting(line));
        settings.filter(|(known, _)| known == key).filter_map(|(_, value)| value).next_back()
    }

    fn add(&mut self, line: &str) {
        if !self.lines.iter().any(|known| known == line) {
            self.lines.push(line.to_owned());
            self.is_changed = true;
        }
    }

    fn remove(&mut self, key: &str) {
        self.lines.retain(|line| Self::key_of(line).as_deref() != Some(key));
        self.is_changed = true;
    }

    fn into_text(self) -> Option<LocalText> {
        match self.whole {
            Some(whole) if !self.is_changed => Some(LocalText::Same(whole)),
            // A file of somebody's that nothing is added to stays as it is.
            None if !self.is_changed => None,
            _ => Some(LocalText::Body(self.lines.iter().map(|line| format!("{line}\n")).collect())),
        }
    }
}

impl SysctlUnion {
    /// Leaves what an earlier run took over as it is.
    pub(in crate::document) fn untouched(users: &UsersFiles) -> Self {
        Self { local: users.ours.get(LOCAL_SYSCTL).cloned().map(LocalText::Same), ..Self::default() }
    }

    /// Unites `ours`, keys and values, with what the user has in the file at `path`; `local` is the file beside it.
    pub(in crate::document) fn new(
        users: &UsersFiles,
        ours: &[(String, String)],
        path: &RootedPath,
        local: &RootedPath,
    ) -> Self {
        let mut union = Self::default();
        let mut lines = LocalLines::read(users);
        let with_slashes = |key: &str| key.replace('.', "/");
        // Before a new line is added: what is there is the user's word of earlier.
        for (key, value) in ours {
            let Some(theirs) = lines.value_of(&with_slashes(key)).filter(|theirs| theirs != value) else {
                continue;
            };
            let decision = users.decision_of_remembered();
            if decision == OnConflict::Ours {
                lines.remove(&with_slashes(key));
                let place = Place { file: local.to_string(), position: None };
                let what = format!("{key} is {theirs}, but k3s-harden's value is {value}");
                union.parts.push(UsersPart::conflict(local, place, what, decision));
            }
        }
        if let Some(file) = users.foreign.get("sysctl") {
            union.take(users, file, ours, &mut lines, (path, local));
        }
        let is_kept =
            |key: &str, value: &str| lines.value_of(&with_slashes(key)).is_some_and(|theirs| theirs != value);
        union.left =
            ours.iter().filter(|(key, value)| is_kept(key, value)).map(|(key, _)| key.clone()).collect();
        union.local = lines.into_text();
        union
    }

    fn take(
        &mut self,
        users: &UsersFiles,
        file: &UsersFile,
        ours: &[(String, String)],
        lines: &mut LocalLines,
        (path, local): (&RootedPath, &RootedPath),
    ) {
        let bytes = file.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&file.bytes);
        for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let place = file.place((index + 1, 1));
            let shown = String::from_utf8_lossy(line).trim().to_owned();
            if shown.is_empty() || shown.starts_with(['#', ';']) {
                continue;
            }
            let Some((key, value)) = std::str::from_utf8(line).ok().and_then(sysctl_setting) else {
                let why = "it sets nothing, or is not UTF-8";
                self.parts.push(UsersPart::left_out(path, place, format!("the line {shown:?}"), why));
                continue;
            };
            let what = format!("the kernel parameter {shown}");
            let same = ours.iter().find(|(known, _)| known.replace('.', "/") == key);
            match (same, value) {
                (Some((_, wanted)), Some(value)) if value == *wanted => {}
                (Some((name, wanted)), Some(value)) => {
                    let what = format!("{name} is {value}, but k3s-harden's value is {wanted}");
                    let mut part = UsersPart::conflict(path, place, what, users.decision());
                    if users.decision() == OnConflict::Keep {
                        lines.add(&shown);
                        part = part.moved_to(local);
                    }
                    self.parts.push(part);
                }
                _ => {
                    let mut part = UsersPart::stays(path, place, what).moved_to(local);
                    let between =
                        users.boot.as_ref().and_then(|boot| boot.between(&key, local.name(), path.name()));
                    if let Some(other) = between {
                        part = part.because(format!("{other} is read later, and now overrides it"));
                    }
                    self.parts.push(part);
                    lines.add(&shown);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unite(text: &str, local: &str, on_conflict: Option<OnConflict>) -> (Vec<String>, String, Vec<String>) {
        let (path, beside) = (
            RootedPath::fixed("/etc/sysctl.d/90-kubelet.conf"),
            RootedPath::fixed("/etc/sysctl.d/89-kubelet-local.conf"),
        );
        let mut users = UsersFiles { on_conflict, ..UsersFiles::default() };
        users.foreign.insert("sysctl", UsersFile { path: path.clone(), bytes: text.into() });
        if !local.is_empty() {
            users.ours.insert(LOCAL_SYSCTL, format!("# a\n# Written by k3s-harden 0\n# c\n{local}"));
        }
        let ours =
            [("kernel.panic".to_owned(), "10".to_owned()), ("vm.panic_on_oom".to_owned(), "0".to_owned())];
        let union = SysctlUnion::new(&users, &ours, &path, &beside);
        let text = match union.local {
            Some(LocalText::Same(text)) => without_header(&text).to_owned(),
            Some(LocalText::Body(text)) => text,
            None => String::new(),
        };
        (union.left, text, union.parts.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn lines_of_the_users_go_to_a_file_of_their_own() {
        let text = "\u{feff}# mine\r\nkernel/panic = 10\r\nnet.core.somaxconn=4096\r\n-net.ipv4.*.x = 1\n-vm.y\n; no\nword\nkernel.panic=60\n";
        let (left, local, parts) = unite(text, "", None);
        assert!(left.is_empty());
        assert_eq!(local, "net.core.somaxconn=4096\n-net.ipv4.*.x = 1\n-vm.y\n");
        assert_eq!(parts.len(), 5, "{parts:?}");
        assert!(
            parts.iter().any(|part| part.contains("90-kubelet.conf:7:1: the line \"word\": it is left out"))
        );
        assert!(parts.iter().any(|part| part.contains(":8:1: kernel.panic is 60, but") && part.contains("it is replaced")));
    }

    #[test]
    fn a_value_that_is_kept_is_not_written_into_ours() {
        let (left, local, _) = unite("kernel.panic=60\n", "", Some(OnConflict::Keep));
        assert_eq!((left, local.as_str()), (vec!["kernel.panic".to_owned()], "kernel.panic=60\n"));
        // It stays without being told again, until ours is asked for.
        assert_eq!(unite("", "kernel.panic=60\na.b=1\n", None).0, ["kernel.panic"]);
        let (left, local, parts) = unite("", "kernel.panic=60\na.b=1\n", Some(OnConflict::Ours));
        assert_eq!((left.len(), local.as_str(), parts.len()), (0, "a.b=1\n", 1));
    }
}
