// SPDX-License-Identifier: Apache-2.0
//! The user's own cipher suites (setting `kubelet_tls_cipher_suites`): none that only an earlier version took for
//! strong. What an earlier run recorded is read all the same, so this is for runs that write.

use crate::error::Result;
use crate::profile::{ArgumentTable, Profile};

const SETTING: &str = "kubelet_tls_cipher_suites";

/// Checks that `profile` sets strong cipher suites only.
///
/// # Errors
/// [`ErrorKind::BadInput`] for the first other one, with its place.
pub fn check(profile: &Profile) -> Result<()> {
    let table = ArgumentTable::get();
    let weak = profile.texts(SETTING).into_iter().find(|suite| !table.is_strong_cipher_suite(suite));
    let (Some(suite), Some(resolved)) = (weak, profile.values.get(SETTING)) else { return Ok(()) };
    let expected = "a strong cipher suite such as TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";
    let message = format!("{SETTING}: the text {suite:?} is not {expected}");
    Err(resolved.origin.refusal(message).hint(format!("write {expected}")))
}
