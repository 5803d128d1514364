// SPDX-License-Identifier: Apache-2.0
//! The tests of a check, as check/test.go of kube-bench runs them.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::kubernetes::yaml::{self, YamlNode, YamlValue};

/// A test. It has at most one comparison beside the named fields: `eq: "false"`, `gte: "30"`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct TestItem {
    /// The flag to find in a text.
    #[serde(default)]
    pub(super) flag: String,
    /// The field to find in a configuration: `.a.b` is a field; `.a[]` is a list, written with commas; any other text is
    /// its own value in every configuration.
    #[serde(default)]
    pub(super) path: String,
    /// Whether the flag or field has to be set.
    #[serde(default = "yes")]
    pub(super) set: bool,
    #[serde(flatten)]
    compare: BTreeMap<String, Operand>,
}

fn yes() -> bool {
    true
}

/// The operand of a comparison.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Operand {
    One(String),
    Several(Vec<String>),
}

/// The source of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AuditSource {
    /// The text that a command printed.
    Text,
    /// A configuration file.
    Config,
}

/// The result of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TestResult {
    /// Whether the test passes.
    pub(super) met: bool,
    /// The value, if the flag or field is set.
    pub(super) value: Option<String>,
    /// The source of the value.
    pub(super) source: AuditSource,
    /// The text that was tested: all of it, or the line that decided.
    pub(super) text: String,
}

impl TestItem {
    /// Tests a text, or each of its lines until one fails.
    pub(super) fn test(&self, source: AuditSource, text: &str, each_line: bool) -> TestResult {
        let text = text.trim_end_matches([' ', '\n']);
        let lines: Vec<&str> = if each_line { text.split('\n').collect() } else { vec![text] };
        let mut result = TestResult {
            met: false,
            value: None,
            source,
            text: lines.first().copied().unwrap_or("").to_owned(),
        };
        for line in lines {
            result = self.test_one(source, line);
            if !result.met {
                break;
            }
        }
        result
    }

    fn test_one(&self, source: AuditSource, text: &str) -> TestResult {
        let value = match source {
            AuditSource::Text => Ok(find(text, &self.flag)),
            AuditSource::Config => field(text, &self.path),
        };
        // A text that cannot be parsed passes no test, not even one that requires a field to be unset.
        let met = value.as_ref().is_ok_and(|value| match (self.set, value, self.compare.iter().next()) {
            (false, value, _) => value.is_none(),
            (true, None, _) => false,
            (true, Some(_), None) => true,
            (true, Some(value), Some((operator, operand))) => compare(operator, value, &operand.text()),
        });
        TestResult { met, value: value.ok().flatten(), source, text: text.to_owned() }
    }

    /// Returns the name of the flag or field.
    pub(super) fn name(&self, source: AuditSource) -> &str {
        match source {
            AuditSource::Text => &self.flag,
            AuditSource::Config => self.path.trim_start_matches('.').trim_end_matches("[]"),
        }
    }

    /// Describes the required value; none if the flag or field only has to be set.
    pub(super) fn wanted(&self) -> Option<String> {
        let (operator, operand) = self.compare.iter().next()?;
        let operand = match operand {
            Operand::One(text) => text.clone(),
            Operand::Several(texts) if texts.len() > 3 => format!("one of {} that it knows", texts.len()),
            Operand::Several(texts) => texts.join(", "),
        };
        Some(match operator.as_str() {
            "eq" => operand,
            "noteq" => format!("anything but {operand}"),
            "gt" => format!("more than {operand}"),
            "gte" => format!("at least {operand}"),
            "lt" => format!("less than {operand}"),
            "lte" => format!("at most {operand}"),
            "has" => format!("something with {operand}"),
            "nothave" => format!("something without {operand}"),
            "bitmask" => format!("no more than {operand}"),
            "valid_elements" => format!("nothing but {operand}"),
            other => format!("by {other}, a comparison that there is not, {operand}"),
        })
    }

    /// Tells whether the test reads a field of a configuration, and not just any configuration.
    pub(super) fn reads_field(&self) -> bool {
        self.path.starts_with('.')
    }

    /// Tells whether kube-bench does not have the comparison, so that no value passes.
    pub(super) fn has_unknown_comparison(&self) -> bool {
        self.compare.keys().any(|operator| !OPERATORS.contains(&operator.as_str()))
    }

    #[cfg(test)]
    pub(super) fn compares_once_at_most(&self) -> bool {
        self.compare.len() <= 1 && (self.set || self.compare.is_empty())
    }
}

