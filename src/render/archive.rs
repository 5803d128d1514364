// SPDX-License-Identifier: Apache-2.0
//! The files as a reproducible tar archive.

use tar::{Builder, EntryType, Header};

use super::rendered_file::{RenderedFile, RenderedFiles};
use super::tree::Tree;
use crate::mode::FileMode;
use crate::node::sha256;

/// The first time that an entry may have: 2001-01-01T00:00:00Z, in seconds.
const FIRST_TIME: u64 = 978_307_200;
/// The seconds of the twenty years from then on: the last time is 2020-12-31T23:59:59Z.
const SECONDS: u64 = 631_152_000;

pub(super) fn render(tree: &Tree) -> RenderedFiles {
    let mut archive = Builder::new(Vec::new());
    for directory in &tree.directories {
        let name = format!("{}/", directory.path.trim_start_matches('/'));
        append(&mut archive, &name, directory.mode, EntryType::Directory, b"", FIRST_TIME);
    }
    for file in &tree.files {
        let name = file.path.trim_start_matches('/');
        let bytes = file.text.as_bytes();
        append(&mut archive, name, file.mode, EntryType::Regular, bytes, time_of(bytes));
    }
    let bytes = archive.into_inner().unwrap_or_default();
    RenderedFiles::one(RenderedFile { name: "k3s-harden.tar".into(), mode: FileMode::PRIVATE_FILE, bytes })
}

/// Returns the modification time of a file: the same for the same content, and another one for another content.
///
/// K3s's deploy controller compares a manifest's time before its content (pkg/deploy/controller.go, listFilesIn), so a running
/// K3s does not apply a changed manifest that has the time of the one before it. Of two contents, one in 631 million pairs
/// shares its time. One time for all files would hide every change, and a time of today is not reproducible.
fn time_of(bytes: &[u8]) -> u64 {
    let hash = sha256(bytes);
    let number = u64::from_str_radix(&hash[..16], 16).expect("16 hexadecimal digits fit");
    FIRST_TIME + number % SECONDS
}

/// Appends an entry with owner root. It is written into memory, which cannot fail.
fn append(
    archive: &mut Builder<Vec<u8>>,
    name: &str,
    mode: FileMode,
    kind: EntryType,
    bytes: &[u8],
    time: u64,
) {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode.bits());
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(time);
    header.set_size(bytes.len() as u64);
    for set in [Header::set_username, Header::set_groupname] {
        set(&mut header, "root").expect("the name is short");
    }
    archive.append_data(&mut header, name, bytes).expect("memory takes it");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_follows_from_the_content_and_lies_between_2001_and_2020() {
        let mut times: Vec<u64> =
            (0..1000).map(|number: i32| time_of(number.to_string().as_bytes())).collect();
        assert_eq!(times[7], time_of(b"7"));
        times.sort_unstable();
        assert!(times[0] >= 978_307_200 && times[999] <= 1_609_459_199, "{times:?}");
        assert!(times[999] - times[0] > SECONDS / 2, "they lie apart: {times:?}");
        times.dedup();
        assert_eq!(times.len(), 1000, "each content has its own");
    }
}
