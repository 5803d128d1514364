// SPDX-License-Identifier: Apache-2.0
//! The file of ABAC's policies that the API server's flag `authorization-policy-file` names: an object of JSON on each line.
//!
//! Source: pkg/auth/authorizer/abac and pkg/apis/abac of Kubernetes.

use super::object::{self, ObjectFile};
use super::scalar::Scalar;
use super::yaml::{YamlNode, YamlValue};

const GROUP: &str = "abac.authorization.kubernetes.io/";

/// Checks the content of a file of policies.
///
/// # Errors
/// The API server's own message.
pub fn check(bytes: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(bytes);
    for (index, line) in text.lines().enumerate() {
        let is_skipped = line.trim().is_empty() || line.trim().starts_with('#');
        if !is_skipped {
            policy(line)
                .map_err(|problem| format!("error reading policy file, line {}: {problem}", index + 1))?;
        }
    }
    Ok(())
}

fn policy(line: &str) -> Result<(), String> {
    let file = ObjectFile::read(line.as_bytes()).map_err(|fault| fault.message)?;
    let (version, kind) = file.kind().map_err(|fault| fault.message)?;
    // Without a version or a kind it is one of version 0.
    if version.is_empty() || kind.is_empty() {
        return fields(&file.root);
    }
    match (version.strip_prefix(GROUP), kind.as_str()) {
        (Some("v0"), "Policy") => fields(&file.root),
        (Some("v1beta1"), "Policy") => object::field(&file.root, "spec").map_or(Ok(()), fields),
        _ => Err(format!("no kind {kind:?} is registered for version {version:?}")),
    }
}

fn fields(node: &YamlNode) -> Result<(), String> {
    const TEXTS: [&str; 6] = ["user", "group", "apiGroup", "resource", "namespace", "nonResourcePath"];
    if !matches!(node.value, YamlValue::Map(_)) {
        return Err("json: cannot unmarshal into Go value of type Policy".to_owned());
    }
    let is_text = |node: &YamlNode| matches!(node.value, YamlValue::Scalar(Scalar::Text(_)));
    let is_bool = |node: &YamlNode| matches!(node.value, YamlValue::Scalar(Scalar::Bool(_)));
    let wrong = TEXTS.into_iter().find(|name| !object::field(node, name).is_none_or(is_text));
    let wrong =
        wrong.or_else(|| (!object::field(node, "readonly").is_none_or(is_bool)).then_some("readonly"));
    wrong.map_or(Ok(()), |name| Err(format!("json: cannot unmarshal into Go struct field .{name}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_policy() {
        const POLICY: &str = r#"{"apiVersion":"abac.authorization.kubernetes.io/v1beta1","kind":"Policy","spec":{"user":"a"}}"#;
        for good in ["", "# note\n\n", POLICY, "{\"user\":\"a\"}\n", "{}\n"] {
            assert_eq!(check(good.as_bytes()), Ok(()), "{good}");
        }
        for bad in [
            "x\n".to_owned(),
            "[]\n".to_owned(),
            POLICY.replace("v1beta1", "v2"),
            POLICY.replace("Policy", "Foo"),
            POLICY.replace("\"a\"", "1"),
            format!("{POLICY}\n{{\"readonly\":\"yes\"}}\n"),
        ] {
            assert!(check(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
