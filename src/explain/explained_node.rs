// SPDX-License-Identifier: Apache-2.0
//! The node for which a topic is explained.

use crate::document::{RenderTarget, Rendered};
use crate::profile::Profile;
use crate::verify::facts::NodeFacts;

/// The node for which a topic is explained.
#[derive(Debug, Clone, Copy)]
pub struct ExplainedNode<'a> {
    /// The facts about the node.
    pub facts: &'a NodeFacts<'a>,
    /// The profile of the node.
    pub profile: &'a Profile,
    /// The site, which with the profile decides what `apply` writes.
    pub target: &'a RenderTarget,
    /// The files that `apply` writes.
    pub rendered: &'a Rendered,
    /// The benchmark whose numbers a topic uses.
    pub benchmark: &'a str,
}
