//! A POSIX shell script, for hosts where no other program may run: idempotent, and each file whole or not at all.

use serde_json::json;

use super::{Carried, CarriedFile, Errand, Tree, context, quoted};
use crate::document;
use crate::node::FileMode;

pub(super) fn render(errand: &Errand<'_>, tree: &Tree) -> Carried {
    let mut context = context(tree);
    for (index, folder) in tree.directories.iter().enumerate() {
        context["directories"][index]["path"] = quoted(&folder.path).into();
    }
    for (index, file) in tree.files.iter().enumerate() {
        context["files"][index]["path"] = quoted(&file.path).into();
        // A text without a last line break, or with our mark in it, cannot stand as it is.
        let mark = "END_OF_FILE";
        let as_it_is = file.text.ends_with('\n') && !file.text.lines().any(|line| line == mark);
        context["files"][index]["here"] = as_it_is.into();
        context["files"][index]["quoted"] = quoted(&file.text).into();
    }
    context["sysctl"] = json!(tree.files.iter().find(|file| file.sysctl).map(|file| quoted(&file.path)));
    let about = "Puts the files of a hardened node in place, without the binary.";
    let text = document::render(errand.profile, "apply.sh.tera", about, &tree.controls, &context);
    Carried::one(CarriedFile::new("k3s-harden.sh", FileMode::PUBLIC_DIRECTORY, text))
}
