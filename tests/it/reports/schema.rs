// SPDX-License-Identifier: Apache-2.0
//! As much of JSON Schema as our own schemas use; on a keyword that it does not know it fails, so that nothing in a
//! schema goes unchecked. (A validator of all of it would double the tree of dependencies.)

use serde_json::Value;

/// Panics where `value` is not as the schema `root` says.
pub(crate) fn check(root: &Value, value: &Value) {
    at(root, root, value, "$");
}

fn at(root: &Value, schema: &Value, value: &Value, path: &str) {
    for (keyword, rule) in schema.as_object().expect("a schema is an object") {
        let fine = match keyword.as_str() {
            "$schema" | "$id" | "$defs" | "title" | "description" => true,
            "$ref" => {
                let pointer = rule.as_str().unwrap().strip_prefix('#').expect("it is of the same file");
                at(root, root.pointer(pointer).expect("it is there"), value, path);
                true
            }
            "type" => match rule {
                Value::Array(types) => types.iter().any(|one| is(one, value)),
                one => is(one, value),
            },
            "enum" => rule.as_array().unwrap().contains(value),
            "minimum" => value.as_f64() >= rule.as_f64(),
            // Whether it may be anything else than a text, an object or a list, `type` says.
            "pattern" => value.as_str().is_none_or(|text| fits(rule.as_str().unwrap(), text)),
            "required" => {
                !value.is_object()
                    || rule.as_array().unwrap().iter().all(|name| value.get(name.as_str().unwrap()).is_some())
            }
            "dependentRequired" => rule.as_object().unwrap().iter().all(|(name, needed)| {
                value.get(name).is_none()
                    || needed
                        .as_array()
                        .unwrap()
                        .iter()
                        .all(|name| value.get(name.as_str().unwrap()).is_some())
            }),
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    at(root, rule, item, &format!("{path}[{index}]"));
                }
                true
            }
            "properties" => {
                for (name, schema) in rule.as_object().unwrap() {
                    if let Some(value) = value.get(name) {
                        at(root, schema, value, &format!("{path}.{name}"));
                    }
                }
                true
            }
            "additionalProperties" => {
                assert!(schema.get("properties").is_none(), "{path}: together they are not known here");
                for (name, value) in value.as_object().unwrap() {
                    at(root, rule, value, &format!("{path}.{name}"));
                }
                true
            }
            other => panic!("{path}: the keyword {other} is not known here"),
        };
        assert!(fine, "{path}: {keyword}: {rule}\n{value}");
    }
}

fn is(kind: &Value, value: &Value) -> bool {
    match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "null" => value.is_null(),
        other => panic!("type {other}"),
    }
}

/// The patterns that there are.
fn fits(pattern: &str, text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match pattern {
        r"^1\.[0-9]+$" => text.strip_prefix("1.").is_some_and(digits),
        "^[0-9a-f]{64}$" => {
            text.len() == 64
                && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        }
        "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$" => {
            let shape: String =
                text.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
            shape == "0000-00-00T00:00:00Z"
        }
        "^[0-9]{4}-[0-9]{2}-[0-9]{2}$" => {
            let parts: Vec<&str> = text.split('-').collect();
            parts.iter().copied().all(digits) && parts.iter().map(|part| part.len()).eq([4, 2, 2])
        }
        r"^[0-9]+\.[0-9]+\.[0-9]+$" => text.split('.').count() == 3 && text.split('.').all(digits),
        "^0[0-7]{3,4}$" => {
            matches!(text.len(), 4 | 5)
                && text.starts_with('0')
                && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte))
        }
        r"^[0-9]+(\.[0-9]+)*$" => text.split('.').all(digits),
        "^[a-z0-9]+(-[a-z0-9]+)*$" => text.split('-').all(|part| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
        }),
        other => panic!("the pattern {other} is not known here"),
    }
}
