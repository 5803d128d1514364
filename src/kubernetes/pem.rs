// SPDX-License-Identifier: Apache-2.0
//! Blocks of PEM as Go's encoding/pem decodes them: what is no block, or a broken one, is skipped.

use super::scalar;

/// A block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PemBlock {
    /// What it holds, such as `CERTIFICATE`.
    pub kind: String,
    /// Whether there are headers before its bytes.
    pub has_headers: bool,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";

/// Returns the blocks of a text, in their order.
#[must_use]
pub fn blocks(text: &[u8]) -> Vec<PemBlock> {
    let text = String::from_utf8_lossy(text);
    let mut found = Vec::new();
    let mut rest = text.as_ref();
    while let Some(at) = begin(rest) {
        let behind = &rest[at + BEGIN.len()..];
        match block(behind) {
            Some((block, after)) => {
                found.push(block);
                rest = after;
            }
            None => rest = behind,
        }
    }
    found
}

/// Returns where a line begins a block.
fn begin(text: &str) -> Option<usize> {
    if text.starts_with(BEGIN) {
        return Some(0);
    }
    text.find("\n-----BEGIN ").map(|at| at + 1)
}

/// Reads a block behind its `-----BEGIN `, and returns what follows it.
fn block(text: &str) -> Option<(PemBlock, &str)> {
    let (line, mut body) = text.split_once('\n')?;
    let kind = line.trim_end_matches([' ', '\t', '\r']).strip_suffix(DASHES)?;
    let mut has_headers = false;
    while let Some((line, after)) = body.split_once('\n') {
        let Some((_, _)) = line.split_once(':') else { break };
        has_headers = true;
        body = after;
    }
    let end = format!("-----END {kind}{DASHES}");
    let at = if body.starts_with(&end) { 0 } else { body.find(&format!("\n{end}"))? + 1 };
    let after = &body[at + end.len()..];
    let (tail, _) = after.split_once('\n').unwrap_or((after, ""));
    if !tail.trim().is_empty() {
        return None;
    }
    let digits: String = body[..at].chars().filter(|letter| !letter.is_ascii_whitespace()).collect();
    let bytes = scalar::base64(&digits)?;
    Some((PemBlock { kind: kind.to_owned(), has_headers, bytes }, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_read_as_go_reads_them() {
        let text = "text\n-----BEGIN A B-----\naGVs\nbG8=\n-----END A B-----\n# more\n-----BEGIN C-----\nK: v\n\nYQ==\n-----END C-----\n";
        let found = blocks(text.as_bytes());
        let parts: Vec<_> = found
            .iter()
            .map(|block| (block.kind.as_str(), block.has_headers, block.bytes.as_slice()))
            .collect();
        assert_eq!(parts, [("A B", false, b"hello".as_slice()), ("C", true, b"a".as_slice())]);
        for broken in [
            "",
            "hello",
            "-----BEGIN A-----\naGVs\n",
            "-----BEGIN A-----\n***\n-----END A-----\n",
            "-----BEGIN A-----\naGVs\n-----END B-----\n",
            "x -----BEGIN A-----\naGVs\n-----END A-----\n",
        ] {
            assert!(blocks(broken.as_bytes()).is_empty(), "{broken:?}");
        }
        let after_broken =
            "-----BEGIN A-----\n***\n-----END A-----\n-----BEGIN B-----\naGVs\n-----END B-----";
        assert_eq!(blocks(after_broken.as_bytes()).len(), 1);
    }
}
