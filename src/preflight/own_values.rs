//! K3s' own values: what K3s refuses once its command line has parsed them.

use super::Finding;
use crate::error::Result;
use crate::k3s::NodeConfig;
use crate::k3s::own_values::{self, Ending, OwnFault};

const CODE: &str = "own-value";

pub(super) fn check(node: &NodeConfig<'_>) -> Result<Vec<Finding>> {
    let Ok(config) = &node.effective else { return Ok(Vec::new()) };
    Ok(own_values::faults(node, config)?.into_iter().map(finding).collect())
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
