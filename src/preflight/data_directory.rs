// SPDX-License-Identifier: Apache-2.0
//! K3s's data directory: what is in the way of the files and folders that K3s makes there.

use super::Finding;
use crate::error::{Place, Result};
use crate::k3s::NodeConfig;
use crate::k3s::data_directory::{self, Obstacle};
use crate::k3s::own_values::Ending;

pub(super) fn check(node: &NodeConfig<'_>) -> Result<Vec<Finding>> {
    let Ok(config) = &node.effective else { return Ok(Vec::new()) };
    Ok(data_directory::obstacles(node, config)?.into_iter().map(finding).collect())
}

fn finding(obstacle: Obstacle) -> Finding {
    let Obstacle { path, what, says, ends } = obstacle;
    let does = if ends == Ending::Waits { "waits for ever" } else { "exits" };
    Finding::stops("data-directory", format!("{path}: {what}: K3s {does}"), "move it away")
        .says(says)
        .at(Place { file: path.to_string(), position: None })
}
