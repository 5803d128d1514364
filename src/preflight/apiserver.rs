//! The API server's flags, as it gets them at last: the user's arguments merged with K3s' own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::Deserialize;

use super::Finding;
use crate::Role;
use crate::embedded;
use crate::error::{Place, Result};
use crate::k3s::NodeConfig;
use crate::kubernetes::flag_values;
use crate::kubernetes::object::Fault;
use crate::node::{PathState, RootedPath};
use crate::version::KubernetesMinor;

pub(super) const NAME: &str = "kube-apiserver";

/// An admission plugin.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AdmissionPlugin {
    /// Whether it is on without being asked for.
    on: bool,
    from: Option<KubernetesMinor>,
    until: Option<KubernetesMinor>,
}

static PLUGINS: LazyLock<BTreeMap<String, AdmissionPlugin>> =
    LazyLock::new(|| embedded::table("admission-plugins"));

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
    /// Returns it where there is one.
    pub(super) fn of(node: &'a NodeConfig<'a>) -> Option<Self> {
        let flags = node.effective.as_ref().ok()?.components.get(NAME)?;
        let split = |flag: &String| {
            let (name, value) = flag.strip_prefix("--")?.split_once('=')?;
            Some((name.replace('_', "-"), value.to_owned()))
        };
        (node.role == Role::Server).then(|| Self { node, flags: flags.iter().filter_map(split).collect() })
    }

    /// Returns one with other flags than the configuration would give it: names without dashes, and values.
    pub(super) fn with(node: &'a NodeConfig<'a>, flags: Vec<(String, String)>) -> Self {
        Self { node, flags }
    }

    /// Returns the value of a flag, the last one that is set; none where it is not set or empty.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.flags
            .iter()
            .rev()
            .find(|(flag, _)| flag == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// Tells whether a flag is set, be it to nothing.
    pub(super) fn has(&self, name: &str) -> bool {
        self.flags.iter().any(|(flag, _)| flag == name)
    }

    /// Returns the whole number of a flag.
    pub(super) fn number(&self, name: &str) -> Option<i128> {
        self.value(name).and_then(flag_values::integer)
    }

    /// Returns the values of a flag that takes several: given again, it takes more of them.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let values = self.flags.iter().filter(|(flag, _)| flag == name);
        values.filter_map(|(_, value)| flag_values::comma_separated(value)).flatten().collect()
    }

    /// Returns where a flag was set by somebody else than K3s.
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

    /// Tells whether the minor is this one or a later one.
    pub(super) fn is_from(&self, minor: &str) -> bool {
        minor.parse().is_ok_and(|minor: KubernetesMinor| minor <= self.node.minor)
    }

    /// Tells whether the minor has an admission plugin.
    pub(super) fn has_plugin(&self, name: &str) -> bool {
        PLUGINS.get(name).is_some_and(|plugin| plugin.is_of(self.node.minor))
    }

    /// Returns the name of the minor's admission plugin that somebody may have meant.
    pub(super) fn meant(&self, name: &str) -> Option<&'static str> {
        let plain = |name: &str| name.replace(['-', '_', ' '], "").to_ascii_lowercase();
        let wanted = plain(name);
        let here = PLUGINS.iter().filter(|(_, plugin)| plugin.is_of(self.node.minor));
        let fits = |known: &str| {
            let known = plain(known);
            known == wanted
                || (wanted.len() > 5 && (known.starts_with(&wanted) || wanted.starts_with(&known)))
        };
        here.map(|(known, _)| known.as_str()).find(|known| fits(known))
    }

    /// Says of a plugin that is not the minor's since when or until when others have it.
    pub(super) fn when(&self, name: &str) -> String {
        match PLUGINS.get(name) {
            Some(AdmissionPlugin { from: Some(from), .. }) if self.node.minor < *from => {
                format!(" (it comes with {from})")
            }
            Some(AdmissionPlugin { until: Some(until), .. }) if *until < self.node.minor => {
                format!(" (it was removed in {})", until.next())
            }
            _ => String::new(),
        }
    }

    /// Returns the admission plugins that are on.
    pub(super) fn plugins(&self) -> BTreeSet<String> {
        let enabled = self.list("enable-admission-plugins");
        let disabled = self.list("disable-admission-plugins");
        let on = PLUGINS
            .iter()
            .filter(|(name, plugin)| plugin.is_of(self.node.minor) && plugin.on && !disabled.contains(name));
        on.map(|(name, _)| name.clone()).chain(enabled).collect()
    }

    /// Returns what is at a path that a flag names.
    pub(super) fn look(&self, path: &RootedPath) -> Result<FileAt> {
        look(self.node, path)
    }
}

/// Returns what is at a path.
///
/// # Errors
/// Where it cannot be read.
pub(super) fn look(node: &NodeConfig<'_>, path: &RootedPath) -> Result<FileAt> {
    if matches!(node.root.look_directory(path), Ok(PathState::Directory { .. })) {
        return Ok(FileAt::Directory);
    }
    Ok(node.root.read(path)?.map_or(FileAt::Nothing, FileAt::File))
}

impl AdmissionPlugin {
    fn is_of(&self, minor: KubernetesMinor) -> bool {
        minor.is_within(self.from, self.until)
    }
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
