// SPDX-License-Identifier: Apache-2.0
//! The parts of k3s-harden's files that a node has already.
//!
//! A run that is limited to some controls (`--only`, `--skip`) leaves alone what implements the others, and most of them
//! share files. So what the node has for a control that the run is not about is handed back as it stands there: whole
//! files, YAML documents, entries of a list with their comments. The settings of the run do not count for it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::entry_comments::{EntryComment, EntryComments};
use super::{admission_files, has_header};

/// The parts of k3s-harden's files on a node; empty for a node without any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PresentFiles {
    /// The whole files; none for one that is not UTF-8.
    documents: BTreeMap<&'static str, Option<String>>,
    /// The objects of policy.yaml, in order.
    objects: FileParts<PresentObject>,
    /// The plugins that psa.yaml configures: name and text.
    admission_plugins: FileParts<(String, String)>,
    /// The objects of the files of server/admission.d, by the keys of the files.
    admission_objects: BTreeMap<&'static str, FileParts<PresentObject>>,
    keys: BTreeMap<String, PresentEntry>,
    arguments: BTreeMap<(String, String), PresentEntry>,
}

/// An entry of the drop-in: one of K3s's own keys, or an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentEntry {
    /// Its value.
    pub value: Value,
    /// The comment behind it, if there is one of ours.
    pub comment: Option<EntryComment>,
}

/// An object of policy.yaml, or of a file of server/admission.d.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PresentObject {
    /// Its kind.
    pub(super) kind: String,
    /// Its name.
    pub(super) name: String,
    /// The YAML document, with the line `---` before it.
    pub(super) text: String,
}

/// The parts of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
enum FileParts<T> {
    /// These, none if there is no file.
    Known(Vec<T>),
    /// The file was edited and cannot be taken apart any more.
    Unreadable,
}

impl<T> Default for FileParts<T> {
    fn default() -> Self {
        Self::Known(Vec::new())
    }
}

impl<T> From<Option<Vec<T>>> for FileParts<T> {
    fn from(parts: Option<Vec<T>>) -> Self {
        parts.map_or(Self::Unreadable, Self::Known)
    }
}

impl<T> FileParts<T> {
    fn get(&self) -> Option<&[T]> {
        match self {
            Self::Known(parts) => Some(parts),
            Self::Unreadable => None,
        }
    }
}