/// kube-bench's comparisons, without `regex`, which no benchmark for K3s uses.
const OPERATORS: [&str; 10] =
    ["eq", "noteq", "gt", "gte", "lt", "lte", "has", "nothave", "bitmask", "valid_elements"];

impl Operand {
    fn text(&self) -> String {
        match self {
            Self::One(text) => text.clone(),
            Self::Several(texts) => texts.join(","),
        }
    }
}

/// Finds the value of a flag as kube-bench's `(flag)(=|: *)*([^\s]*) *` does: at the first occurrence, up to the next space.
fn find(text: &str, flag: &str) -> Option<String> {
    if flag.is_empty() {
        return None;
    }
    let (_, mut rest) = text.split_once(flag)?;
    loop {
        rest = match (rest.strip_prefix('='), rest.strip_prefix(':')) {
            (Some(rest), _) => rest,
            (_, Some(rest)) => rest.trim_start_matches(' '),
            _ => break,
        };
    }
    let value = rest.split([' ', '\t', '\n', '\r', '\u{c}']).next().unwrap_or_default();
    Some(match value {
        "" if flag.starts_with("--") => "true".to_owned(),
        "" => flag.to_owned(),
        value => value.to_owned(),
    })
}

/// Finds a field in JSON or, if it is none, in YAML; merge keys are followed. An empty field counts as not set.
fn field(text: &str, path: &str) -> Result<Option<String>, yaml::YamlProblem> {
    // JSON may have tabs and escapes that YAML does not take, so it is written anew.
    let json = serde_json::from_str::<serde_json::Value>(text).ok().map(|json| json.to_string());
    let (document, _) = yaml::read_merged(json.as_deref().unwrap_or(text).as_bytes())?;
    let Some(fields) = path.strip_prefix('.') else {
        return Ok(Some(path.to_owned()).filter(|path| !path.is_empty()));
    };
    let (fields, list) = fields.strip_suffix("[]").map_or((fields, false), |fields| (fields, true));
    let mut node = document;
    for name in fields.split('.') {
        node = node.and_then(|node| member(node, name));
    }
    let text = node.map(|node| match node {
        YamlNode { value: YamlValue::List(items), .. } if list => {
            items.iter().map(|item| item.go_text() + ",").collect()
        }
        _ if list => String::new(),
        node => node.go_text(),
    });
    Ok(text.filter(|text| !text.is_empty()))
}

/// Returns the value of a key; the last one if the key occurs twice.
fn member(node: YamlNode, name: &str) -> Option<YamlNode> {
    let YamlValue::Map(pairs) = node.value else { return None };
    pairs.into_iter().rev().find(|(key, _)| key.go_text() == name).map(|(_, value)| value)
}

/// Compares a value with the operand; an unknown comparison is never true.
fn compare(operator: &str, found: &str, wanted: &str) -> bool {
    let numbers = || Some((found.trim().parse::<i64>().ok()?, wanted.trim().parse::<i64>().ok()?));
    let number = |holds: fn(i64, i64) -> bool| numbers().is_some_and(|(found, wanted)| holds(found, wanted));
    let equal = || match found.to_lowercase() {
        boolean if boolean == "true" || boolean == "false" => boolean == wanted,
        _ => found == wanted,
    };
    match operator {
        "eq" => equal(),
        "noteq" => !equal(),
        "gt" => number(|found, wanted| found > wanted),
        "gte" => number(|found, wanted| found >= wanted),
        "lt" => number(|found, wanted| found < wanted),
        "lte" => number(|found, wanted| found <= wanted),
        "has" => found.contains(wanted),
        "nothave" => !found.contains(wanted),
        "bitmask" => {
            let bits = |text| i64::from_str_radix(text, 8).ok();
            bits(found).zip(bits(wanted)).is_some_and(|(found, most)| most & found == found)
        }
        "valid_elements" => {
            let (found, valid) = (elements(found), elements(wanted));
            found.is_empty() == valid.is_empty() && found.iter().all(|element| valid.contains(element))
        }
        _ => false,
    }
}

