// SPDX-License-Identifier: Apache-2.0
//! Where the value of a K3s flag comes from.

use std::fmt;

use crate::error::{Error, Place};
use crate::node::RootedPath;

/// The source of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueOrigin {
    /// A configuration file, with the position of the value.
    File(Place),
    /// An environment variable.
    Variable {
        /// Its name.
        name: String,
        /// What sets it.
        source: VariableSource,
    },
    /// The command line in the file of a service: a systemd unit or an init script.
    Service(RootedPath),
    /// The words that the caller adds to K3s's command line.
    CommandLine,
}

/// What sets an environment variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VariableSource {
    /// The service itself, with `Environment=`.
    Service,
    /// A file that the service names, as the service writes its path.
    File(String),
}

impl ValueOrigin {
    /// Returns the name of the variable; none for another source.
    #[must_use]
    pub(super) fn variable(&self) -> Option<&str> {
        match self {
            Self::Variable { name, .. } => Some(name),
            _ => None,
        }
    }

    /// Returns the place to report. For a source that is no file, the name of the source is in the place of the file name.
    #[must_use]
    pub fn place(&self) -> Place {
        match self {
            Self::File(place) => place.clone(),
            other => Place { file: other.to_string(), position: None },
        }
    }
}

/// Returns an error with the place of the value that it is about.
pub(super) fn at(error: Error, origin: Option<&ValueOrigin>) -> Error {
    match origin {
        Some(origin) => error.at(origin.place()),
        None => error,
    }
}

impl fmt::Display for ValueOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(place) => place.fmt(f),
            Self::Variable { name, source } => write!(f, "{name} in {source}"),
            Self::Service(path) => path.fmt(f),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}

impl fmt::Display for VariableSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service => f.write_str("the service"),
            Self::File(path) => f.write_str(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_never_read_out_of_a_name() {
        let source = VariableSource::File("/etc/k3s:1:2".to_owned());
        let variable = ValueOrigin::Variable { name: "K3S_TOKEN".to_owned(), source };
        let place = Place { file: "K3S_TOKEN in /etc/k3s:1:2".to_owned(), position: None };
        assert_eq!((variable.place(), variable.to_string()), (place, "K3S_TOKEN in /etc/k3s:1:2".to_owned()));
        let place = Place { file: "/etc/rancher/k3s/config.yaml".to_owned(), position: Some((3, 8)) };
        let file = ValueOrigin::File(place.clone());
        assert_eq!((file.place(), file.to_string()), (place, "/etc/rancher/k3s/config.yaml:3:8".to_owned()));
    }
}
