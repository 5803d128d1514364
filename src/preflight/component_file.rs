// SPDX-License-Identifier: Apache-2.0
//! The configuration file that the argument `config` of a component names.

use super::apiserver::{FileAt, in_file, look, second_document};
use super::{Finding, argument_files};
use crate::error::{Place, Result};
use crate::k3s::NodeConfig;
use crate::kubernetes::argument_files::FileContent;
use crate::kubernetes::object::{Fault, Located, Position};
use crate::kubernetes::settings::{ComponentSettings, RefusedSetting};
use crate::node::RootedPath;

/// The argument that names the file.
const FLAG: &str = "config";

/// The configuration file of a component.
pub(super) struct ComponentFile {
    /// The component.
    pub(super) component: &'static str,
    /// The file.
    pub(super) path: RootedPath,
    /// Its bytes, or the finding if it is no file.
    pub(super) bytes: std::result::Result<Vec<u8>, Finding>,
    /// The component's arguments.
    pub(super) flags: ComponentSettings,
    /// Where the argument stands that names the file.
    place: Place,
}

impl ComponentFile {
    /// Reads the file that a component's argument `config` names; none if the component does not run, or if the user names
    /// none.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(super) fn read(node: &NodeConfig<'_>, component: &'static str) -> Result<Option<Self>> {
        let flags = node.settings(component);
        let named = flags.text(FLAG).filter(|text| !text.is_empty());
        let (Some(text), Some(place)) = (named, node.place_of(component, FLAG)) else { return Ok(None) };
        let path = node.path(&text)?;
        let found = look(node, &path)?;
        let (code, remedy) = match found {
            FileAt::Directory => ("argument-file-directory", "name a file"),
            _ => ("argument-file-missing", "create the file, or remove the argument"),
        };
        let bytes = found.into_bytes(&path).map_err(|missing| {
            let message = format!("{path}, which {component}'s {FLAG} names, {}", missing.what);
            let finding = Finding::stops(code, message, remedy);
            finding.at(place.clone()).says(missing.error)
        });
        Ok(Some(Self { component, path, bytes, flags, place }))
    }

    /// Returns the finding for a fault in the file.
    pub(super) fn stops(&self, code: &'static str, fault: &Fault, remedy: &str) -> Finding {
        let message = format!("{} refuses it: {}", self.component, fault.message);
        let finding = Finding::stops(code, message, remedy).says(fault.message.clone());
        finding.at(in_file(&self.path, fault.position))
    }

    /// Returns the finding for a setting that the component refuses; without a position it stands at the argument.
    pub(super) fn refuses(
        &self,
        code: &'static str,
        refused: &RefusedSetting,
        position: Option<Position>,
    ) -> Finding {
        let message = format!("{} refuses it: {}", self.component, refused.message);
        let finding = Finding::stops(code, message, refused.write.clone()).says(refused.says.clone());
        let finding = Finding { holds_later: !refused.rests_on_names, ..finding };
        finding.at(position.map_or_else(|| self.place.clone(), |position| in_file(&self.path, position)))
    }

    /// Returns the finding for a file that a field names and that is not there. K3s writes its own at its start.
    ///
    /// # Errors
    /// A path that cannot be read.
    pub(super) fn missing(
        &self,
        node: &NodeConfig<'_>,
        code: &'static str,
        text: &str,
        position: Position,
    ) -> Result<Option<Finding>> {
        let path = node.path(text)?;
        if node.creates(&path) {
            return Ok(None);
        }
        let missing = look(node, &path)?.into_bytes(&path).err();
        Ok(missing.map(|missing| {
            let message = format!("{path}, which the file names, {}: {}", missing.what, missing.error);
            self.stops(code, &Fault::new(position, message), "write it, or name another file")
        }))
    }

    /// Returns the finding for the kubeconfig that a field names: it is not there, or nobody can make a client of it.
    ///
    /// # Errors
    /// As [`Self::missing`].
    pub(super) fn kubeconfig(
        &self,
        node: &NodeConfig<'_>,
        code: &'static str,
        named: &Located<String>,
    ) -> Result<Option<Finding>> {
        if let Some(finding) = self.missing(node, code, &named.value, named.position)? {
            return Ok(Some(finding));
        }
        let setting = ("clientConnection.kubeconfig", named.value.as_str());
        let found = argument_files::content(node, self.component, setting, FileContent::Kubeconfig)?;
        let has_server = self.flags.text("master").is_some_and(|master| !master.is_empty());
        Ok(found.map(|finding| {
            let finding = match has_server {
                true => {
                    let message = format!("{}; not checked: whether master is used instead", finding.message);
                    Finding::unknown(code, message, finding.remedy)
                }
                false => Finding { code, ..finding },
            };
            finding.at(in_file(&self.path, named.position))
        }))
    }

    /// Returns the finding for a second document, which nobody reads.
    pub(super) fn second_document(&self, code: &'static str, position: Position) -> Finding {
        second_document(code, &self.path, position, "move everything into the first document")
    }
}
