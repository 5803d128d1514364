// SPDX-License-Identifier: Apache-2.0
//! K3s's own values: what K3s refuses once its command line has parsed them.

use super::Finding;
use crate::error::Result;
use crate::k3s::NodeConfig;
use crate::k3s::own_values::{self, Ending, FlagJudgement, OwnFault};

const CODE: &str = "own-value";

pub(super) fn check(node: &NodeConfig<'_>) -> Result<Vec<Finding>> {
    let Ok(config) = &node.effective else { return Ok(Vec::new()) };
    let mut findings: Vec<Finding> = own_values::faults(node, config)?.into_iter().map(finding).collect();
    for (name, value) in &config.values {
        let Some(FlagJudgement::NotJudged(why, _)) = own_values::judgement(node.role, name) else { continue };
        let message = format!("the value of {name} is not judged: {why}");
        let finding = Finding::not_judged("own-value-not-judged", message, "look at it by hand");
        findings.extend(value.origins.last().map(|origin| finding.at(origin.place())));
    }
    Ok(findings)
}

fn finding(fault: OwnFault) -> Finding {
    let remedy = format!("write {}", fault.write);
    let finding = match fault.ends {
        Ending::Exits | Ending::Waits | Ending::WaitsThenExits => Finding::stops(CODE, fault.message, remedy),
        Ending::ComesUp => Finding::warns(CODE, fault.message, remedy),
        Ending::Undecided => Finding::unknown("own-value-undecided", fault.message, remedy),
    };
    let finding = if fault.says.is_empty() { finding } else { finding.says(fault.says) };
    match fault.place {
        Some(place) => finding.at(place),
        None => finding,
    }
}
