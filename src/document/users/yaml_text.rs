// SPDX-License-Identifier: Apache-2.0
//! Values as YAML in lines, every text in quotes: for what cannot be taken over as it was written.

use serde_json::Value;

use crate::document::quote::yaml_string;

/// Returns a mapping or a list, each line indented by `indent` blanks.
pub(super) fn block(value: &Value, indent: usize) -> String {
    let mut text = String::new();
    write(value, indent, &mut text);
    text
}

/// Writes the entries of a mapping or a list, each in lines of its own.
fn write(value: &Value, indent: usize, text: &mut String) {
    let blanks = " ".repeat(indent);
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                text.push_str(&blanks);
                text.push_str(&key(name));
                text.push(':');
                below(value, indent, text);
            }
        }
        Value::Array(items) => {
            for item in items {
                text.push_str(&blanks);
                text.push('-');
                match item {
                    Value::Object(fields) if !fields.is_empty() => {
                        let body = block(item, indent + 2);
                        text.push(' ');
                        text.push_str(body.trim_start_matches(' '));
                    }
                    _ => below(item, indent, text),
                }
            }
        }
        scalar => {
            text.push_str(&blanks);
            text.push_str(&inline(scalar));
            text.push('\n');
        }
    }
}

/// Writes a value behind a key or a dash.
fn below(value: &Value, indent: usize, text: &mut String) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            text.push('\n');
            write(value, indent + 2, text);
        }
        Value::Array(items) if !items.is_empty() => {
            text.push('\n');
            write(value, indent + 2, text);
        }
        other => {
            text.push(' ');
            text.push_str(&inline(other));
            text.push('\n');
        }
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Object(_) => "{}".to_owned(),
        Value::Array(_) => "[]".to_owned(),
        other => other.to_string(),
    }
}

/// Names of fields are written as they are; what a reader could take for something else is quoted.
fn key(name: &str) -> String {
    const WORDS: [&str; 6] = ["yes", "off", "true", "false", "null", "nan"];
    let is_plain = name.len() > 2
        && name.bytes().all(|byte| byte.is_ascii_alphabetic())
        && !WORDS.contains(&name.to_ascii_lowercase().as_str());
    if is_plain { name.to_owned() } else { quoted(name) }
}

fn quoted(text: &str) -> String {
    let mut bytes = Vec::new();
    // Writing to memory does not fail, and the quotes are ASCII.
    yaml_string(text, &mut bytes).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::kubernetes::manifest::to_json;
    use crate::kubernetes::yaml;

    #[test]
    fn values_stand_in_lines() {
        let value = json!({"kind": "A", "items": [{"a": [1, "no"], "empty": {}}, [], ["x"]], "yes": null});
        assert_eq!(
            block(&value, 2),
            "  items:\n    - \"a\":\n        - 1\n        - \"no\"\n      empty: {}\n    - []\n    -\n      - \"x\"\n  kind: \"A\"\n  \"yes\": null\n"
        );
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,6}".prop_map(Value::from),
            "[a-z0-9:_.~-]{0,5}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-zA-Z0-9./<-]{1,5}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().filter(|(key, _)| key != "<<").collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn yaml_v2_reads_the_same_value(value in prop::collection::btree_map("[a-z]{1,4}", values(), 1..4)) {
            let value = Value::Object(value.into_iter().collect());
            let root = yaml::read(block(&value, 0).as_bytes()).unwrap().unwrap();
            prop_assert_eq!(to_json(&root).unwrap(), value);
        }
    }
}
