//! The configuration file that kube-scheduler's argument `config` names.

use super::Finding;
use super::apiserver::{FileAt, in_file, look};
use crate::error::Result;
use crate::k3s::NodeConfig;
use crate::k3s::arguments;
use crate::kubernetes::component_flags;
use crate::kubernetes::object::{Fault, MAX_FAULTS, Position};
use crate::kubernetes::scheduler_config;
use crate::kubernetes::scheduler_outcome::{SchedulerConfig, SchedulerRefusal};
use crate::kubernetes::settings::{ComponentSettings, RefusedSetting};
use crate::node::RootedPath;

const NAME: &str = "kube-scheduler";
/// The argument that names the file.
const FLAG: &str = "config";

pub(super) fn check(node: &NodeConfig<'_>) -> Result<Vec<Finding>> {
    let Some(file) = ComponentFile::read(node, NAME)? else { return Ok(Vec::new()) };
    let findings = match &file.bytes {
        Err(finding) => vec![finding.clone()],
        Ok(bytes) => match scheduler_config::read(bytes, node.minor(), &file.flags) {
            Ok(config) => judged(node, &file, &config)?,
            Err(refusal) => {
                let (code, remedy) = match refusal.reason {
                    SchedulerRefusal::Syntax => ("scheduler-syntax", "write the value as the field takes it"),
                    SchedulerRefusal::Version => (
                        "scheduler-version",
                        "write an apiVersion that this minor has (kubescheduler.config.k8s.io/v1 from 1.25), and kind: KubeSchedulerConfiguration",
                    ),
                    SchedulerRefusal::Field => {
                        ("scheduler-field", "write the field as Kubernetes does, once")
                    }
                };
                vec![file.stops(code, &refusal.fault, remedy)]
            }
        },
    };
    Ok(match node.running().waits_for_node(NAME) {
        true => findings.into_iter().map(Finding::once_a_node_joins).collect(),
        false => findings,
    })
}

/// Returns the findings about a configuration that the scheduler decodes.
fn judged(node: &NodeConfig<'_>, file: &ComponentFile, config: &SchedulerConfig) -> Result<Vec<Finding>> {
    let refused = config.refused.iter().take(MAX_FAULTS);
    let mut findings: Vec<Finding> =
        refused.map(|(one, position)| file.refuses("scheduler-value", one, *position)).collect();
    let faults = config.faults.iter().take(MAX_FAULTS);
    findings
        .extend(faults.map(|fault| file.stops("scheduler-profile", fault, "write it as the message says")));
    for named in &config.files {
        findings.extend(file.missing(node, "scheduler-file", &named.value, named.position)?);
    }
    match &config.kubeconfig {
        Some(named) => {
            findings.extend(file.missing(node, "scheduler-kubeconfig", &named.value, named.position)?);
        }
        None if file.flags.text("master").is_none_or(|master| master.is_empty()) => {
            let message = "clientConnection.kubeconfig is missing, and the argument kubeconfig does not count beside config: \
                           invalid configuration: no configuration has been provided";
            let kubeconfig = node.data_dir.join("server/cred/scheduler.kubeconfig");
            let remedy = format!("write clientConnection.kubeconfig: {kubeconfig}");
            findings.push(file.stops("scheduler-kubeconfig", &Fault::new((1, 1), message), &remedy));
        }
        None => {}
    }
    if let Some(position) = config.second_document {
        findings.push(file.second_document("scheduler-second-document", position));
    }
    Ok(findings)
}

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
    place: crate::error::Place,
}

impl ComponentFile {
    /// Reads the file that a component's argument `config` names; none if the component does not run, or if the user names
    /// none.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(super) fn read(node: &NodeConfig<'_>, component: &'static str) -> Result<Option<Self>> {
        let Some(flags) =
            node.effective.as_ref().ok().and_then(|effective| effective.components.get(component))
        else {
            return Ok(None);
        };
        let pairs: Vec<_> = flags.iter().map(|flag| arguments::as_component_takes(component, flag)).collect();
        let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let flags = component_flags::settings(component, node.minor(), pairs);
        let named = flags.text(FLAG).filter(|text| !text.is_empty());
        let (Some(text), Some(place)) = (named, node.place_of(component, FLAG)) else { return Ok(None) };
        let path = node.path(&text)?;
        let found = look(node, &path)?;
        let (code, remedy) = match found {
            FileAt::Directory => ("argument-file-directory", "name a file"),
            _ => ("argument-file-missing", "write it, or remove the argument"),
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

    /// Returns the finding for a second document, which nobody reads.
    pub(super) fn second_document(&self, code: &'static str, position: Position) -> Finding {
        super::apiserver::second_document(code, &self.path, position, "put everything into the first")
    }
}
