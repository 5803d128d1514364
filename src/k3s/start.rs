//! How K3s is started on a node: the service, the configuration file, and the command line that K3s makes of both.
//!
//! A run reads it once. What depends on the data directory, which the command line names, is read after it
//! ([`NodeConfig`](super::NodeConfig)).

use super::config_file::ConfigFile;
use super::config_values::ConfigQuery;
use super::data_dir::DataDir;
use super::effective::{self, ReadCommandLine};
use super::node_paths::DEFAULT_DATA_DIR;
use super::service::NodeService;
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
}

impl K3sStart {
    /// Reads how K3s is started in `role`.
    ///
    /// # Errors
    /// If a file cannot be read. That K3s cannot read one, or refuses it, is no error here.
    pub fn read(root: &Root, role: Role, release: K3sRelease) -> Result<Self> {
        let service = NodeService::find(root, role)?;
        let config = refused(ConfigFile::of_service(root, &service, role))?;
        let data_dir = RootedPath::fixed(DEFAULT_DATA_DIR);
        let query = ConfigQuery { role, release, data_dir: &data_dir, words: &[], show_secrets: true };
        let command_line = refused(effective::read_command_line(root, &service, query))?;
        Ok(Self { role, release, service, config, command_line })
    }

    /// Returns the data directory that K3s uses.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] if K3s cannot read its configuration, or a path is not valid.
    pub fn data_dir(&self) -> Result<DataDir> {
        match &self.command_line {
            Ok(read) => DataDir::of_command_line(&self.service, &read.line, self.role, self.release),
            Err(error) => Err(error.clone()),
        }
    }
}

/// Splits what K3s refuses from what cannot be read.
fn refused<T>(result: Result<T>) -> Result<Result<T>> {
    match result {
        Err(error) if error.kind() != ErrorKind::BadInput => Err::<_, Error>(error),
        other => Ok(other),
    }
}
