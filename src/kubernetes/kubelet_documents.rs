// SPDX-License-Identifier: Apache-2.0
//! The documents of the kubelet's configuration, each as the kubelet reads it, and how it merges them.
//!
//! Source: pkg/kubelet/kubeletconfig (`configfiles`, `util/codec`) and cmd/kubelet/app/server.go of Kubernetes
//! (`mergeKubeletConfigurations`).

use super::config_fields::{self, FieldNames};
use super::kubelet_fields::KIND;
use super::object::{self, Fault, ObjectFile, Position};
use super::yaml::{YamlNode, YamlValue};
use crate::version::KubernetesMinor;

/// Where a document comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentRole {
    /// The file of the flag `config`: what a strict reader refuses in it is only logged.
    ConfigFile,
    /// A drop-in.
    DropIn,
}

/// A document that the kubelet takes.
#[derive(Debug)]
pub struct KubeletDocument {
    /// Its content.
    pub root: YamlNode,
    /// Keys that are there twice, which only a drop-in may not have.
    pub dropped: Vec<Fault>,
    /// Fields of the file of the flag `config` that the kubelet does not know, which are not in `root`.
    pub unknown: Vec<Fault>,
    /// The position of a second document, which is not read.
    pub second_document: Option<Position>,
}

/// Reads a document as the kubelet of a minor reads it.
///
/// # Errors
/// Why the kubelet refuses it.
pub fn read(bytes: &[u8], role: DocumentRole, minor: KubernetesMinor) -> Result<KubeletDocument, Fault> {
    if bytes.is_empty() {
        return Err(Fault::new((1, 1), "the kubelet's configuration file is empty"));
    }
    let mut document = ObjectFile::read(bytes)?;
    document.kind()?;
    document.expect(&[KIND])?;
    // A drop-in is decoded without its type: names in other letters are none.
    for (name, wanted) in [("apiVersion", KIND.0), ("kind", KIND.1)] {
        if role == DocumentRole::DropIn && object::text(&document.root, name) != wanted {
            let message = format!("Object {name:?} is missing: no other letters will do");
            return Err(Fault::new(object::position_of(&document.root, name), message));
        }
    }
    let dropped = document.repeated_keys();
    if role == DocumentRole::DropIn {
        object::refuse_dropped(&dropped)?;
    }
    document.keep_last_keys();
    // The file is decoded before anything is merged, by a decoder that minds the case of letters.
    let unknown = match role {
        DocumentRole::ConfigFile => {
            config_fields::take_unknown(&mut document.root, KIND, minor, FieldNames::Exact)?
        }
        DocumentRole::DropIn => Vec::new(),
    };
    Ok(KubeletDocument { root: document.root, dropped, unknown, second_document: document.second_document })
}

/// Merges a document into what earlier ones say, as a JSON merge patch (RFC 7396): null removes a field, a mapping is
/// merged, any other value replaces. Positions stay those of the documents.
fn merge(target: &mut YamlNode, patch: &YamlNode) {
    let YamlValue::Map(pairs) = &patch.value else {
        *target = patch.clone();
        return;
    };
    if !matches!(target.value, YamlValue::Map(_)) {
        *target = YamlNode { value: YamlValue::Map(Vec::new()), position: patch.position };
    }
    let YamlValue::Map(known) = &mut target.value else { return };
    for (key, value) in pairs {
        let name = key.go_text();
        let at = known.iter().position(|(key, _)| key.go_text() == name);
        let merges = matches!(value.value, YamlValue::Map(_));
        match at {
            Some(at) if value.is_null() => {
                known.remove(at);
            }
            Some(at) if merges => merge(&mut known[at].1, value),
            Some(at) => known[at] = (key.clone(), value.clone()),
            None if value.is_null() => {}
            None => {
                let mut added = YamlNode { value: YamlValue::Map(Vec::new()), position: value.position };
                merge(&mut added, value);
                known.push((key.clone(), added));
            }
        }
    }
}

/// Several documents, merged.
#[derive(Debug)]
pub struct MergedDocuments {
    root: YamlNode,
    count: usize,
}

/// More lines than a file may have: the line of a merged value is its line in its file, plus this for each file before.
const LINES_OF_A_FILE: usize = 1 << 32;

impl Default for MergedDocuments {
    fn default() -> Self {
        Self { root: YamlNode { value: YamlValue::Map(Vec::new()), position: (1, 1) }, count: 0 }
    }
}

impl MergedDocuments {
    /// Adds a document, which counts more than those before.
    pub fn add(&mut self, mut root: YamlNode) {
        shift(&mut root, self.count * LINES_OF_A_FILE);
        self.count += 1;
        merge(&mut self.root, &root);
    }

    /// Returns the merged configuration. [`place`](Self::place) tells what its positions mean.
    #[must_use]
    pub fn root(&self) -> &YamlNode {
        &self.root
    }

    /// Returns which document a position is in, from 0, and the position there.
    #[must_use]
    pub fn place(position: Position) -> (usize, Position) {
        (position.0 / LINES_OF_A_FILE, (position.0 % LINES_OF_A_FILE, position.1))
    }
}

