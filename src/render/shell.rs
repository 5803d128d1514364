//! A POSIX shell script, for hosts where no other program may run: idempotent, and each file whole or not at all.

use serde_json::json;

use super::{RenderInput, RenderedFile, RenderedFiles, Tree, quoted};
use crate::document;
use crate::mode::FileMode;

/// What ends a text that stands in the script as it is.
const MARK: &str = "END_OF_FILE";

pub(super) fn render(errand: &RenderInput<'_>, tree: &Tree) -> RenderedFiles {
    let directories = tree.directories.iter().map(
        |folder| json!({"path": quoted(&folder.path), "mode": folder.mode.to_string(), "exact": folder.exact}),
    );
    let files = tree.files.iter().map(|leaf| {
        // A text without a last line break, or with our mark in it, cannot stand as it is.
        let as_it_is = leaf.text.ends_with('\n') && !leaf.text.lines().any(|line| line == MARK);
        json!({
            "path": quoted(&leaf.path),
            "mode": leaf.mode.to_string(),
            "text": leaf.text,
            "here": as_it_is,
            "quoted": quoted(&leaf.text),
        })
    });
    let context = json!({
        "directories": directories.collect::<Vec<_>>(),
        "files": files.collect::<Vec<_>>(),
        "mark": MARK,
        "sysctl": tree.files.iter().find(|leaf| leaf.sysctl).map(|leaf| quoted(&leaf.path)),
    });
    let about = "Puts the files of a hardened node in place, without the binary.";
    let text = document::render(errand.profile, "apply.sh.tera", about, &tree.controls, &context);
    RenderedFiles::one(RenderedFile::new("k3s-harden.sh", FileMode::PUBLIC_DIRECTORY, text))
}
