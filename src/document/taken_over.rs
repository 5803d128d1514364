// SPDX-License-Identifier: Apache-2.0
//! The user's own lines behind a list that the drop-in has taken over.
//!
//! Such a list has every value of the user's, each with the file that it came from in a comment. Whoever has to change a
//! value needs the line of that file: the drop-in is written anew with every run.

use super::entry_comments::EntryComments;
use super::existing::ExistingConfig;
use super::target::drop_in_path;
use crate::error::{Place, Result};
use crate::k3s::arguments::name_and_value;
use crate::k3s::merge::ConfigItem;
use crate::node::{Root, RootedPath};

/// The values that the drop-in on the node has taken over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TakenOver {
    values: Vec<TakenOverValue>,
}

/// A value of the drop-in that comes from files of the user's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenOverValue {
    /// Its place in the drop-in.
    pub place: Place,
    /// The file that the drop-in names.
    pub from: String,
    /// Where the user's files have it, or parts of it.
    pub users: UsersLines,
}

/// The user's lines behind a value of the drop-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UsersLines {
    /// The whole value is the user's.
    Whole(Place),
    /// The value unites the words of these lines with others: the words, and the place of each line.
    Parts(Vec<(Vec<String>, Place)>),
    /// No file of the user's has it any more.
    Gone,
}

impl TakenOver {
    /// Reads the drop-in beside K3s's configuration file `config`, and the files that its values came from.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn read(root: &Root, config: &RootedPath) -> Result<Self> {
        let path = drop_in_path(config);
        let Some(bytes) = root.read(&path)? else { return Ok(Self::default()) };
        let text = String::from_utf8_lossy(&bytes);
        let comments = EntryComments::read(&text);
        let mut ours = ExistingConfig::default();
        ours.add(&bytes, path.as_str(), false);
        let mut existing = None;
        let mut values = Vec::new();
        for entry in &ours.settings {
            for (index, item) in entry.items.iter().enumerate() {
                let Some(from) = comments.of(&entry.key, index).and_then(|comment| comment.from) else {
                    continue;
                };
                let existing = match &existing {
                    Some(existing) => existing,
                    None => existing.insert(ExistingConfig::read(root, config, &path)?),
                };
                let users = UsersLines::find(item, &existing.before_ours(&entry.key));
                values.push(TakenOverValue { place: item.place.clone(), from, users });
            }
        }
        Ok(Self { values })
    }

    /// Does the same, but only if one of the places is a line of the drop-in.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn read_for<'p>(
        root: &Root,
        config: &RootedPath,
        places: impl IntoIterator<Item = &'p Place>,
    ) -> Result<Self> {
        let path = drop_in_path(config);
        let is_of_drop_in = |place: &Place| place.file == path.as_str() && place.position.is_some();
        if places.into_iter().any(is_of_drop_in) { Self::read(root, config) } else { Ok(Self::default()) }
    }

    /// Returns the value that stands at a place of the drop-in; none if it is no one of the user's.
    #[must_use]
    pub fn at(&self, place: &Place) -> Option<&TakenOverValue> {
        self.values.iter().find(|value| value.place == *place)
    }

    /// Returns the user's own line for a place of the drop-in whose whole value is the user's; else the place itself.
    #[must_use]
    pub fn own_line(&self, place: Place) -> Place {
        match self.at(&place).map(|value| &value.users) {
            Some(UsersLines::Whole(own)) => own.clone(),
            _ => place,
        }
    }
}

