// SPDX-License-Identifier: Apache-2.0
//! The files of server/admission.d by their keys, which writers and readers of them share.

/// The folder below K3s's data directory.
pub const ADMISSION_FOLDER: &str = "server/admission.d";
/// Policies about access rights.
pub(super) const ACCESS: &str = "admission-access";
/// Policies about pods.
pub(super) const PODS: &str = "admission-pods";
/// Policies about Services.
pub(super) const SERVICES: &str = "admission-services";
/// Stands for any of the files, where an argument or a message is about them.
pub(super) const ANY: &str = "admission";

/// All of them.
pub(super) const KEYS: [&str; 3] = [ACCESS, PODS, SERVICES];

/// Tells whether `key` is that of a file with policies.
#[must_use]
pub fn is_admission_file(key: &str) -> bool {
    KEYS.contains(&key)
}
