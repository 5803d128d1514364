// SPDX-License-Identifier: Apache-2.0
//! How a resource changes, and how a change of its metadata reads.

use serde::Serialize;

use crate::mode::{FileMode, Owner};
use crate::node::{Attributes, Metadata};

/// How a resource changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It is as desired.
    None,
    /// It does not exist yet.
    Create,
    /// Its content differs.
    Update,
    /// Only its mode, owner or label differs.
    Metadata,
    /// k3s-harden wrote it and the profile no longer has it, or it did not exist before a run that is undone.
    Remove,
}

/// Describes a change of mode, owner or attributes.
pub(super) fn metadata_diff(
    mode: FileMode,
    owner: Owner,
    attributes: &Attributes,
    wanted: &Metadata,
) -> String {
    let mut text = String::new();
    if mode != wanted.mode {
        text.push_str(&format!("-mode {mode}\n+mode {}\n", wanted.mode));
    }
    if owner != wanted.owner {
        text.push_str(&format!("-owner {owner}\n+owner {}\n", wanted.owner));
    }
    let Some(wanted) = &wanted.attributes else { return text };
    let line = |sign, (name, value): (&String, &Vec<u8>)| {
        format!("{sign}{} {}\n", name.replace('\n', "\\n"), value.escape_ascii())
    };
    text.extend(
        attributes.iter().filter(|(name, value)| wanted.get(*name) != Some(value)).map(|it| line('-', it)),
    );
    text.extend(
        wanted.iter().filter(|(name, value)| attributes.get(*name) != Some(value)).map(|it| line('+', it)),
    );
    text
}
