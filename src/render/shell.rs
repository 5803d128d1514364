// SPDX-License-Identifier: Apache-2.0
//! A POSIX shell script, for hosts where no other program may run: idempotent, and each file is replaced atomically.

use serde_json::json;

use super::rendered_file::{RenderInput, RenderedFile, RenderedFiles};
use super::tree::Tree;
use crate::document;
use crate::mode::FileMode;
use crate::shell_word::quoted;

/// The end mark of a here-document.
const MARK: &str = "END_OF_FILE";

pub(super) fn render(input: &RenderInput<'_>, tree: &Tree) -> RenderedFiles {
    let directories = tree.directories.iter().map(
        |directory| json!({"path": quoted(&directory.path), "mode": directory.mode.to_string(), "exact": directory.exact}),
    );
    let files = tree.files.iter().map(|file| {
        // A text without a final line break, or with our mark in it, cannot be a here-document.
        let fits_here_document = file.text.ends_with('\n') && !file.text.lines().any(|line| line == MARK);
        json!({
            "path": quoted(&file.path),
            "mode": file.mode.to_string(),
            "text": file.text,
            "here": fits_here_document,
            "quoted": quoted(&file.text),
        })
    });
    let context = json!({
        "directories": directories.collect::<Vec<_>>(),
        "files": files.collect::<Vec<_>>(),
        "mark": MARK,
        "sysctl": tree.files.iter().find(|file| file.sysctl).map(|file| quoted(&file.path)),
    });
    let about = "Puts the files of a hardened node in place, without the binary.";
    let text = document::render(input.profile, "apply.sh.tera", about, &tree.controls, &context);
    RenderedFiles::one(RenderedFile::new("k3s-harden.sh", FileMode::PUBLIC_DIRECTORY, text))
}
