// SPDX-License-Identifier: Apache-2.0
//! The defaults of the kubelet's fields (data/kubelet-defaults.yaml).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::embedded;

/// A row of data/kubelet-defaults.yaml.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct FieldDefault {
    pub(super) default: Option<String>,
    pub(super) of_file: Option<String>,
    #[serde(default)]
    pub(super) zero: bool,
    #[serde(default)]
    pub(super) written: bool,
}

pub(super) static DEFAULTS: LazyLock<BTreeMap<String, FieldDefault>> =
    LazyLock::new(|| embedded::table("kubelet-defaults"));

/// Tells whether the configuration into which the kubelet merges drop-ins always has a field, with its default.
pub(super) fn is_always_written(path: &str) -> bool {
    DEFAULTS.get(path).is_some_and(|row| row.written || row.zero)
}
