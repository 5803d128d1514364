// SPDX-License-Identifier: Apache-2.0
//! The files as a reproducible tar archive.

use tar::{Builder, EntryType, Header};

use super::rendered_file::{RenderedFile, RenderedFiles};
use super::tree::Tree;
use crate::mode::FileMode;

pub(super) fn render(tree: &Tree) -> RenderedFiles {
    let mut archive = Builder::new(Vec::new());
    for directory in &tree.directories {
        let name = format!("{}/", directory.path.trim_start_matches('/'));
        append(&mut archive, &name, directory.mode, EntryType::Directory, b"");
    }
    for file in &tree.files {
        let name = file.path.trim_start_matches('/');
        append(&mut archive, name, file.mode, EntryType::Regular, file.text.as_bytes());
    }
    let bytes = archive.into_inner().unwrap_or_default();
    RenderedFiles::one(RenderedFile { name: "k3s-harden.tar".into(), mode: FileMode::PRIVATE_FILE, bytes })
}

/// Appends an entry with owner root and time 0. It is written into memory, which cannot fail.
fn append(archive: &mut Builder<Vec<u8>>, name: &str, mode: FileMode, kind: EntryType, bytes: &[u8]) {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode.bits());
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(bytes.len() as u64);
    for set in [Header::set_username, Header::set_groupname] {
        set(&mut header, "root").expect("the name is short");
    }
    archive.append_data(&mut header, name, bytes).expect("memory takes it");
}