fn elements(list: &str) -> Vec<&str> {
    let list = list.trim().trim_end_matches(',');
    if list.is_empty() { Vec::new() } else { list.split(',').map(str::trim).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(json: &str) -> TestItem {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn every_comparison_is_kube_benchs() {
        for (operator, found, wanted, met) in [
            ("eq", "False", "false", true),
            ("eq", "false\"", "false", false),
            ("eq", "ABC", "abc", false),
            ("noteq", "TRUE", "false", true),
            ("noteq", "0\"", "0", true),
            ("noteq", "0", "0", false),
            ("gt", "1", "0", true),
            ("gt", "0", "0", false),
            ("gte", "30", "30", true),
            ("gte", "29", "30", false),
            ("gte", "30\"", "30", false),
            ("lt", "1", "2", true),
            ("lt", "2", "2", false),
            ("lte", "2", "2", true),
            ("lte", "3", "2", false),
            ("has", "Node,RBAC", "RBAC", true),
            ("has", "Node", "RBAC", false),
            ("nothave", "Node", "AlwaysAllow", true),
            ("nothave", "Node,AlwaysAllow", "AlwaysAllow", false),
            ("bitmask", "600", "644", true),
            ("bitmask", "640", "600", false),
            ("bitmask", "0", "600", true),
            ("bitmask", "permissions", "644", false),
            ("valid_elements", "a, b,", "b,a,c", true),
            ("valid_elements", "a,b\"", "a,b", false),
            ("valid_elements", "", "a", false),
            ("valid_elements", "", "", true),
            ("noteqx", "1", "0", false),
        ] {
            assert_eq!(compare(operator, found, wanted), met, "{found} {operator} {wanted}");
        }
    }

    #[test]
    fn the_first_place_of_a_flag_counts_and_the_closing_quote_is_part_of_the_last_value() {
        let line = "x msg=\"Running kubelet --a=1 --b --a=2 --last=3\"";
        assert_eq!(find(line, "--a").as_deref(), Some("1"));
        assert_eq!(find(line, "--b").as_deref(), Some("true"));
        assert_eq!(find(line, "--last").as_deref(), Some("3\""));
        assert_eq!(find(line, "--c"), None);
        assert_eq!(find("  cert-file:   /a b", "cert-file").as_deref(), Some("/a"));
        assert_eq!(find("root:root", "root:root").as_deref(), Some("root:root"));
        assert_eq!(find("--x-y=1", "--x").as_deref(), Some("-y=1"));
        assert_eq!(find(line, ""), None);
    }

    #[test]
    fn what_is_not_there_passes_only_a_test_for_that() {
        let text = |json: &str, text: &str| item(json).test(AuditSource::Text, text, false).met;
        assert!(text(r#"{"flag": "--a", "set": false}"#, ""));
        assert!(!text(r#"{"flag": "--a", "set": false}"#, "--a=1"));
        assert!(!text(r#"{"flag": "--a", "noteq": "1"}"#, "--b=2"));
        assert!(text(r#"{"flag": "--a"}"#, "--a"));
    }

    #[test]
    fn each_line_has_to_pass() {
        let mode = item(r#"{"flag": "permissions", "bitmask": "600"}"#);
        let two = "permissions=600\npermissions=644\n";
        assert!(mode.test(AuditSource::Text, two, false).met, "the first is found");
        let found = mode.test(AuditSource::Text, two, true);
        assert!(!found.met);
        assert_eq!(found.text, "permissions=644");
        assert!(!mode.test(AuditSource::Text, "", true).met);
    }

    #[test]
    fn a_configuration_is_read_by_path() {
        let config = "a: {b-c: true, port: 0, e: ''}\nl: [x, z]\n";
        let found = |path: &str| field(config, path).unwrap();
        assert_eq!(found(".a.b-c").as_deref(), Some("true"));
        assert_eq!(found(".a.port").as_deref(), Some("0"));
        assert_eq!(found(".a.e"), None);
        assert_eq!(found(".a.x.y"), None);
        assert_eq!(found(".l[]").as_deref(), Some("x,z,"));
        assert_eq!(found(".none[]"), None);
        assert_eq!(found("/a/file").as_deref(), Some("/a/file"), "it says itself wherever it is asked");
        assert_eq!(found(""), None);
        let found = |config: &str| field(config, ".a.b").unwrap();
        assert_eq!(found("a: {b: 1}\n<<: {a: {b: 2}}\n").as_deref(), Some("2"), "the later one counts");
        assert_eq!(found("x: &x {b: 1}\na: {<<: *x}\n").as_deref(), Some("1"));
        assert_eq!(found("{\n\t\"a\": {\n\t\t\"b\": \"c\\/d\"\n\t}\n}").as_deref(), Some("c/d"), "JSON");
        let unset = item(r#"{"path": ".a", "set": false}"#);
        assert!(unset.test(AuditSource::Config, "b: 1", false).met);
        assert!(!unset.test(AuditSource::Config, "b: [", false).met);
    }
}
