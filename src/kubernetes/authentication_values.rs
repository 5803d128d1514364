// SPDX-License-Identifier: Apache-2.0
//! Single values of an authentication configuration.
//!
//! Source: pkg/apis/apiserver/validation of k8s.io/apiserver.

use super::{go_url, names, scalar};

/// `validateURL`.
pub(super) fn url_fault(text: &str) -> Option<String> {
    let why = match go_url::parse(text) {
        Err(why) => why,
        Ok(url) if url.scheme != "https" => "URL scheme must be https".to_owned(),
        Ok(url) if url.has_user => "URL must not contain a username or password".to_owned(),
        Ok(url) if !url.query.is_empty() => "URL must not contain a query".to_owned(),
        Ok(url) if !url.fragment.is_empty() => "URL must not contain a fragment".to_owned(),
        Ok(_) => return None,
    };
    Some(format!("Invalid value: {text:?}: {why}"))
}

/// Tells whether a text has a PEM block of a certificate.
#[must_use]
pub fn has_certificate(text: &str) -> bool {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    let mut blocks =
        text.split(BEGIN).skip(1).filter_map(|rest| rest.split_once("-----END CERTIFICATE-----"));
    // A certificate is a sequence in DER.
    blocks.any(|(body, _)| scalar::base64(body).is_some_and(|bytes| bytes.first() == Some(&0x30)))
}

/// Returns why a key of `extra` is refused (`IsDomainPrefixedPath`, and names of Kubernetes' own).
pub(super) fn key_fault(key: &str) -> Option<String> {
    let invalid = |why: &str| Some(format!("Invalid value: {key:?}: {why}"));
    if key.is_empty() {
        return Some("Required value".to_owned());
    }
    let Some((domain, path)) =
        key.split_once('/').filter(|(domain, path)| !domain.is_empty() && !path.is_empty())
    else {
        return invalid("must be a domain-prefixed path (such as \"acme.io/foo\")");
    };
    let is_path = |letter: char| letter.is_ascii_alphanumeric() || "/-._~%!$&'()*+,;=:".contains(letter);
    if !names::is_subdomain(domain) {
        return invalid(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'",
        );
    }
    if !path.chars().all(is_path) {
        return invalid("Invalid path");
    }
    if key != key.to_lowercase() {
        return invalid("must be lowercase");
    }
    let of_kubernetes =
        |own: &str| domain == own || domain.strip_suffix(own).is_some_and(|rest| rest.ends_with('.'));
    if of_kubernetes("kubernetes.io") || of_kubernetes("k8s.io") {
        return invalid("k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use");
    }
    None
}