impl UsersLines {
    /// Finds the lines among the items that K3s reads before the drop-in.
    fn find(ours: &ConfigItem, theirs: &[ConfigItem]) -> Self {
        if let Some(own) = theirs.iter().rfind(|item| item.text == ours.text) {
            return Self::Whole(own.place.clone());
        }
        // The drop-in writes an argument without dashes.
        let (name, value) = name_and_value(&ours.text);
        let same = || theirs.iter().filter(|item| name_and_value(&item.text).0 == name);
        if let Some(own) = same().rfind(|item| name_and_value(&item.text).1 == value) {
            return Self::Whole(own.place.clone());
        }
        let written: Vec<&str> = value.split(',').collect();
        let parts: Vec<(Vec<String>, Place)> = same()
            .filter_map(|item| {
                let (_, words) = name_and_value(&item.text);
                let words: Vec<String> =
                    words.split(',').filter(|word| written.contains(word)).map(str::to_owned).collect();
                (!words.is_empty()).then(|| (words, item.place.clone()))
            })
            .collect();
        if parts.is_empty() { Self::Gone } else { Self::Parts(parts) }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests make files by hand")]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("etc/rancher/k3s");
        std::fs::create_dir_all(base.join("config.yaml.d")).unwrap();
        for (name, text) in files {
            std::fs::write(base.join(name), text).unwrap();
        }
        let root = Root::open(folder.path()).unwrap();
        let config = RootedPath::fixed("/etc/rancher/k3s/config.yaml");
        let name = |place: &Place| place.to_string().replace("/etc/rancher/k3s/", "");
        let found = TakenOver::read(&root, &config).unwrap();
        found
            .values
            .iter()
            .map(|value: &TakenOverValue| match &value.users {
                UsersLines::Whole(own) => format!("{}: {}", name(&value.place), name(own)),
                UsersLines::Gone => format!("{}: gone from {}", name(&value.place), value.from),
                UsersLines::Parts(parts) => {
                    let parts = parts.iter().map(|(words, own)| format!("{} {}", words.join(","), name(own)));
                    format!("{}: {}", name(&value.place), parts.collect::<Vec<_>>().join("; "))
                }
            })
            .collect()
    }

    const DROP_IN: &str = "config.yaml.d/90-k3s-harden.yaml";

    #[test]
    fn the_line_of_the_users_file_is_found() {
        let ours = "kube-apiserver-arg:\n  - \"anonymous-auth=true\" # from /etc/rancher/k3s/config.yaml\n  - \"v=4\" # from /etc/rancher/k3s/config.yaml.d/10.yaml\n  - \"audit-log-maxage=30\" # CIS 1.2.17\n  - \"enable-admission-plugins=A,B,C\" # CIS 1.2.12; from /etc/rancher/k3s/config.yaml.d/10.yaml\nkubelet-arg:\n  - \"x=1\" # from /etc/rancher/k3s/config.yaml\n";
        let main = "kube-apiserver-arg:\n  - audit-log-maxage=5\n  - --anonymous-auth=true\n  - enable-admission-plugins=A\n";
        let more = "kube-apiserver-arg+:\n  - v=4\n  - enable-admission-plugins=D,C\n";
        assert_eq!(
            read(&[("config.yaml", main), ("config.yaml.d/10.yaml", more), (DROP_IN, ours)]),
            [
                "config.yaml.d/90-k3s-harden.yaml:2:5: config.yaml:3:5",
                "config.yaml.d/90-k3s-harden.yaml:3:5: config.yaml.d/10.yaml:2:5",
                "config.yaml.d/90-k3s-harden.yaml:5:5: A config.yaml:4:5; C config.yaml.d/10.yaml:3:5",
                "config.yaml.d/90-k3s-harden.yaml:7:5: gone from /etc/rancher/k3s/config.yaml",
            ]
        );
    }

    #[test]
    fn a_file_that_replaces_an_earlier_one_counts() {
        let ours = "kube-apiserver-arg:\n  - \"v=4\" # from /etc/rancher/k3s/config.yaml.d/10.yaml\n";
        let files = [
            ("config.yaml", "kube-apiserver-arg: [v=4]\n"),
            ("config.yaml.d/10.yaml", "\nkube-apiserver-arg: [v=4]\n"),
            ("config.yaml.d/99.yaml", "kube-apiserver-arg+: [v=4]\n"),
            (DROP_IN, ours),
        ];
        assert_eq!(read(&files), ["config.yaml.d/90-k3s-harden.yaml:2:5: config.yaml.d/10.yaml:2:22"]);
        assert!(read(&[("config.yaml", "kube-apiserver-arg: [v=4]\n")]).is_empty());
    }
}
