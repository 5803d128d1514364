//! The API server's final flags: the user's arguments merged with K3s' own.

use std::collections::BTreeSet;

use super::Finding;
use crate::Role;
use crate::error::{Place, Result};
use crate::k3s::NodeConfig;
use crate::kubernetes::object::Fault;
use crate::kubernetes::{admission_plugins, feature_gates, flag_values};
use crate::node::{PathState, RootedPath};

pub(super) const NAME: &str = "kube-apiserver";

/// What is at a path.
pub(super) enum FileAt {
    Nothing,
    Directory,
    File(Vec<u8>),
}

/// The API server of a node.
pub(super) struct ApiServer<'a> {
    pub(super) node: &'a NodeConfig<'a>,
    /// (name, value), in their order.
    flags: Vec<(String, String)>,
}

impl<'a> ApiServer<'a> {
    /// Returns the API server of a node; none on an agent, and none if the configuration cannot be read.
    pub(super) fn of(node: &'a NodeConfig<'a>) -> Option<Self> {
        let flags = node.effective.as_ref().ok()?.components.get(NAME)?;
        let split = |flag: &String| {
            let (name, value) = flag.strip_prefix("--")?.split_once('=')?;
            Some((name.replace('_', "-"), value.to_owned()))
        };
        (node.role == Role::Server).then(|| Self { node, flags: flags.iter().filter_map(split).collect() })
    }

    /// Returns an API server with the given flags (names without dashes, and values) in place of the configured ones.
    pub(super) fn with(node: &'a NodeConfig<'a>, flags: Vec<(String, String)>) -> Self {
        Self { node, flags }
    }

    /// Returns the last value of a flag; none if it is not set or empty.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.flags
            .iter()
            .rev()
            .find(|(flag, _)| flag == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// Tells whether a flag is set, even to an empty value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.flags.iter().any(|(flag, _)| flag == name)
    }

    /// Returns the whole number of a flag.
    pub(super) fn number(&self, name: &str) -> Option<i128> {
        self.value(name).and_then(flag_values::integer)
    }

    /// Returns all values of a list flag: each further occurrence adds to it.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let values = self.flags.iter().filter(|(flag, _)| flag == name);
        values.filter_map(|(_, value)| flag_values::comma_separated(value)).flatten().collect()
    }

    /// Returns where the user sets a flag.
    pub(super) fn place(&self, name: &str) -> Option<Place> {
        let arguments = self.node.arguments(NAME);
        let found = arguments.into_iter().rev().find(|argument| argument.name.replace('_', "-") == name);
        found.map(|argument| argument.place)
    }

    /// Adds the place of a flag to a finding.
    pub(super) fn at(&self, name: &str, finding: Finding) -> Finding {
        match self.place(name) {
            Some(place) => finding.at(place),
            None => finding,
        }
    }

    /// Returns the value that the flags give a feature gate, if they give one.
    pub(super) fn gate(&self, name: &str) -> Option<bool> {
        feature_gates::value(&self.list("feature-gates"), name)
    }

    /// Returns the admission plugins that are on.
    pub(super) fn plugins(&self) -> BTreeSet<String> {
        let enabled = self.list("enable-admission-plugins");
        let disabled = self.list("disable-admission-plugins");
        let on = admission_plugins::on_by_default(self.node.minor).map(str::to_owned);
        on.filter(|name| !disabled.contains(name)).chain(enabled).collect()
    }

    /// Returns what is at a path that a flag names.
    pub(super) fn look(&self, path: &RootedPath) -> Result<FileAt> {
        look(self.node, path)
    }
}

/// Returns what is at a path.
///
/// # Errors
/// A path that cannot be read.
pub(super) fn look(node: &NodeConfig<'_>, path: &RootedPath) -> Result<FileAt> {
    if matches!(node.root.look_directory(path), Ok(PathState::Directory { .. })) {
        return Ok(FileAt::Directory);
    }
    Ok(node.root.read(path)?.map_or(FileAt::Nothing, FileAt::File))
}

/// Returns a place in a file of the node.
pub(super) fn in_file(path: &RootedPath, position: (usize, usize)) -> Place {
    Place { file: path.to_string(), position: Some(position) }
}

/// Returns the finding for what the API server refuses in a file.
pub(super) fn refused(
    code: &'static str,
    path: &RootedPath,
    fault: &Fault,
    says: &str,
    remedy: &str,
) -> Finding {
    Finding::stops(code, fault.message.clone(), remedy)
        .at(in_file(path, fault.position))
        .says(format!("{says}{}", fault.message))
}

/// Returns the finding for a field that the API server drops silently.
pub(super) fn dropped_field(code: &'static str, path: &RootedPath, fault: &Fault) -> Finding {
    Finding::hardens_nothing(
        code,
        format!("{}: the API server drops it without a word", fault.message),
        "write the field as Kubernetes does, once",
    )
    .at(in_file(path, fault.position))
}
