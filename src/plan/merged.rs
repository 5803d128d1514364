//! Desired and observed state, merged: the one value that plan, apply and every output read.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::resource::{Action, Change, CurrentState, Resource};
use super::{Content, Desired, PlanSubject};
use crate::document::is_ours;
use crate::error::{Error, ErrorKind, Result};
use crate::node::{PathState, Root, RootedPath};

/// What the node is now, resource by resource in the order of the desired state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed(Vec<CurrentState>);

impl Observed {
    /// Looks at every resource of `desired`.
    ///
    /// # Errors
    /// Where one cannot be looked at, or something else is in its place.
    pub fn of(desired: &Desired, root: &Root) -> Result<Self> {
        let looked = desired.resources.iter().map(|resource| resource.observe_as_needed(root));
        looked.collect::<Result<_>>().map(Self)
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

/// How to judge what is found.
#[derive(Debug, Clone, Default)]
pub struct PlanPolicy {
    /// What to do with files of others.
    pub on_foreign: OnForeign,
    /// Paths that earlier runs wrote, so that they are ours whatever stands in them.
    pub recorded: BTreeSet<RootedPath>,
}

/// Every resource with what has to happen to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What it is about.
    pub subject: PlanSubject,
    /// One action a resource, parents first.
    pub actions: Vec<Action>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl Plan {
    /// Merges what should be with what is.
    ///
    /// # Errors
    /// [`ErrorKind::Failed`] for a file of somebody else's with [`OnForeign::Fail`].
    pub fn between(desired: Desired, observed: Observed, policy: &PlanPolicy) -> Result<Self> {
        let mut plan = Self { subject: desired.subject, actions: Vec::new(), warnings: Vec::new() };
        for (resource, before) in desired.resources.into_iter().zip(observed.0) {
            let (mut change, mut diff) = resource.diff(&before);
            if let (Resource::File(file), true) = (&resource, is_foreign(&resource, &before, policy)) {
                let path = &file.path;
                match (change, policy.on_foreign) {
                    (Change::None, _) => {}
                    // Not ours and not wanted: nothing to do with us.
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
            if let (Resource::Sysctl(sysctl), CurrentState::Value(Err(reason))) = (&resource, &before) {
                plan.warnings.push(sysctl.complaint(reason));
            }
            plan.actions.push(Action { resource, before, change, diff });
        }
        // Files to remove that are not there are nobody's business.
        plan.actions.retain(|action| {
            !matches!(&action.resource, Resource::File(file) if file.content == Content::Absent && action.change == Change::None)
        });
        Ok(plan)
    }

    /// Returns the actions that change something.
    pub fn changes(&self) -> impl DoubleEndedIterator<Item = &Action> {
        self.actions.iter().filter(|action| action.change != Change::None)
    }

    /// Tells whether there is anything to do.
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

/// A path of ours at which something stands that does not say so.
fn is_overwritten(resource: &Resource, before: &CurrentState, policy: &PlanPolicy) -> bool {
    let is_recorded = policy.recorded.contains(&resource.path());
    is_recorded && matches!(before, CurrentState::Node(PathState::File { bytes, .. }) if !is_ours(bytes))
}
