// SPDX-License-Identifier: Apache-2.0
//! An Ignition configuration (spec 3.4.0), for Flatcar and Fedora CoreOS: it runs before there is a shell.
//!
//! Modes are decimal there. A parent directory has neither mode nor owner, so that an existing one keeps its own; a new
//! one belongs to root, with 0755. The kernel parameters take effect at the same boot: systemd-sysctl runs after Ignition.

use serde_json::{Value, json};

use super::rendered_file::{RenderedFile, RenderedFiles};
use super::tree::{Tree, TreeDirectory, TreeFile};
use crate::mode::FileMode;

pub(super) fn render(tree: &Tree) -> RenderedFiles {
    let ignition = json!({
        "ignition": {"version": "3.4.0"},
        "storage": {
            "directories": tree.directories.iter().map(directory_json).collect::<Vec<_>>(),
            "files": tree.files.iter().map(file_json).collect::<Vec<_>>(),
        },
    });
    let text = serde_json::to_string_pretty(&ignition).expect("keys are text") + "\n";
    RenderedFiles::one(RenderedFile::new("k3s-harden.ign", FileMode::PRIVATE_FILE, text))
}

fn directory_json(directory: &TreeDirectory) -> Value {
    if directory.exact {
        json!({"path": directory.path, "mode": directory.mode.bits(), "user": {"id": 0}, "group": {"id": 0}})
    } else {
        json!({"path": directory.path})
    }
}

fn file_json(file: &TreeFile) -> Value {
    json!({
        "path": file.path,
        "mode": file.mode.bits(),
        "overwrite": true,
        "user": {"id": 0},
        "group": {"id": 0},
        "contents": {"source": format!("data:,{}", percent(&file.text))},
    })
}

/// Encodes text for a `data:` URL (RFC 2397): every byte that is no unreserved character (RFC 3986) in percent.
fn percent(text: &str) -> String {
    let mut written = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => written.push(byte.into()),
            other => written.push_str(&format!("%{other:02X}")),
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn what_is_reserved_is_a_number() {
        assert_eq!(percent("a b\n\u{e4}%~"), "a%20b%0A%C3%A4%25~");
    }
}
