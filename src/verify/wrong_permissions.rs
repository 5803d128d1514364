// SPDX-License-Identifier: Apache-2.0
//! The files that K3s made, and whose modes or owners a benchmark does not take: they exist only once K3s has started.

use std::collections::BTreeMap;

use super::checks::file;
use super::control::controls;
use super::facts::NodeFacts;
use super::rule::{ControlRule, FileRule};
use crate::error::Result;
use crate::k3s::Datastore;
use crate::mode::{FileMode, Owner};
use crate::node::RootedPath;
use crate::profile::ControlId;

/// A file or directory that K3s made, with the mode and owner that the benchmark takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongPermissions {
    /// Its path.
    pub path: RootedPath,
    /// Its mode.
    pub mode: FileMode,
    /// Its owner.
    pub owner: Owner,
    /// The mode and owner that all controls take.
    pub wanted: (FileMode, Owner),
    /// The controls that want it so, by number and name.
    pub controls: Vec<(ControlId, String)>,
}

/// Returns the files that K3s made and that a control of a benchmark does not take, sorted by path. A file that the
/// configuration names is the user's, and is not among them.
///
/// # Errors
/// [`crate::ErrorKind::BadInput`] for an unknown benchmark; if a file or directory cannot be looked at.
pub fn wrong_permissions(
    facts: &NodeFacts<'_>,
    benchmark: &str,
    is_asked: impl Fn(&ControlId, &str) -> bool,
) -> Result<Vec<WrongPermissions>> {
    let mut found: BTreeMap<String, WrongPermissions> = BTreeMap::new();
    for control in controls(benchmark)? {
        if !control.roles.contains(&facts.node.role) || !is_asked(&control.id, &control.name) {
            continue;
        }
        let mut rules = Vec::new();
        add_file_rules(facts, &control.rule, &mut rules);
        for rule in rules {
            let allowed: Option<FileMode> = rule.mode.as_deref().map(str::parse).transpose()?;
            for (path, mode, owner) in file::own_files(facts, rule)? {
                let entry = found.entry(path.to_string()).or_insert_with(|| WrongPermissions {
                    path,
                    mode,
                    owner,
                    wanted: (mode, owner),
                    controls: Vec::new(),
                });
                let (wanted, wanted_owner) = entry.wanted;
                let mode = allowed.map_or(wanted, |allowed| wanted.intersection(allowed));
                let owner = if rule.owner.is_some() { facts.owner } else { wanted_owner };
                if (mode, owner) != entry.wanted {
                    entry.wanted = (mode, owner);
                    entry.controls.push((control.id.clone(), control.name.clone()));
                }
            }
        }
    }
    Ok(found.into_values().filter(|file| file.wanted != (file.mode, file.owner)).collect())
}

/// Adds the rules about files that all have to be met.
fn add_file_rules<'r>(facts: &NodeFacts<'_>, rule: &'r ControlRule, rules: &mut Vec<&'r FileRule>) {
    match rule {
        ControlRule::File(rule) => rules.push(rule),
        ControlRule::All(all) => all.iter().for_each(|rule| add_file_rules(facts, rule, rules)),
        ControlRule::WithEtcd(rule) if facts.datastore == Datastore::Etcd => {
            add_file_rules(facts, rule, rules);
        }
        _ => {}
    }
}