fn shift(node: &mut YamlNode, lines: usize) {
    node.position.0 += lines;
    match &mut node.value {
        YamlValue::Scalar(_) => {}
        YamlValue::List(items) => items.iter_mut().for_each(|item| shift(item, lines)),
        YamlValue::Map(pairs) => pairs.iter_mut().for_each(|(key, value)| {
            shift(key, lines);
            shift(value, lines);
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: KubernetesMinor = KubernetesMinor::new(29);
    const HEAD: &str = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";

    #[test]
    fn a_drop_in_has_its_version_its_kind_and_each_key_once() {
        let fine = |text: &str, role| read(text.as_bytes(), role, OLD).is_ok();
        for role in [DocumentRole::ConfigFile, DocumentRole::DropIn] {
            assert!(fine(&format!("{HEAD}maxPods: 50\n---\nmaxPods: 60\n"), role));
            for text in [
                "",
                "null\n",
                "[]\n",
                "maxPods: 50\n",
                "kind: KubeletConfiguration\n",
                "apiVersion: kubelet.config.k8s.io/v1\nkind: KubeletConfiguration\n",
            ] {
                assert!(!fine(text, role), "{text:?}");
            }
        }
        let small = HEAD.replace("apiVersion", "apiversion");
        assert!(!fine(&small, DocumentRole::DropIn) && fine(&small, DocumentRole::ConfigFile));
        let twice = format!("{HEAD}maxPods: 50\nmaxPods: 60\n");
        assert!(!fine(&twice, DocumentRole::DropIn));
        assert_eq!(read(twice.as_bytes(), DocumentRole::ConfigFile, OLD).unwrap().dropped.len(), 1);
    }

    #[test]
    fn of_a_mapping_that_is_there_twice_the_last_counts_whole() {
        let text = format!(
            "{HEAD}authentication: {{anonymous: {{enabled: true}}}}\nauthentication: {{x509: {{}}}}\n"
        );
        let mut merged = MergedDocuments::default();
        merged.add(read(text.as_bytes(), DocumentRole::ConfigFile, OLD).unwrap().root);
        let authentication = object::field(merged.root(), "authentication").unwrap();
        assert_eq!(authentication.go_text(), "[{x509 []}]");
    }

    #[test]
    fn a_key_beside_a_merge_that_has_it_too_is_there_twice() {
        let fine = |text: &str| {
            read(format!("{HEAD}{text}").as_bytes(), DocumentRole::DropIn, OLD).map_err(|fault| fault.message)
        };
        assert!(fine("a: &a {enabled: true}\nb: {<<: *a}\nc: {<<: [*a, {d: 1}]}\n").is_ok());
        for text in ["a: {<<: {b: 1}, b: 2}\n", "a: {b: 1, <<: {b: 2}}\n", "a: {<<: [{b: 1}, {b: 2}]}\n"] {
            assert!(fine(text).unwrap_err().contains("key \"b\" already set in map"), "{text}");
        }
        assert!(fine("a: {<<: null}\n").is_err() && fine("a: {'<<': {b: 1}}\n").is_ok());
    }

    #[test]
    fn the_file_is_decoded_with_the_case_of_letters() {
        let text = format!(
            "{HEAD}MaxPods: -5\nauthentication: {{Anonymous: {{}}, x509: {{}}}}\nevictionHard: {{a: b, c: null}}\nregisterWithTaints: [{{Key: a}}]\npodLogsDir: /a\n"
        );
        let file = read(text.as_bytes(), DocumentRole::ConfigFile, OLD).unwrap();
        let unknown: Vec<&str> = file.unknown.iter().map(|fault| fault.message.as_str()).collect();
        let names = ["MaxPods", "authentication.Anonymous", "registerWithTaints[0].Key", "podLogsDir"];
        assert_eq!(unknown.len(), names.len());
        for (said, name) in unknown.iter().zip(names) {
            assert!(said.starts_with(&format!("unknown field {name:?}")), "{said}");
        }
        let kept = "[{authentication [{x509 []}]} {evictionHard [{a b} {c }]} {registerWithTaints [[]]}]";
        assert!(file.root.go_text().ends_with(&kept[1..]), "{}", file.root.go_text());
        for (field, is_fine) in [("syncFrequency", false), ("cpuCFSQuotaPeriod", true), ("maxPods", true)] {
            let text = format!("{HEAD}{field}: null\n");
            assert_eq!(read(text.as_bytes(), DocumentRole::ConfigFile, OLD).is_ok(), is_fine, "{field}");
            assert!(read(text.as_bytes(), DocumentRole::DropIn, OLD).is_ok(), "merging takes it out");
        }
        let drop_in = read(text.as_bytes(), DocumentRole::DropIn, OLD).unwrap();
        assert!(drop_in.unknown.is_empty() && object::field(&drop_in.root, "MaxPods").is_some());
    }

    #[test]
    fn positions_stay_those_of_the_documents() {
        let mut merged = MergedDocuments::default();
        for text in ["a: 1\nb: {c: 2}\n", "d: 3\nb: {c: null, e: [4]}\na: null\n"] {
            merged.add(super::super::yaml::read(text.as_bytes()).unwrap().unwrap());
        }
        let b = object::field(merged.root(), "b").unwrap();
        assert_eq!(merged.root().go_text(), "[{b [{e [4]}]} {d 3}]");
        let item = &object::items(b, "e")[0];
        assert_eq!(MergedDocuments::place(item.position), (1, (2, 18)));
    }
}
