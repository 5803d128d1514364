// SPDX-License-Identifier: Apache-2.0
//! The names that Kubernetes takes (k8s.io/apimachinery/pkg/util/validation).

/// The namespaces that every cluster has from its first start on (pkg/controlplane/controller/systemnamespaces).
pub const BUILT_IN_NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// The one label that every namespace has: its name. The API server sets it from 1.21 on.
pub const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Tells whether `text` is a label of RFC 1123, such as the name of a namespace.
#[must_use]
pub fn is_label(text: &str) -> bool {
    text.len() <= 63 && is_part(text)
}

/// Tells whether `text` is a subdomain of RFC 1123, such as an API group. Its parts may be longer than a label alone.
#[must_use]
pub fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_part)
}

/// Tells whether `text` is a qualified name, such as that of a label: a name of at most 63 characters, and before a slash a
/// subdomain (`IsQualifiedName`).
#[must_use]
pub fn is_qualified(text: &str) -> bool {
    let (domain, name) = text.split_once('/').map_or((None, text), |(domain, name)| (Some(domain), name));
    domain.is_none_or(is_subdomain) && !name.is_empty() && is_label_value(name)
}

/// Tells whether `text` may be the value of a label (`IsValidLabelValue`).
#[must_use]
pub fn is_label_value(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let ends = [text.bytes().next(), text.bytes().last()];
    text.len() <= 63
        && text.bytes().all(inner)
        && ends.into_iter().flatten().all(|byte| byte.is_ascii_alphanumeric())
}

/// Lower-case letters, digits and dashes, no dash first or last.
fn is_part(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_subdomains() {
        let long = "a".repeat(64);
        for good in ["a", "0", "kube-system", "a--b", &long[..63]] {
            assert!(is_label(good) && is_subdomain(good), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a_b", "ä", "a b"] {
            assert!(!is_label(bad) && !is_subdomain(bad), "{bad}");
        }
        assert!(!is_label("a.b") && is_subdomain("a.b"));
        assert!(!is_label(&long) && is_subdomain(&long));
        for bad in ["a..b", ".a", "a.", &"a.".repeat(127)] {
            assert!(!is_subdomain(bad), "{bad}");
        }
    }
}