impl PresentFiles {
    /// Reads the files, given by the keys of the documents; a file without k3s-harden's header does not count.
    #[must_use]
    pub fn new(files: impl IntoIterator<Item = (&'static str, Vec<u8>)>) -> Self {
        let mut present = Self::default();
        for (key, bytes) in files.into_iter().filter(|(_, bytes)| has_header(bytes)) {
            let text = String::from_utf8(bytes).ok();
            match (key, text.as_deref()) {
                ("policy", text) => present.objects = text.and_then(objects).into(),
                ("psa", text) => present.admission_plugins = text.and_then(admission_plugins).into(),
                ("config", Some(text)) => present.read_drop_in(text),
                (key, text) if admission_files::is_admission_file(key) => {
                    present.admission_objects.insert(key, text.and_then(objects).into());
                }
                _ => {}
            }
            present.documents.insert(key, text);
        }
        present
    }

    /// Takes the admission plugins from a psa.yaml of ours at another place, which the drop-in names.
    #[must_use]
    pub fn with_admission_plugins_of(mut self, elsewhere: &[u8]) -> Self {
        if has_header(elsewhere) {
            self.admission_plugins = std::str::from_utf8(elsewhere).ok().and_then(admission_plugins).into();
        }
        self
    }

    fn read_drop_in(&mut self, text: &str) {
        // A drop-in that was edited until it is no YAML holds nothing that could be kept.
        let config: BTreeMap<String, Value> = serde_yaml::from_str(text).unwrap_or_default();
        let comments = EntryComments::read(text);
        for (key, value) in config {
            // With a plain key the list was taken over from other files.
            let Some(component) = key.strip_suffix("-arg+").or_else(|| key.strip_suffix("-arg")) else {
                let comment = comments.of(&key, 0);
                self.keys.insert(key, PresentEntry { value, comment });
                continue;
            };
            for (index, argument) in value.as_array().into_iter().flatten().enumerate() {
                let Some(argument) = argument.as_str() else { continue };
                let (name, value) = argument.split_once('=').unwrap_or((argument, ""));
                let comment = comments.of(&key, index);
                let entry = PresentEntry { value: value.into(), comment };
                self.arguments.insert((component.to_owned(), name.to_owned()), entry);
            }
        }
    }

    /// Leaves out the documents, keys and arguments of which a test says no.
    pub(super) fn only(
        mut self,
        document: impl Fn(&str) -> bool,
        key: impl Fn(&str) -> bool,
        argument: impl Fn(&str, &str) -> bool,
    ) -> Self {
        self.documents.retain(|name, _| document(name));
        self.admission_objects.retain(|name, _| document(name));
        if !document("psa") {
            self.admission_plugins = FileParts::default();
        }
        self.keys.retain(|name, _| key(name));
        self.arguments.retain(|(component, name), _| argument(component, name));
        self
    }

    /// Tells whether the document `key` is there, or one of the files that it stands for.
    #[must_use]
    pub fn has_document(&self, key: &str) -> bool {
        self.documents.contains_key(key) || key == admission_files::ANY && !self.admission_objects.is_empty()
    }

    /// Returns the objects of the file `key` of server/admission.d; none if it cannot be taken apart.
    pub(super) fn admission_objects(&self, key: &str) -> Option<&[PresentObject]> {
        self.admission_objects.get(key).map_or(Some(&[][..]), FileParts::get)
    }

    /// Returns the text of the document `key`; none inside for one that is not UTF-8.
    #[must_use]
    pub fn document(&self, key: &str) -> Option<Option<&str>> {
        self.documents.get(key).map(Option::as_deref)
    }

    /// Returns the objects of policy.yaml; none if it cannot be taken apart.
    pub(super) fn objects(&self) -> Option<&[PresentObject]> {
        self.objects.get()
    }

    /// Returns the admission plugins that psa.yaml configures, by name and text; none if it cannot be taken apart.
    #[must_use]
    pub fn admission_plugins(&self) -> Option<&[(String, String)]> {
        self.admission_plugins.get()
    }

    /// Returns the entries of the drop-in for K3s's own keys.
    #[must_use]
    pub fn keys(&self) -> &BTreeMap<String, PresentEntry> {
        &self.keys
    }

    /// Returns the arguments of the drop-in, by component and name.
    #[must_use]
    pub fn arguments(&self) -> &BTreeMap<(String, String), PresentEntry> {
        &self.arguments
    }

    /// Tells whether the drop-in has one of K3s's own keys.
    #[must_use]
    pub fn has_key(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    /// Returns what the drop-in has for an argument of a component.
    #[must_use]
    pub fn argument(&self, component: &str, name: &str) -> Option<&PresentEntry> {
        self.arguments.get(&(component.to_owned(), name.to_owned()))
    }
}

impl PresentEntry {
    /// Returns the value of an argument.
    #[must_use]
    pub fn text(&self) -> &str {
        self.value.as_str().unwrap_or_default()
    }

    /// Tells whether it was taken from a file of the user's, and serves no control.
    pub(super) fn is_copy(&self) -> bool {
        self.comment.as_ref().is_some_and(|comment| comment.from.is_some() && comment.controls.is_empty())
    }

    /// Returns the numbers of the benchmark's controls in its comment.
    pub(super) fn controls(&self) -> Option<String> {
        self.comment.as_ref().map(|comment| comment.controls.clone())
    }
}

/// Splits a file into its objects. A line that begins with `---` begins a document, also inside of a scalar.
fn objects(text: &str) -> Option<Vec<PresentObject>> {
    // A directive, or the end of a document without the beginning of the next one.
    if text.lines().any(|line| line.starts_with('%') || line.starts_with("...")) {
        return None;
    }
    let mut documents: Vec<String> = vec![String::new()];
    for line in text.split_inclusive('\n') {
        if line.strip_prefix("---").is_some_and(|rest| rest.trim_start() != rest || rest.is_empty()) {
            documents.push(String::new());
        }
        documents.last_mut()?.push_str(line);
    }
    let mut found = Vec::new();
    for (index, document) in documents.into_iter().enumerate() {
        let value: Value = serde_yaml::from_str(&document).ok()?;
        if value.is_null() {
            continue;
        }
        let field = |value: &Value| value.as_str().map(str::to_owned);
        let mut text = match index {
            // Without a line of its own it follows the header.
            0 => format!("---\n{}", without_first_comments(&document)),
            _ => document,
        };
        if !text.ends_with('\n') {
            text.push('\n');
        }
        found.push(PresentObject {
            kind: field(&value["kind"])?,
            name: field(&value["metadata"]["name"])?,
            text,
        });
    }
    Some(found)
}

fn without_first_comments(text: &str) -> String {
    text.split_inclusive('\n').skip_while(|line| line.starts_with('#')).collect()
}

/// The indentation of a plugin in psa.yaml.
const INDENTATION: &str = "  ";

/// Splits psa.yaml into the entries of its plugins.
fn admission_plugins(text: &str) -> Option<Vec<(String, String)>> {
    let configuration: Value = serde_yaml::from_str(text).ok()?;
    let plugins = configuration["plugins"].as_array()?;
    let entries = entries_below("plugins:", text);
    let mut found = Vec::new();
    for (index, plugin) in plugins.iter().enumerate() {
        let name = plugin["name"].as_str()?.to_owned();
        let is_same = |entry: &&String| {
            serde_yaml::from_str::<Value>(entry).is_ok_and(|list| list == Value::from(vec![plugin.clone()]))
        };
        let entry = entries.get(index).filter(|_| entries.len() == plugins.len()).filter(is_same).cloned();
        found.push((name, entry.map_or_else(|| written_anew(plugin), Some)?));
    }
    Some(found)
}

/// Returns the entries of the list that begins behind the line `key`, each with its lines.
fn entries_below(key: &str, text: &str) -> Vec<String> {
    let mut entries: Vec<String> = Vec::new();
    for line in text.split_inclusive('\n').skip_while(|line| line.trim_end() != key).skip(1) {
        match line.strip_prefix(INDENTATION) {
            Some(rest) if rest.starts_with("- ") => entries.push(line.to_owned()),
            Some(_) if !entries.is_empty() => {
                if let Some(entry) = entries.last_mut() {
                    entry.push_str(line);
                }
            }
            _ => break,
        }
    }
    if let Some(last) = entries.last_mut().filter(|last| !last.ends_with('\n')) {
        last.push('\n');
    }
    entries
}

/// Writes a plugin whose lines cannot be told from the others.
fn written_anew(plugin: &Value) -> Option<String> {
    let text = serde_yaml::to_string(&[plugin]).ok()?;
    Some(text.lines().map(|line| format!("{INDENTATION}{line}\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(key: &'static str, body: &str) -> PresentFiles {
        let text = format!("# a\n# Written by k3s-harden 0\n{body}");
        PresentFiles::new([(key, text.into_bytes())])
    }

    fn names(present: &PresentFiles) -> Vec<(&str, &str)> {
        present.objects().unwrap().iter().map(|object| (&*object.kind, &*object.name)).collect()
    }

    #[test]
    fn objects_keep_their_lines() {
        let dns = "---\nkind: NetworkPolicy # theirs\nmetadata: {name: \"dns\"}\n";
        let account = "--- # second\nkind: ServiceAccount\nmetadata:\n  name: default";
        let policy = ours("policy", &format!("{dns}---\n# nothing\n{account}"));
        assert!(policy.has_document("policy") && !policy.has_document("psa"));
        assert_eq!(names(&policy), [("NetworkPolicy", "dns"), ("ServiceAccount", "default")]);
        let texts: Vec<&str> = policy.objects().unwrap().iter().map(|object| &*object.text).collect();
        assert_eq!(texts, [dns, &format!("{account}\n")]);
        let first = ours("policy", "kind: A\nmetadata: {name: b}\n");
        assert_eq!(first.objects().unwrap()[0].text, "---\nkind: A\nmetadata: {name: b}\n");
    }

    #[test]
    fn plugins_keep_their_lines_where_they_have_some() {
        let event = "  - name: EventRateLimit # PodSecurity\n    configuration: {limits: [1]}\n";
        let security = "  - name: PodSecurity\n    # why\n    configuration:\n      a: b\n";
        let psa = ours("psa", &format!("kind: x\nplugins:\n{event}{security}"));
        let entry = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        assert_eq!(
            psa.admission_plugins().unwrap(),
            [entry("EventRateLimit", event), entry("PodSecurity", security)]
        );
        for body in [
            "plugins: [{name: A, configuration: {b: [1]}}]\n",
            "plugins:\n- name: A\n  configuration: {b: [1]}\n",
        ] {
            assert_eq!(
                ours("psa", body).admission_plugins().unwrap(),
                [entry("A", "  - configuration:\n      b:\n      - 1\n    name: A\n")],
                "{body}"
            );
        }
    }

    #[test]
    fn entries_keep_their_comments() {
        let config = ours(
            "config",
            "secrets-encryption: true # CIS 1.2.27\nkube-apiserver-arg:\n  - \"a=1\" # from /etc/x\n  - b=2 # CIS 3.1; from /etc/x\nkubelet-arg+:\n  - \"c=3#4\"\n",
        );
        let comment = |component: &str, name: &str| config.argument(component, name).unwrap().comment.clone();
        let said = |controls: &str, from: Option<&str>| {
            Some(EntryComment { controls: controls.to_owned(), from: from.map(str::to_owned) })
        };
        assert_eq!(config.keys()["secrets-encryption"].comment, said("1.2.27", None));
        assert_eq!(comment("kube-apiserver", "a"), said("", Some("/etc/x")));
        assert_eq!(comment("kube-apiserver", "b"), said("3.1", Some("/etc/x")));
        assert_eq!(comment("kubelet", "c"), None);
        assert_eq!(config.argument("kubelet", "c").unwrap().text(), "3#4");
    }

    #[test]
    fn what_is_not_ours_does_not_count_and_what_is_no_yaml_is_not_taken_apart() {
        let theirs = PresentFiles::new([("policy", b"kind: ServiceAccount\n".to_vec())]);
        assert_eq!(theirs, PresentFiles::default());
        for broken in ["kind: [NetworkPolicy\n", "%YAML 1.2\n---\nkind: A\nmetadata: {name: b}\n", "a: b\n"] {
            let broken = ours("policy", broken);
            assert!(broken.has_document("policy") && broken.objects().is_none());
        }
        assert!(ours("psa", "plugins: x\n").admission_plugins().is_none());
        let latin = PresentFiles::new([("psa", b"# Written by k3s-harden 0\n# \xe9\n".to_vec())]);
        assert_eq!(latin.document("psa"), Some(None));
    }
}
