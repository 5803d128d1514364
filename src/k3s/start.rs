// SPDX-License-Identifier: Apache-2.0
//! How K3s is started on a node: the service, the configuration file, and the command line that K3s makes of both.
//!
//! A run reads it once. What depends on the data directory, which the command line names, is read after it
//! ([`NodeConfig`](super::NodeConfig)).

use super::config_file::ConfigFile;
use super::config_values::ConfigQuery;
use super::data_dir::DataDir;
use super::effective::{self, ReadCommandLine};
use super::flags;
use super::node_paths::DEFAULT_DATA_DIR;
use super::origin::ValueOrigin;
use super::service::{Hidden, NodeService, NotUnderstood};
use crate::Role;
use crate::error::{Error, ErrorKind, Result};
use crate::node::{Root, RootedPath};
use crate::version::K3sRelease;

/// How K3s is started.
#[derive(Debug)]
pub struct K3sStart {
    /// The role that K3s is started in.
    pub role: Role,
    /// The release of K3s.
    pub release: K3sRelease,
    /// The service that starts K3s.
    pub service: NodeService,
    /// The configuration file that K3s reads; the error if its name is no path.
    pub config: Result<ConfigFile>,
    /// The command line; the error if K3s cannot read its configuration.
    pub(super) command_line: Result<ReadCommandLine>,
    /// The data directory that K3s uses; the error if K3s cannot read its configuration.
    data_dir: Result<DataDir>,
}

impl K3sStart {
    /// Reads how K3s is started in `role`.
    ///
    /// # Errors
    /// If a file cannot be read. That K3s cannot read one, or refuses it, is no error here.
    pub fn read(root: &Root, role: Role, release: K3sRelease) -> Result<Self> {
        let service = NodeService::find(root, role)?;
        let written = service.as_written();
        let config = refused(ConfigFile::of_service(root, written, role))?;
        let data_dir = RootedPath::fixed(DEFAULT_DATA_DIR);
        let query = ConfigQuery { role, release, data_dir: &data_dir, words: &[], show_secrets: true };
        let command_line = refused(effective::read_command_line(root, &service, query))?;
        let find = |read: &Result<ReadCommandLine>| match read {
            Ok(read) => DataDir::of_command_line(written, &read.line, role, release),
            Err(error) => Err(error.clone()),
        };
        let data_dir = if service.not_understood.is_empty() {
            find(&command_line)
        } else {
            find(&refused(effective::read_command_line(root, written, query))?)
        };
        Ok(Self { role, release, service, config, command_line, data_dir })
    }

    /// Returns the data directory that K3s uses.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] if K3s cannot read its configuration, or a path is not valid.
    pub fn data_dir(&self) -> Result<DataDir> {
        self.data_dir.clone()
    }

    /// Returns what hides which configuration file K3s reads, or where it keeps its data. A service that does not start
    /// hides nothing.
    #[must_use]
    pub fn hidden_places(&self) -> Option<&NotUnderstood> {
        if !self.service.faults.is_empty() {
            return None;
        }
        let data_dir = self.data_dir.as_ref().ok().map(|own| (&own.origin, own.text.as_str()));
        let hides = |note: &&NotUnderstood| match &note.hides {
            Hidden::All => true,
            Hidden::Script => false,
            Hidden::Word(word) => is_part(word, data_dir),
            Hidden::Variable(name) => ["config", "data-dir"].iter().any(|flag| {
                let flag = flags::of_any_minor(self.role, flag);
                flag.is_some_and(|flag| flag.env.contains(name))
            }),
        };
        self.hidden_config_name().or_else(|| self.service.not_understood.iter().find(hides))
    }

    /// Returns what hides a part of the name of the configuration file: not even its folder is known.
    #[must_use]
    pub fn hidden_config_name(&self) -> Option<&NotUnderstood> {
        let config = self.config.as_ref().ok().map(|config| (&config.origin, config.text.as_str()));
        self.service.not_understood.iter().find(|note| match &note.hides {
            Hidden::Word(word) => is_part(word, config),
            Hidden::All | Hidden::Script | Hidden::Variable(_) => false,
        })
    }
}

/// Tells whether a word of the service names something.
fn is_part(word: &str, named: Option<(&Option<ValueOrigin>, &str)>) -> bool {
    named.is_some_and(|(origin, text)| matches!(origin, Some(ValueOrigin::Service(_))) && word.contains(text))
}

/// Splits what K3s refuses from what cannot be read.
fn refused<T>(result: Result<T>) -> Result<Result<T>> {
    match result {
        Err(error) if error.kind() != ErrorKind::BadInput => Err::<_, Error>(error),
        other => Ok(other),
    }
}
