//! What is asked of a node's configuration, and the values in it.

use super::origin::ValueOrigin;
use crate::Role;
use crate::node::RootedPath;
use crate::version::K3sRelease;

/// The value of a flag, and where it comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EffectiveValue {
    /// The value; several for a flag that repeats.
    pub items: Vec<String>,
    /// Where each item comes from.
    pub origins: Vec<ValueOrigin>,
    /// Whether the flag repeats.
    pub list: bool,
}

/// Which configuration of a node is read.
#[derive(Debug, Clone, Copy)]
pub struct ConfigQuery<'a> {
    /// The role that K3s is started in.
    pub role: Role,
    /// The release: which flags K3s has, and which it adds.
    pub release: K3sRelease,
    /// K3s' data directory.
    pub data_dir: &'a RootedPath,
    /// Words behind the service's command line, as if typed.
    pub words: &'a [String],
    /// Whether secrets are shown.
    pub show_secrets: bool,
}
