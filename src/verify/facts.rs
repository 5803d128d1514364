//! The node as verify sees it.

use crate::node::Owner;
use crate::preflight::Judged;

/// Everything that rules look at.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The node and the configuration that is in force on it.
    pub judged: Judged<'a>,
    /// Who stands for root: the owner of an image that is built without root's rights.
    pub owner: Owner,
}
