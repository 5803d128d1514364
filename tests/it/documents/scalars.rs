// SPDX-License-Identifier: Apache-2.0
//! No reader takes a text for something else: YAML 1.1 ones (K3s's among them) know more booleans and numbers.

use granit_parser::{Event, Parser, ScalarStyle};

use super::support::EVERYTHING;

/// One scalar as it is written.
pub(crate) struct Scalar {
    /// The nearest key above it; of a key, the key itself.
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) is_key: bool,
    style: ScalarStyle,
}

/// A mapping with the key whose value comes next, or a list with the key it stands under.
enum Level {
    Mapping(Option<String>),
    List(String),
}

/// Walks the events of a YAML text; the second list names what is neither mapping, list nor plain data.
fn walk(text: &str) -> (Vec<Scalar>, Vec<String>) {
    let (mut scalars, mut oddities, mut levels) = (Vec::new(), Vec::new(), Vec::new());
    for next in Parser::new_from_str(text) {
        let event = match next {
            Ok((event, _)) => event,
            Err(error) => {
                oddities.push(error.to_string());
                break;
            }
        };
        let key = match levels.last() {
            Some(Level::Mapping(Some(key)) | Level::List(key)) => key.clone(),
            _ => String::new(),
        };
        match event {
            Event::Scalar(value, style, anchor, tag) => {
                if anchor != 0 || tag.is_some() {
                    oddities.push(format!("an anchor or tag at {value:?}"));
                }
                let value = value.into_owned();
                match levels.last_mut() {
                    Some(Level::Mapping(at @ None)) => {
                        *at = Some(value.clone());
                        scalars.push(Scalar { key: value.clone(), value, is_key: true, style });
                    }
                    _ => {
                        scalars.push(Scalar { key, value, is_key: false, style });
                        ended(&mut levels);
                    }
                }
            }
            Event::MappingStart(..) => levels.push(Level::Mapping(None)),
            Event::SequenceStart(..) => levels.push(Level::List(key)),
            Event::MappingEnd | Event::SequenceEnd => {
                levels.pop();
                ended(&mut levels);
            }
            Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_, None) | Event::DocumentEnd => {}
            // With the parser's feature for them, comments are events too; they carry no data.
            other => {
                let other = format!("{other:?}");
                if !other.starts_with("Comment") {
                    oddities.push(other);
                }
            }
        }
    }
    (scalars, oddities)
}

/// Ends the value of a key.
fn ended(levels: &mut [Level]) {
    if let Some(Level::Mapping(at)) = levels.last_mut() {
        *at = None;
    }
}

pub(crate) fn scalars(text: &str) -> Vec<Scalar> {
    walk(text).0
}

/// Keys whose values are booleans.
const BOOLEANS: [&str; 12] = [
    "allowPrivilegeEscalation",
    "automountServiceAccountToken",
    "enableNetworkPolicy",
    "enabled",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "privileged",
    "protect-kernel-defaults",
    "readOnlyRootFilesystem",
    "secrets-encryption",
    "omitManagedFields",
];
/// Keys whose values are numbers.
const NUMBERS: [&str; 6] = ["burst", "cacheSize", "max", "min", "port", "qps"];
/// Words that YAML 1.1 takes for a boolean or for null, in any case.
const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];

/// Returns the scalars that some reader takes for something else than is meant, and what no document needs.
fn misread(text: &str) -> Vec<String> {
    let (scalars, mut found) = walk(text);
    for Scalar { key, value, is_key, style } in scalars {
        let sound = match style {
            ScalarStyle::DoubleQuoted | ScalarStyle::SingleQuoted => true,
            ScalarStyle::Plain if matches!(value.as_str(), "true" | "false") => {
                !is_key && BOOLEANS.contains(&key.as_str())
            }
            ScalarStyle::Plain if is_number(&value) => !is_key && NUMBERS.contains(&key.as_str()),
            ScalarStyle::Plain => is_word(&value),
            _ => false,
        };
        if !sound {
            found.push(format!("{key}: {value}"));
        }
    }
    found
}

/// A decimal number that every reader takes for the same.
fn is_number(text: &str) -> bool {
    text == "0" || (!text.starts_with('0') && !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))
}

/// What begins with a letter and goes on without white space and colons is no number, time or mapping.
fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._/+-".contains(&byte))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

#[test]
fn no_plain_scalar_is_retyped() {
    let mut plain = 0;
    for rendered in EVERYTHING.iter().filter(|rendered| rendered.is_yaml()) {
        // Whoever takes a cluster object fills these in; to the parser what is absent is ~.
        let mut open = Vec::new();
        if rendered.key == "rancher-cluster.yaml" {
            open.push("name: ~");
            if !rendered.text.contains("kubernetesVersion: \"v1.33.4+k3s1\"") {
                open.push("kubernetesVersion: ~");
            }
        }
        if rendered.key == "rancher-files.yaml" {
            open.push("rke.cattle.io/object-authorized-for-clusters: ~");
        }
        let found = misread(&rendered.text);
        assert_eq!(found, open, "{}:\n{}", rendered.from, rendered.text);
        plain += scalars(&rendered.text).iter().filter(|scalar| scalar.style == ScalarStyle::Plain).count();
    }
    assert!(plain > EVERYTHING.len(), "{plain}");
}

#[test]
fn what_a_reader_retypes_is_found() {
    for text in [
        "mode: 0600",
        "x: yes",
        "x: y",
        "x: N",
        "x: On",
        "x: OFF",
        "x: True",
        "x: ~",
        "x:",
        "x: null",
        "x: NULL",
        "v: 1_000",
        "v: 1e3",
        "v: +1",
        "v: -1",
        "v: .5",
        "v: .inf",
        "v: .NaN",
        "v: 0x1f",
        "v: 0o17",
        "v: 0b1",
        "v: 12:30:45",
        "v: 2024-01-01",
        "v: 2024-01-01T00:00:00Z",
        "v: v1.33: x y",
        "v: '='\nw: =",
        "v: <<",
        "v: *x",
        "v: two words",
        "v: 1.33",
        "namespace: 12",
        "namespace: true",
        "port: 0o10",
        "port: 080",
        "no: word",
        "12: word",
        "true: word",
        "- yes",
        "a: [b, no]",
        "privileged: yes",
        "v: !!str 1",
        "v: &x word",
        "v: |\n  text",
        "v: >\n  text",
        "%YAML 1.1\n---\nv: word",
    ] {
        // An alias without its anchor is an error of the parser.
        let text = if text.contains('*') { format!("a: &x b\n{text}") } else { text.to_owned() };
        assert!(!misread(&text).is_empty(), "{text}");
    }
    for text in [
        "port: 80",
        "privileged: true",
        "v: \"0600\"",
        "v: 'yes'",
        "a: [rbac.authorization.k8s.io/v1]",
        "a+: []",
    ] {
        assert_eq!(misread(text), Vec::<String>::new(), "{text}");
    }
}

/// The quotes that the templates leave to the escape hook are what keeps these texts texts.
#[test]
fn texts_without_their_quotes_are_found() {
    for key in ["psa", "policy", "config"] {
        let mut rendered = EVERYTHING.iter().filter(|rendered| rendered.key == key);
        let rendered = rendered.rfind(|rendered| rendered.text.contains("\"0600\"") || key == "psa").unwrap();
        assert_eq!(misread(&rendered.text), Vec::<String>::new(), "{}", rendered.from);
        assert_ne!(misread(&rendered.text.replace('"', "")), Vec::<String>::new(), "{}", rendered.from);
    }
}
