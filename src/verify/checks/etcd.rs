//! Checks fields of etcd's configuration, which K3s writes itself.

use super::file;
use crate::error::{Place, Result};
use crate::k3s::NodePaths;
use crate::kubernetes::yaml::{self, YamlValue};
use crate::verify::evidence::Evidence;
use crate::verify::facts::NodeFacts;
use crate::verify::rule::{FieldRule, OnMissing};
use crate::verify::rule_result::{RuleOutcome, RuleResult};

/// Checks a field of etcd's configuration.
///
/// # Errors
/// Any error of a configuration that exists and cannot be read.
pub(in crate::verify) fn check(facts: &NodeFacts<'_>, rule: &FieldRule) -> Result<RuleResult> {
    let path = facts.node.data_dir.join(&NodePaths::get().etcd_config);
    let expected = rule.must.describe(&rule.field);
    let Some(bytes) = facts.node.root.read(&path)? else {
        return Ok(file::missing(facts, path.as_str(), OnMissing::Unknown, expected));
    };
    let place = |position| Some(Place { file: path.to_string(), position });
    let document = match yaml::read(&bytes) {
        Ok(document) => document,
        Err(problem) => {
            let evidence = vec![Evidence { text: problem.message.clone(), place: place(problem.position) }];
            return Ok(RuleResult {
                outcome: RuleOutcome::Unknown,
                expected,
                actual: problem.message,
                evidence,
            });
        }
    };
    let mut node = document.as_ref();
    for part in rule.field.split('.') {
        node = node.and_then(|node| match &node.value {
            YamlValue::Map(pairs) => {
                pairs.iter().rev().find(|(key, _)| key.go_text() == part).map(|(_, value)| value)
            }
            _ => None,
        });
    }
    let items = node.map(|node| match &node.value {
        YamlValue::List(items) => items.iter().map(yaml::YamlNode::go_text).collect(),
        _ => vec![node.go_text()],
    });
    let actual = items.as_ref().map_or_else(|| "not set".to_owned(), |items| items.join(","));
    let text = format!("etcd's configuration has {}: {actual}", rule.field);
    let evidence = vec![Evidence { text, place: place(node.map(|node| node.position)) }];
    Ok(RuleResult::met(rule.must.is_met_by(items.as_deref()), expected, actual, evidence))
}
