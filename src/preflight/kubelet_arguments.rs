// SPDX-License-Identifier: Apache-2.0
//! The kubelet's arguments as K3s splits them: what it copies for the kubelet, and what it drops.
//!
//! Source: `extractConfigArgs` in pkg/daemons/agent/agent.go of K3s. An item without `=` takes the next one as its value; of
//! `config` and `config-dir` K3s copies the file or the folder, and of any other it hands on the item alone.

use super::Finding;
use super::apiserver::{FileAt, look};
use crate::error::Result;
use crate::k3s::arguments::{self, KubeletItem};
use crate::k3s::{ComponentArgument, NodeConfig, kubelet};

const STOPS: &str = "failed to start kubelet: prepare user configuration drop-ins: ";

pub(super) fn check(node: &NodeConfig<'_>) -> Result<Vec<Finding>> {
    if !kubelet::takes_pairs(node.minor()) || !node.runs("kubelet") {
        return Ok(Vec::new());
    }
    let written = node.written_arguments("kubelet");
    let texts: Vec<&str> = written.iter().map(|argument| argument.text.as_str()).collect();
    let items = arguments::kubelet_items(&texts);
    let mut findings: Vec<Finding> = items.iter().filter_map(|item| of_item(item, &written)).collect();
    for name in ["config", "config-dir"] {
        let Some(item) = items.iter().rev().find(|item| item.name == name) else { continue };
        if let Some(finding) = copied(node, item)? {
            findings.push(finding.at(written[item.at].place.clone()));
        }
    }
    Ok(findings)
}

/// Returns the findings for the items that K3s drops.
pub(super) fn dropped(node: &NodeConfig<'_>) -> Vec<Finding> {
    if !kubelet::takes_pairs(node.minor()) || !node.runs("kubelet") {
        return Vec::new();
    }
    let written = node.written_arguments("kubelet");
    let texts: Vec<&str> = written.iter().map(|argument| argument.text.as_str()).collect();
    let items = arguments::kubelet_items(&texts).into_iter().filter(|item| !item.is_of_k3s());
    items.filter_map(|item| of_item(&item, &written)).collect()
}

/// Returns the finding for an item: a value that K3s requires, or an item that it drops.
fn of_item(item: &KubeletItem<'_>, written: &[ComponentArgument]) -> Option<Finding> {
    let argument = &written[item.at];
    if item.is_of_k3s() {
        let is_empty = item.value.unwrap_or_default().is_empty();
        return is_empty.then(|| {
            let message = format!("kubelet-arg has {} without a value", item.name);
            let remedy = format!("write {}=/path, or remove it", item.name);
            Finding::stops("kubelet-config-empty", message, remedy)
                .says(format!("{STOPS}value required for kubelet-arg --{}", item.name))
                .at(argument.place.clone())
        });
    }
    let lost = item.takes_next.then(|| &written[item.at + 1])?;
    let message = format!(
        "the kubelet never gets {:?}: K3s takes it as the value of {:?}, which has no \"=\", and drops it",
        lost.text, argument.text
    );
    let remedy = format!("write {}=true, or the value behind the \"=\"", item.name);
    Some(Finding::hardens_nothing("argument-swallowed", message, remedy).at(lost.place.clone()))
}

/// Returns the finding for a file or folder that K3s cannot copy, or that the kubelet does not read.
fn copied(node: &NodeConfig<'_>, item: &KubeletItem<'_>) -> Result<Option<Finding>> {
    let Some(text) = item.value.filter(|text| !text.is_empty()) else { return Ok(None) };
    let path = node.path(text)?;
    // What is in K3s's own folder is not copied.
    if text.starts_with(node.data_dir.join(kubelet::DROP_INS).as_str()) {
        return Ok(None);
    }
    let is_folder = item.name == "config-dir";
    let own = node.data_dir.join(kubelet::DROP_INS);
    let is_around = path.as_str() == "/" || own.as_str().starts_with(&format!("{path}/"));
    let message = match look(node, &path)? {
        FileAt::Directory if is_folder && is_around => {
            format!(
                "{path}, which kubelet's config-dir names, contains {own}: K3s copies the directory into itself without end"
            )
        }
        FileAt::Directory if is_folder => return Ok(None),
        // What is in it is checked with the other files of the kubelet.
        FileAt::File(_) if !is_folder => return Ok(None),
        // K3s copies the file where the kubelet looks for files that end in .conf.
        FileAt::File(_) => {
            let message =
                format!("{path}, which kubelet's config-dir names, is a file: the kubelet does not read it");
            return Ok(Some(Finding::hardens_nothing(
                "kubelet-config-file",
                message,
                "name a folder, or use config=",
            )));
        }
        FileAt::Directory => format!("{path}, which kubelet's config names, is a directory"),
        FileAt::Nothing => format!("{path}, which kubelet's {} names, does not exist", item.name),
    };
    let code = "argument-file-missing";
    Ok(Some(
        Finding::stops(code, message, "create the file, or remove the argument")
            .says(format!("{STOPS}copy {} {text:?}", item.name)),
    ))
}
