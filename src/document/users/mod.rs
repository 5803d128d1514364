// SPDX-License-Identifier: Apache-2.0
//! A node that somebody hardened by hand: what of the user's is in files at our paths, or in files that his configuration
//! names, and what becomes of it (adr/0038).
//!
//! `files` reads. `admission`, `audit`, `objects` and `sysctls` unite one kind of file each with ours, and name each part
//! (`part`). `memory` is what our own file says of earlier runs: it needs no record, and survives `--no-history`.

pub(super) mod admission;
pub(super) mod audit;
mod exemptions;
mod files;
mod memory;
pub(super) mod objects;
mod part;
mod psa;
pub(super) mod strictness;
pub(super) mod sysctls;
mod yaml_text;

use super::has_header;

pub use files::{UsersFile, UsersFiles};
pub use part::{PartFate, UsersPart};

/// Tells whether a file of ours has parts that were the user's.
#[must_use]
pub fn holds_taken_over(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    has_header(bytes)
        && !memory::FileMemory::read(&text).is_ok_and(|memory| memory == memory::FileMemory::default())
}

pub(super) use files::{ADMISSION_FILE, AUDIT_FILE};
