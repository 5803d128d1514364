//! Desired and observed state, merged into the value that `plan`, `apply` and every output read.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::change::Change;
use super::desired::{Desired, PlanSubject};
use super::file::Content;
use super::resource::{Action, CurrentState, Resource};
use crate::document::is_ours;
use crate::error::{Error, ErrorKind, Result};
use crate::node::{PathState, Root, RootedPath};

/// The observed state: that of each resource, in the order of the desired state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed(Vec<CurrentState>);

impl Observed {
    /// Reads the state of every resource of `desired`.
    ///
    /// # Errors
    /// If one cannot be read, or something else is in its place.
    pub fn of(desired: &Desired, root: &Root) -> Result<Self> {
        let states = desired.resources.iter().map(|resource| resource.observe_as_needed(root));
        states.collect::<Result<_>>().map(Self)
    }
}

/// What happens to a file at one of our paths that is not ours (`--on-foreign`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnForeign {
    /// It is backed up and replaced, with a warning.
    #[default]
    Replace,
    /// It stays, with a warning.
    Keep,
    /// The run ends with an error.
    Fail,
}

/// What decides about files that k3s-harden did not write.
#[derive(Debug, Clone, Default)]
pub struct PlanPolicy {
    /// What happens to them.
    pub on_foreign: OnForeign,
    /// Paths that earlier runs wrote: these files are ours, whatever they hold.
    pub recorded: BTreeSet<RootedPath>,
}

/// What changes on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The node and the profile.
    pub subject: PlanSubject,
    /// One action for each resource, parents first.
    pub actions: Vec<Action>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl Plan {
    /// Merges the desired with the observed state.
    ///
    /// # Errors
    /// [`ErrorKind::Failed`] for a file that k3s-harden did not write, with [`OnForeign::Fail`].
    pub fn between(desired: Desired, observed: Observed, policy: &PlanPolicy) -> Result<Self> {
        let mut plan = Self { subject: desired.subject, actions: Vec::new(), warnings: Vec::new() };
        for (resource, before) in desired.resources.into_iter().zip(observed.0) {
            let (mut change, mut diff) = resource.diff(&before);
            if let (Resource::File(file), true) = (&resource, is_foreign(&resource, &before, policy)) {
                let path = &file.path;
                match (change, policy.on_foreign) {
                    (Change::None, _) => {}
                    // Not ours and not wanted: it stays.
                    (Change::Remove, _) => (change, diff) = (Change::None, String::new()),
                    (_, OnForeign::Replace) => plan.warnings.push(format!(
                        "{path} was not written by k3s-harden: it is replaced, and backed up under /var/lib/k3s-harden; --on-foreign keep leaves it"
                    )),
                    (_, OnForeign::Keep) => {
                        plan.warnings.push(format!("{path} was not written by k3s-harden and stays as it is: what it should hold is not in force"));
                        (change, diff) = (Change::None, String::new());
                    }
                    (_, OnForeign::Fail) => {
                        return Err(Error::new(ErrorKind::Failed, format!("{path} was not written by k3s-harden"))
                            .hint("--on-foreign replace backs it up and replaces it, --on-foreign keep leaves it"));
                    }
                }
            }
            if change == Change::Update && is_overwritten(&resource, &before, policy) {
                let path = resource.path();
                plan.warnings.push(format!(
                    "{path} was overwritten by somebody since k3s-harden wrote it: it is replaced, and comes back with a rollback"
                ));
            }
            if let (Resource::Sysctl(sysctl), CurrentState::Unreadable(reason)) = (&resource, &before) {
                plan.warnings.push(sysctl.warning(reason));
            }
            plan.actions.push(Action { resource, before, change, diff });
        }
        // Files to remove that do not exist are not part of the plan.
        plan.actions.retain(|action| {
            !matches!(&action.resource, Resource::File(file) if file.content == Content::Absent && action.change == Change::None)
        });
        Ok(plan)
    }

    /// Returns the actions that change something.
    pub fn changes(&self) -> impl DoubleEndedIterator<Item = &Action> {
        self.actions.iter().filter(|action| action.change != Change::None)
    }

    /// Tells whether anything changes.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.changes().next().is_some()
    }
}

fn is_foreign(resource: &Resource, before: &CurrentState, policy: &PlanPolicy) -> bool {
    match before {
        CurrentState::Node(PathState::File { bytes, .. }) => {
            !is_ours(bytes) && !policy.recorded.contains(&resource.path())
        }
        CurrentState::Node(PathState::Symlink { .. }) => true,
        _ => false,
    }
}

/// Tells whether a file of ours has no header of ours any more.
fn is_overwritten(resource: &Resource, before: &CurrentState, policy: &PlanPolicy) -> bool {
    let is_recorded = policy.recorded.contains(&resource.path());
    is_recorded && matches!(before, CurrentState::Node(PathState::File { bytes, .. }) if !is_ours(bytes))
}
