// SPDX-License-Identifier: Apache-2.0
//! The kernel parameters of the kubelet (data/kernel-parameters.yaml).

use std::sync::LazyLock;

use serde::Deserialize;

use crate::embedded;

/// A kernel parameter.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelParameter {
    /// Its key.
    pub key: String,
    /// The value that the kubelet requires.
    pub value: u64,
    /// The value that the kernel has if nothing sets it.
    pub default: u64,
}

/// Returns the kernel parameters that the kubelet sets, or requires.
#[must_use]
pub fn all() -> &'static [KernelParameter] {
    static TABLE: LazyLock<Vec<KernelParameter>> = LazyLock::new(|| embedded::table("kernel-parameters"));
    &TABLE
}
