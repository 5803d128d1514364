// SPDX-License-Identifier: Apache-2.0
//! The documents of a file of admission objects, as the API server splits it: unlike a manifest's, a document of comments
//! alone is one, and each is read without the white space around it.
//!
//! Source: `splitYAMLDocuments` in pkg/admission/plugin/manifest/loader.go of k8s.io/apiserver, and `YAMLReader` in
//! pkg/util/yaml/decoder.go of k8s.io/apimachinery.

use super::object::{Fault, Position};

const SEPARATOR: &[u8] = b"---";

/// A document and the line at which its text begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AdmissionDocument {
    /// Its text, without the white space before and behind it.
    pub(super) text: Vec<u8>,
    first: usize,
}

impl AdmissionDocument {
    /// Returns the position in the file of a position in the document.
    pub(super) fn position(&self, (line, column): Position) -> Position {
        (self.first + line - 1, column)
    }

    /// Returns a fault of the document as one of the file.
    pub(super) fn fault(&self, fault: Fault) -> Fault {
        Fault::new(self.position(fault.position), fault.message)
    }
}

/// Splits a file at the lines that separate documents.
///
/// # Errors
/// A separator with something behind it that is no comment.
pub(super) fn split(bytes: &[u8]) -> Result<Vec<AdmissionDocument>, Fault> {
    let mut found = Vec::new();
    let (mut buffer, mut first) = (Vec::new(), 1);
    for (index, line) in lines(bytes).enumerate() {
        if let Some(behind) = line.strip_prefix(SEPARATOR) {
            let behind = String::from_utf8_lossy(behind);
            let behind = behind.trim();
            if !behind.is_empty() && !behind.starts_with('#') {
                let message = format!("invalid Yaml document separator: {behind}");
                return Err(Fault::new((index + 1, 1), message));
            }
            // A separator that nothing is before belongs to the document behind it.
            if !buffer.is_empty() {
                found.extend(document(&buffer, first));
                buffer.clear();
                first = index + 2;
                continue;
            }
        }
        buffer.extend_from_slice(line);
        buffer.push(b'\n');
    }
    found.extend(document(&buffer, first));
    Ok(found)
}

/// Returns the lines of a file without their ends, `\r\n` or `\n`.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n').map(|line| {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        line.strip_suffix(b"\r").unwrap_or(line)
    })
}

/// Returns what is read of a document whose lines begin at `first`; none if it is empty.
fn document(buffer: &[u8], first: usize) -> Option<AdmissionDocument> {
    let text = trim(buffer);
    let at = text.as_ptr() as usize - buffer.as_ptr() as usize;
    let before = buffer[..at].iter().filter(|byte| **byte == b'\n').count();
    (!text.is_empty()).then(|| AdmissionDocument { text: text.to_vec(), first: first + before })
}

/// Takes the white space before and behind a text, whose bytes need not be UTF-8, as Go's `bytes.TrimSpace` does.
fn trim(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.trim().as_bytes(),
        Err(_) => bytes.trim_ascii(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(usize, String)>, String> {
        let documents = split(text.as_bytes()).map_err(|fault| fault.message)?;
        Ok(documents.into_iter().map(|one| (one.first, String::from_utf8(one.text).unwrap())).collect())
    }

    #[test]
    fn documents_are_split_as_the_loader_splits_them() {
        let own = |found: &[(usize, &str)]| {
            Ok(found.iter().map(|(line, text)| (*line, (*text).to_owned())).collect::<Vec<_>>())
        };
        assert_eq!(read("a: 1\n---\nb: 2\n"), own(&[(1, "a: 1"), (3, "b: 2")]));
        assert_eq!(read("---\na: 1\n"), own(&[(1, "---\na: 1")]), "it stays with the document");
        assert_eq!(read("# c\n---\na: 1\n"), own(&[(1, "# c"), (3, "a: 1")]), "comments are a document");
        assert_eq!(read("---\n---\n"), own(&[(1, "---")]));
        assert_eq!(
            read("\n\n  a: 1\n  b: 2\n"),
            own(&[(3, "a: 1\n  b: 2")]),
            "the first line loses its indent"
        );
        assert_eq!(read("a: 1\r\n---\r\nb: 2"), own(&[(1, "a: 1"), (3, "b: 2")]));
        assert_eq!(read(" \n---\n\n---\n"), own(&[]));
        assert_eq!(read("a: 1\n--- # why\nb: 2\n---"), own(&[(1, "a: 1"), (3, "b: 2")]));
        assert_eq!(read("a: 1\n---b\n"), Err("invalid Yaml document separator: b".to_owned()));
    }
}
