// SPDX-License-Identifier: Apache-2.0
//! Checks fields of etcd's configuration, which K3s writes itself.

use super::file;
use crate::error::{Place, Result};
use crate::k3s::NodePaths;
use crate::k3s::etcd_config::EtcdConfig;
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
    let config = match EtcdConfig::read(&bytes) {
        Ok(config) => config,
        Err(fault) => {
            let evidence = vec![Evidence { text: fault.message.clone(), place: place(Some(fault.position)) }];
            let actual = fault.message;
            return Ok(RuleResult { outcome: RuleOutcome::Unknown, expected, actual, evidence });
        }
    };
    let found = config.value(&rule.field);
    let items = found.map(|found| vec![found.value.clone()]);
    let actual = found.map_or("not set", |found| found.value.as_str()).to_owned();
    let text = format!("etcd's configuration has {}: {actual}", rule.field);
    let evidence = vec![Evidence { text, place: place(found.map(|found| found.position)) }];
    Ok(RuleResult::met(rule.must.is_met_by(items.as_deref()), expected, actual, evidence))
}
