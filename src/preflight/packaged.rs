// SPDX-License-Identifier: Apache-2.0
//! K3s's key `disable`: words that switch nothing off, and the empty word.

use super::Finding;
use crate::error::Result;
use crate::k3s::NodeConfig;
use crate::k3s::packaged::{self, UselessWord};

pub(super) fn check(node: &NodeConfig<'_>) -> Result<Vec<Finding>> {
    if !node.runs("deploy-controller") {
        return Ok(Vec::new());
    }
    let finding = |UselessWord { word, meant, place }: UselessWord| {
        let message = format!(
            "disable contains {word:?}, which is not a packaged component, file or directory in server/manifests: it has no effect"
        );
        let remedy = match meant {
            Some(meant) => format!("write {meant}, or remove it"),
            None => "write the name of a packaged component, or of a manifest without its ending".to_owned(),
        };
        Finding::hardens_nothing("disable-useless", message, remedy).at(place)
    };
    let empty = packaged::empty_word(node).map(|place| {
        let message = "disable has an empty word: K3s deletes every file in server/manifests, and its objects, whenever it starts";
        let remedy = "remove the key, the empty item or the comma too many";
        Finding::hardens_nothing("disable-empty", message, remedy).at(place)
    });
    let useless = packaged::useless_words(node)?.into_iter().map(finding);
    Ok(empty.into_iter().chain(useless).collect())
}
