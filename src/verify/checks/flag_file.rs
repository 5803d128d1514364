// SPDX-License-Identifier: Apache-2.0
//! Reads the file that a flag of a component names.

use super::flag;
use crate::error::{Place, Result};
use crate::node::RootedPath;
use crate::verify::evidence::Evidence;
use crate::verify::facts::NodeFacts;
use crate::verify::must::Must;
use crate::verify::rule_result::{RuleOutcome, RuleResult};

/// The file that a flag names.
pub(super) enum FlagFile {
    /// The file exists.
    Found { path: RootedPath, bytes: Vec<u8>, evidence: Vec<Evidence> },
    /// The flag or the file is missing; the result of the check.
    Missing(RuleResult),
}

impl FlagFile {
    /// Reads the file that a flag of a component names.
    ///
    /// # Errors
    /// Any error of a file that exists and cannot be read.
    pub(super) fn read(facts: &NodeFacts<'_>, component: &str, name: &str, expected: &str) -> Result<Self> {
        let flag = flag::check_by_name(facts, component, name, Must::BeSet(true))?;
        let expected = expected.to_owned();
        if flag.outcome != RuleOutcome::Met {
            return Ok(Self::Missing(RuleResult { expected, ..flag }));
        }
        let path = facts.node.path(&flag.actual)?;
        let mut evidence = flag.evidence;
        match facts.node.root.read(&path)? {
            Some(bytes) => Ok(Self::Found { path, bytes, evidence }),
            None => {
                let place = Place { file: path.to_string(), position: None };
                evidence.push(Evidence { text: format!("{path} is not there"), place: Some(place) });
                Ok(Self::Missing(RuleResult::met(false, expected, "the file is not there", evidence)))
            }
        }
    }
}
