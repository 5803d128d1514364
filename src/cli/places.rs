// SPDX-License-Identifier: Apache-2.0
//! Where K3s reads and writes on a node: its configuration file and its data directory, in the role that it is started in.

use super::data_dir;
use crate::Role;
use crate::document::{self, ExistingConfig};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::k3s::{self, ConfigFile, DataDir, K3sStart};
use crate::node::Root;
use crate::version::K3sRelease;

/// The places of K3s on a node.
#[derive(Debug)]
pub(super) struct NodePlaces {
    /// The role that they are for.
    pub(super) role: Role,
    /// How K3s is started in that role.
    pub(super) start: K3sStart,
    /// The configuration file that K3s reads.
    pub(super) config: ConfigFile,
    /// The data directory that K3s uses, whatever the user names.
    pub(super) own_data_dir: DataDir,
    /// The configuration that is there, without the drop-in of k3s-harden.
    pub(super) existing: ExistingConfig,
}

impl NodePlaces {
    /// Finds the places. A role that is not named is that of the services; without a service, what a started K3s has
    /// written in its data directory decides, then the installer, then a server is assumed.
    pub(super) fn find(
        root: &Root,
        release: K3sRelease,
        named: Option<Role>,
        installer: Option<Role>,
    ) -> Result<Self> {
        let first = Self::of_role(root, release, named.unwrap_or(Role::Server))?;
        if named.is_some() {
            return Ok(first);
        }
        match k3s::role(root, &first.own_data_dir.path).or(installer) {
            Some(role) if role != first.role => Self::of_role(root, release, role),
            _ => Ok(first),
        }
    }

    fn of_role(root: &Root, release: K3sRelease, role: Role) -> Result<Self> {
        let start = K3sStart::read(root, role, release)?;
        let config = start.config.clone()?;
        let existing = match &config.path {
            // What cannot be opened holds nothing; that K3s exits is for preflight to say.
            Some(_) if config.fault(root).is_some() => ExistingConfig::default(),
            Some(path) => ExistingConfig::read(root, path, &document::drop_in_path(path))?,
            None => ExistingConfig::default(),
        };
        let own_data_dir = data_dir::of_start(&start, &existing)?;
        Ok(Self { role, start, config, own_data_dir, existing })
    }
}

/// Refuses to write where K3s would not read it. Whoever names the data directory knows how K3s is started.
pub(super) fn check_places(
    start: &K3sStart,
    config: &ConfigFile,
    data_dir: &DataDir,
    is_named: bool,
) -> Result<()> {
    if let Some(note) = start.hidden_config_name() {
        let message = format!("unknown which configuration file K3s reads: {}", note.reason);
        let error = Error::new(ErrorKind::BadInput, message).at(note.place.clone());
        return Err(error.hint("write the name of the file in full"));
    }
    if let Some(note) = start.hidden_places().filter(|_| !is_named) {
        let message =
            format!("unknown which configuration file and data directory K3s uses: {}", note.reason);
        return Err(Error::new(ErrorKind::BadInput, message)
            .at(note.place.clone())
            .hint("start K3s as its installer does: put the program, command and flags directly into ExecStart= or command_args")
            .hint(format!(
                "or pass its data directory: --data-dir {}; the drop-in is then written next to {}",
                data_dir.path,
                config.path_or_default()
            )));
    }
    if config.path.is_none() {
        let message = match config.text.as_str() {
            "" => "K3s reads no configuration file here, so the managed settings would have no effect: the file name is empty".to_owned(),
            url => format!("K3s reads no configuration file here, so the managed settings would have no effect: K3s does not download {url}"),
        };
        return Err(at(Error::new(ErrorKind::BadInput, message), config.place()).hint(
            "set the path of a local file, or remove the name: K3s then reads /etc/rancher/k3s/config.yaml",
        ));
    }
    config.path_or_default().check_chosen().map_err(|error| at(error, config.place()))?;
    data_dir.path.check_chosen().map_err(|error| at(error, data_dir.place()))?;
    data_dir.uncertain().map_or(Ok(()), Err)
}

fn at(error: Error, place: Option<Place>) -> Error {
    match place {
        Some(place) => error.at(place),
        None => error,
    }
}
