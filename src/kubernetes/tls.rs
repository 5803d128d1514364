// SPDX-License-Identifier: Apache-2.0
//! The names of TLS that Kubernetes' components take (data/tls.yaml): Go's cipher suites and the versions.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::embedded;

/// A cipher suite by the name that Go gives it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CipherSuite {
    /// Its name.
    pub name: String,
    /// Whether Go lists it as insecure.
    #[serde(default)]
    pub insecure: bool,
}

/// data/tls.yaml.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TlsTable {
    cipher_suites: Vec<CipherSuite>,
    versions: Vec<String>,
}

static TABLE: LazyLock<TlsTable> = LazyLock::new(|| embedded::table("tls"));

/// Returns every cipher suite, the insecure ones last.
#[must_use]
pub fn cipher_suites() -> &'static [CipherSuite] {
    &TABLE.cipher_suites
}

/// Returns the cipher suite `name`, if Go has it.
#[must_use]
pub fn cipher_suite(name: &str) -> Option<&'static CipherSuite> {
    TABLE.cipher_suites.iter().find(|suite| suite.name == name)
}

/// Returns the names of the versions, oldest first.
#[must_use]
pub fn versions() -> &'static [String] {
    &TABLE.versions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suite_stands_once_and_no_insecure_one_before_a_secure_one() {
        let suites = cipher_suites();
        assert_eq!(suites.len(), 27);
        assert!(suites.is_sorted_by_key(|suite| (suite.insecure, &suite.name)));
        assert!(cipher_suite("TLS_RSA_WITH_AES_128_GCM_SHA256").unwrap().insecure);
        assert!(!cipher_suite("TLS_AES_128_GCM_SHA256").unwrap().insecure);
        assert_eq!(cipher_suite("TLS_ECDHE"), None);
    }
}
