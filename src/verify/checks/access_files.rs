// SPDX-License-Identifier: Apache-2.0
//! Checks what the files of `authorization-config` and `authentication-config` say, which replace flags of the API server.

use super::flag;
use super::flag_file::FlagFile;
use crate::error::{Place, Result};
use crate::kubernetes::authorization_config::ALWAYS_ALLOW;
use crate::preflight::{authentication, authorization};
use crate::verify::evidence::Evidence;
use crate::verify::facts::NodeFacts;
use crate::verify::must::Must;
use crate::verify::rule_result::{RuleOutcome, RuleResult};

const SERVER: &str = "kube-apiserver";
const AUTHORIZATION: &str = "authorization-config";
const AUTHENTICATION: &str = "authentication-config";
const ANONYMOUS_FLAG: &str = "anonymous-auth";
/// In `about`: a person reviews the paths to which anonymous requests are limited.
const PATHS: &str = "paths";

/// Checks the authorizers of the file; `about` is the authorizer that has to be there, or `AlwaysAllow`, which must not.
pub(super) fn check_authorizers(facts: &NodeFacts<'_>, about: Option<&str>) -> Result<RuleResult> {
    let about = about.unwrap_or(ALWAYS_ALLOW);
    let is_forbidden = about == ALWAYS_ALLOW;
    let verb = if is_forbidden { "does not have" } else { "has" };
    let expected = format!("the file of {AUTHORIZATION} {verb} {about}");
    let file = match find(facts, AUTHORIZATION, &expected)? {
        Ok(file) => file,
        Err(result) => return Ok(*result),
    };
    let config = match authorization::read(&facts.node, &file.bytes) {
        Ok(config) => config,
        Err(fault) => return Ok(file.refused(expected, fault)),
    };
    let mut evidence = file.evidence;
    let place = |position| Some(Place { file: file.path.clone(), position: Some(position) });
    let named = config.types.iter().find(|authorizer| authorizer.value == about);
    if let Some(authorizer) = named {
        let text = format!("the authorizer {about}");
        evidence.push(Evidence { text, place: place(authorizer.position) });
    }
    let types: Vec<&str> = config.types.iter().map(|authorizer| authorizer.value.as_str()).collect();
    Ok(RuleResult::met(named.is_some() != is_forbidden, expected, types.join(","), evidence))
}

/// Checks whether the file lets anonymous requests in; with `about: paths` a person reviews paths that it lists.
pub(super) fn check_anonymous(facts: &NodeFacts<'_>, about: Option<&str>) -> Result<RuleResult> {
    let expected = format!("the file of {AUTHENTICATION} denies anonymous requests");
    let file = match find(facts, AUTHENTICATION, &expected)? {
        Ok(file) => file,
        Err(result) if about != Some(PATHS) && result.outcome == RuleOutcome::Manual => {
            return Ok(RuleResult::met(false, expected, result.actual, result.evidence));
        }
        Err(result) => return Ok(*result),
    };
    let config = match authentication::read_with(&facts.node, facts.flags(SERVER).flags, &file.bytes) {
        Ok(config) => config,
        Err(fault) => return Ok(file.refused(expected, fault)),
    };
    let mut evidence = file.evidence;
    let off = Must::Be("false".to_owned());
    let flag = flag::check_by_name(facts, SERVER, ANONYMOUS_FLAG, off)?;
    let Some(anonymous) = config.anonymous else {
        let text = format!("the file does not configure anonymous requests: {ANONYMOUS_FLAG} applies");
        let position = Some((1, 1));
        evidence.push(Evidence { text, place: Some(Place { file: file.path, position }) });
        evidence.extend(flag.evidence);
        let actual =
            if flag.outcome == RuleOutcome::Met { "the flag allows none" } else { "all are allowed" };
        return Ok(RuleResult::met(flag.outcome == RuleOutcome::Met, expected, actual, evidence));
    };
    let actual = match (anonymous.enabled, anonymous.paths.as_slice()) {
        (false, _) => "none are allowed".to_owned(),
        (true, []) => "all are allowed".to_owned(),
        (true, paths) => format!("allowed for {}", paths.join(", ")),
    };
    let place = Some(Place { file: file.path, position: Some(anonymous.position) });
    evidence.push(Evidence { text: format!("anonymous requests: {actual}"), place });
    if anonymous.enabled && !anonymous.paths.is_empty() && about == Some(PATHS) {
        return Ok(RuleResult::review(
            "the paths that the file opens to anonymous requests",
            actual,
            evidence,
        ));
    }
    if anonymous.enabled && !anonymous.paths.is_empty() {
        let text =
            "this benchmark allows no anonymous requests: use a waiver to accept the paths of health probes"
                .to_owned();
        evidence.push(Evidence { text, place: None });
    }
    Ok(RuleResult::met(!anonymous.enabled, expected, actual, evidence))
}

/// A file that a flag names.
struct AccessFile {
    path: String,
    bytes: Vec<u8>,
    evidence: Vec<Evidence>,
}

impl AccessFile {
    fn refused(self, expected: String, fault: crate::kubernetes::object::Fault) -> RuleResult {
        let mut evidence = self.evidence;
        let place = Some(Place { file: self.path, position: Some(fault.position) });
        evidence.push(Evidence { text: fault.message, place });
        RuleResult::met(false, expected, "the API server refuses the file", evidence)
    }
}

/// Reads the file that a flag names. The inner error is the result: not applicable without the flag, and a person's to
/// review where the file is not here.
fn find(
    facts: &NodeFacts<'_>,
    flag: &str,
    expected: &str,
) -> Result<std::result::Result<AccessFile, Box<RuleResult>>> {
    let given = flag::check_by_name(facts, SERVER, flag, Must::BeSet(true))?;
    match given.outcome {
        RuleOutcome::Met => {}
        RuleOutcome::NotMet => {
            return Ok(Err(Box::new(RuleResult::not_applicable(format!("{flag} is not set")))));
        }
        _ => return Ok(Err(Box::new(RuleResult { expected: expected.to_owned(), ..given }))),
    }
    Ok(match FlagFile::read(facts, SERVER, flag, expected)? {
        FlagFile::Found { path, bytes, evidence } => {
            Ok(AccessFile { path: path.to_string(), bytes, evidence })
        }
        FlagFile::Missing(result) => {
            Err(Box::new(RuleResult::review(expected.to_owned(), result.actual, result.evidence)))
        }
    })
}
