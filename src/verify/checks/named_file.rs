// SPDX-License-Identifier: Apache-2.0
//! The files that arguments of components, and fields of their configuration, name.

use crate::error::Result;
use crate::k3s::{arguments, kubelet};
use crate::kubernetes::component_flags;
use crate::kubernetes::settings::TypedValue;
use crate::node::RootedPath;
use crate::verify::checks::flag;
use crate::verify::evidence::Evidence;
use crate::verify::facts::NodeFacts;
use crate::verify::rule::FileName;

const KUBELET: &str = "kubelet";

/// The files that an argument or a field names, with the evidence.
pub(super) type NamedPaths = (Vec<RootedPath>, Evidence);

/// Finds the files that an argument or a field names; none if nothing gives it, or if it is empty: then K3s's own file counts.
///
/// # Errors
/// A configuration file that cannot be read, and a name that is no path.
pub(super) fn find(facts: &NodeFacts<'_>, name: &FileName) -> Result<Option<NamedPaths>> {
    let FileName { component, flag, .. } = name;
    if facts.absence(component).is_some() {
        return Ok(None);
    }
    if component == KUBELET
        && ["config", "config-dir"].contains(&flag.as_str())
        && kubelet::takes_pairs(facts.node.minor())
    {
        return taken_by_k3s(facts, name);
    }
    let flags = facts.flags(component);
    if let (Some(field), true) = (&name.field, component != KUBELET)
        && let Some((file, fields)) = flag::config_file(facts, component, &flags)?
    {
        // The argument does not count beside the file.
        let text = fields.value(field).map(TypedValue::text).unwrap_or_default();
        if text.is_empty() {
            return Ok(None);
        }
        let place = crate::error::Place { file, position: fields.position(field) };
        let evidence =
            Evidence { text: format!("{component}'s configuration has {field}: {text}"), place: Some(place) };
        return named(facts, vec![text], evidence);
    }
    let given: Vec<String> =
        flags.flags.iter().filter(|(name, _)| name == flag).map(|(_, text)| text.clone()).collect();
    if let Some(last) = given.last() {
        let kind = component_flags::find(component, flag).map(|flag| flag.kind);
        let texts = match (name.part, kind.filter(|kind| kind.is_list())) {
            (Some(part), _) => given.iter().map(|text| part.of(text).to_owned()).collect(),
            (None, Some(kind)) => {
                let read = |text: &String| match kind.read(text, facts.node.minor()) {
                    Ok(TypedValue::List(items)) => items,
                    _ => vec![text.clone()],
                };
                given.iter().flat_map(read).collect()
            }
            (None, None) => vec![last.clone()],
        };
        let place = facts.place_of_given(component, flag, &flags.origin);
        let text = format!("{component} gets --{flag}={}", given.join(","));
        return named(facts, texts, Evidence { text, place });
    }
    if let (Some(field), KUBELET) = (&name.field, component.as_str())
        && let Some(value) = facts.next_kubelet_config()?.get(field)
    {
        let text = format!("the kubelet's configuration has {field}: {}", value.items.join(","));
        let evidence = Evidence { text, place: value.place.clone() };
        return named(facts, value.items.clone(), evidence);
    }
    Ok(None)
}

/// Returns what the user's argument names that K3s keeps for itself: it copies the file or the folder at every start.
fn taken_by_k3s(facts: &NodeFacts<'_>, name: &FileName) -> Result<Option<NamedPaths>> {
    let written = facts.node.written_arguments(KUBELET);
    let texts: Vec<&str> = written.iter().map(|argument| argument.text.as_str()).collect();
    let items = arguments::kubelet_items(&texts);
    let Some(item) = items.iter().rev().find(|item| item.name == name.flag) else {
        return Ok(None);
    };
    let value = item.value.unwrap_or_default().to_owned();
    let text = format!("K3s gives the kubelet what {}={value} names", name.flag);
    named(facts, vec![value], Evidence { text, place: Some(written[item.at].place.clone()) })
}

fn named(facts: &NodeFacts<'_>, texts: Vec<String>, evidence: Evidence) -> Result<Option<NamedPaths>> {
    let texts: Vec<String> = texts.into_iter().filter(|text| !text.is_empty()).collect();
    if texts.is_empty() {
        return Ok(None);
    }
    let paths: Result<Vec<RootedPath>> = texts.iter().map(|text| facts.node.path(text)).collect();
    Ok(Some((paths?, evidence)))
}
