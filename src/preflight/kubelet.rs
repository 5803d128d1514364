// SPDX-License-Identifier: Apache-2.0
//! The files of the kubelet's configuration: the one and the folder that the kubelet's arguments `config` and `config-dir`
//! name, and the user's drop-ins in K3s's own folder. What the kubelet refuses in one of them ends it, and K3s with it.

use super::apiserver::{in_file, look};
use super::{Finding, arguments as component_arguments, kubelet_serving};
use crate::error::{Place, Result};
use crate::k3s::arguments;
use crate::k3s::kubelet::{self, KubeletSource};
use crate::k3s::{ComponentArgument, NodeConfig};
use crate::kubernetes::authentication_values::has_certificate;
use crate::kubernetes::flag_values::boolean;
use crate::kubernetes::gate_flag::{self, GateFault};
use crate::kubernetes::kubelet_documents::{self, DocumentRole, KubeletDocument, MergedDocuments};
use crate::kubernetes::kubelet_fields::{self, DecodedFields};
use crate::kubernetes::kubelet_settings::{KubeletFlag, KubeletSettings, SettingOrigin};
use crate::kubernetes::object::{Fault, MAX_FAULTS, Position};
use crate::kubernetes::settings::RefusedSetting;
use crate::kubernetes::value_judgement;
use crate::kubernetes::yaml::{self, YamlNode, YamlValue};
use crate::node::RootedPath;
use crate::version::KubernetesMinor;

const NAME: &str = "kubelet";
const KIND: &str = "KubeletConfiguration";
/// The argument and the field that name the authorities of clients.
const CLIENT_CA: (&str, &str) = ("client-ca-file", "authentication.x509.clientCAFile");

/// The argument that names a folder of drop-ins.
const FOLDER: &str = "config-dir";
/// The minors that take it only where a variable is set (cmd/kubelet/app/server.go).
const FOLDER_WITH_VARIABLE: (KubernetesMinor, KubernetesMinor) =
    (KubernetesMinor::new(28), KubernetesMinor::new(29));
const FOLDER_VARIABLE: &str = "KUBELET_CONFIG_DROPIN_DIR_ALPHA";

/// The documents of the user, merged with K3s's own.
struct UserDocuments {
    merged: MergedDocuments,
    /// The file of each document; none for what K3s writes.
    files: Vec<Option<RootedPath>>,
    findings: Vec<Finding>,
    /// What K3s cannot copy at its next start: the check of the kubelet's arguments says so.
    uncopied: Vec<Finding>,
    /// Whether one of them ends the kubelet.
    stopped: bool,
}

pub(super) fn check(node: &NodeConfig<'_>) -> Result<Vec<Finding>> {
    if !node.runs(NAME) {
        return Ok(Vec::new());
    }
    let documents = UserDocuments::read(node)?;
    let mut findings = documents.findings.clone();
    findings.extend(folder_refused(node));
    let given = node.arguments(NAME);
    let has_files = documents.files.iter().flatten().next().is_some();
    // What K3s gives the kubelet itself is fine.
    if documents.stopped || !has_files && given.is_empty() {
        return Ok(findings);
    }
    let decoded = kubelet_fields::decode(documents.merged.root(), node.minor());
    for fault in decoded.unknown.iter().take(MAX_FAULTS) {
        findings.extend(documents.at(fault.position, unknown_field(fault, node.minor())));
    }
    findings.extend(values(node, &documents, &decoded));
    findings.extend(client_ca(node, &documents, &decoded)?);
    findings.extend(kubelet_serving::check(node, &decoded, &|position| documents.place(position))?);
    findings.extend(of_machine(node, &documents, &decoded));
    Ok(findings)
}

/// Returns the finding for a folder of drop-ins that a minor takes only with a variable in its environment.
fn folder_refused(node: &NodeConfig<'_>) -> Option<Finding> {
    let (from, until) = FOLDER_WITH_VARIABLE;
    let folder = node.flag(NAME, FOLDER).filter(|folder| !folder.is_empty())?;
    let place = node.place_of(NAME, FOLDER)?;
    let is_set = node.service.environment().any(|(name, _)| name == FOLDER_VARIABLE);
    if is_set || !node.minor().is_within(Some(from), Some(until)) {
        return None;
    }
    let message = format!(
        "the kubelet of {} does not take {FOLDER} without {FOLDER_VARIABLE} in its environment",
        node.minor()
    );
    let remedy = format!("remove it, or set {FOLDER_VARIABLE} in the environment of K3s's service");
    let says = format!(
        "flag {folder} specified but environment variable {FOLDER_VARIABLE} not set, cannot start kubelet"
    );
    Some(Finding::stops("argument-refused", message, remedy).at(place).says(says))
}

/// Returns what the kubelet refuses in its documents and its arguments, whatever is in the other files that they name;
/// `at_next_start` asks also what K3s then cannot copy for it.
///
/// # Errors
/// A folder that cannot be read.
pub(super) fn refused_values(node: &NodeConfig<'_>, at_next_start: bool) -> Result<Vec<Finding>> {
    let documents = UserDocuments::read(node)?;
    let mut findings = documents.findings.clone();
    if at_next_start {
        findings.extend(documents.uncopied.iter().cloned());
    }
    if !documents.stopped {
        let decoded = kubelet_fields::decode(documents.merged.root(), node.minor());
        findings.extend(values(node, &documents, &decoded));
    }
    Ok(findings)
}

/// Returns what the kubelet refuses in its settings: types, feature gates, values and pairs of values.
fn values(node: &NodeConfig<'_>, documents: &UserDocuments, decoded: &DecodedFields) -> Vec<Finding> {
    let types = decoded.faults.iter().take(MAX_FAULTS).filter_map(|fault| {
        let finding = Finding::stops("kubelet-type", fault.message.clone(), "write a value of that type")
            .in_newer_minors_too()
            .says(format!("failed to unmarshal merged JSON: json: cannot unmarshal: {}", fault.message));
        documents.at(fault.position, finding)
    });
    let mut findings: Vec<Finding> = types.collect();
    findings.extend(gates(node, documents, decoded));
    findings.extend(refused(node, documents, decoded));
    findings
}

/// Returns the fields of the files of which only the running machine tells whether the kubelet takes them. A field counts
/// where the kubelet does not get its argument.
fn of_machine(node: &NodeConfig<'_>, documents: &UserDocuments, decoded: &DecodedFields) -> Vec<Finding> {
    let flags = node.flags(NAME);
    let given = |field: &str| flags.iter().any(|(name, _)| kubelet_fields::of_flag(name) == Some(field));
    let mut findings = Vec::new();
    for (field, value) in &decoded.fields {
        let Some(what) = value_judgement::of_machine(KIND, field).filter(|_| !given(field)) else { continue };
        let message = format!("the value of the kubelet's {field} is judged as a text only: {what}");
        let finding = Finding::not_judged("argument-not-judged", message, "look at it by hand");
        findings.extend(documents.at(value.position, finding).filter(|_| !value.go_text().is_empty()));
    }
    findings
}

/// Returns what the kubelet refuses in its settings, at the argument or in the file that gives the value in force.
fn refused(node: &NodeConfig<'_>, documents: &UserDocuments, decoded: &DecodedFields) -> Vec<Finding> {
    let given = node.arguments(NAME);
    let taken = |argument: &ComponentArgument| arguments::as_component_takes(NAME, &argument.text).0;
    let names: Vec<String> = given.iter().map(taken).collect();
    let flag = |(name, text): &(String, String)| KubeletFlag {
        is_own: !names.contains(name),
        name: name.clone(),
        text: text.clone(),
    };
    let flags: Vec<KubeletFlag> = node.flags(NAME).iter().map(flag).collect();
    let is_own = |position: Position| documents.place(position).is_none();
    let settings = KubeletSettings::new(decoded, &flags, node.minor(), &is_own);
    let finding = |(refused, origin): (RefusedSetting, SettingOrigin)| {
        let (code, name, place) = match origin {
            SettingOrigin::Flag(name) => {
                let at = names.iter().rposition(|known| *known == name)?;
                (refused.code, Some(name), given[at].place.clone())
            }
            SettingOrigin::Field(position) => ("kubelet-value", None, documents.place(position)?),
        };
        // A longer name may begin with the setting's.
        let is_whole = |behind: &str| !behind.starts_with(|letter: char| letter.is_ascii_alphanumeric());
        let shown = |text: &str| match (&name, text.split_once(refused.setting.as_str())) {
            (Some(name), Some((before, behind))) if is_whole(behind) => format!("{before}{name}{behind}"),
            _ => text.to_owned(),
        };
        let message = shown(&refused.message);
        let finding = match refused.is_up_to_machine {
            false => {
                let message = format!("the kubelet refuses it: {message}");
                let finding = Finding::stops(code, message, shown(&refused.write));
                Finding { holds_later: !refused.rests_on_names, ..finding }
            }
            true => {
                let message = format!("whether the kubelet takes it depends on the machine: {message}");
                Finding::unknown("kubelet-machine", message, shown(&refused.write))
            }
        };
        Some(finding.says(refused.says).at(place))
    };
    settings.refused(node.minor()).into_iter().filter_map(finding).take(MAX_FAULTS).collect()
}

/// Returns what is wrong with the feature gates of the files. The argument adds to them, and is checked with the arguments.
fn gates(node: &NodeConfig<'_>, documents: &UserDocuments, decoded: &DecodedFields) -> Vec<Finding> {
    let gates = match decoded.fields.get("featureGates").map(|node| &node.value) {
        Some(YamlValue::Map(gates)) => gates.as_slice(),
        _ => &[],
    };
    let gates: Vec<(String, &YamlNode)> = gates.iter().map(|(name, value)| (name.go_text(), value)).collect();
    let texts: Vec<String> =
        gates.iter().map(|(name, value)| format!("{name}={}", value.go_text())).collect();
    let faults = gate_flag::faults(NAME, node.minor(), &[&texts.join(",")]);
    let finding = |(_, fault): (usize, GateFault)| {
        let named = gates.iter().find(|(name, _)| fault.gate() == Some(name.as_str())).or(gates.last());
        let (name, value) = named?;
        if let GateFault::Changes { name, change } = &fault {
            return documents.at(value.position, component_arguments::next_gate(node, NAME, name, *change));
        }
        let wanted = fault.wanted(node.minor().judged());
        let message = format!("featureGates.{name} is {}; it must be {wanted}", value.go_text());
        let finding = Finding::stops("kubelet-value", message, fault.remedy()).says(fault.message());
        let holds_later = component_arguments::holds_later(&fault);
        documents.at(value.position, Finding { holds_later, ..finding })
    };
    faults.into_iter().filter_map(finding).take(MAX_FAULTS).collect()
}

/// Checks the file of the authorities of clients that a field names. The argument's is checked with other files of arguments.
fn client_ca(
    node: &NodeConfig<'_>,
    documents: &UserDocuments,
    decoded: &DecodedFields,
) -> Result<Option<Finding>> {
    let (argument, field) = CLIENT_CA;
    // Without drop-ins of its own, K3s gives the argument itself.
    let is_argument = node.flags(NAME).iter().any(|(name, _)| name == argument);
    let Some(value) = decoded.fields.get(field).filter(|_| !is_argument) else { return Ok(None) };
    let text = value.go_text();
    let Some(place) = documents.place(value.position).filter(|_| !text.is_empty()) else { return Ok(None) };
    let path = node.path(&text)?;
    if node.creates(&path) {
        return Ok(None);
    }
    let (what, says) = match look(node, &path)?.into_bytes(&path) {
        Err(missing) => (missing.what, missing.error),
        Ok(bytes) if !has_certificate(&String::from_utf8_lossy(&bytes)) => {
            ("has no certificate", "data does not contain any valid RSA or ECDSA certificates".to_owned())
        }
        Ok(_) => return Ok(None),
    };
    let message = format!("{path}, which the kubelet's {field} names, {what}");
    let finding =
        Finding::stops("kubelet-file-missing", message, "write certificates into it, or remove the name");
    Ok(Some(finding.says(says).at(place)))
}

/// Tells whether the kubelet only checks kernel parameters, by its files and K3s's own key; none if a file ends the kubelet
/// or cannot be read.
pub(super) fn protects_kernel_defaults(node: &NodeConfig<'_>) -> Option<bool> {
    let documents = UserDocuments::read(node).ok().filter(|documents| !documents.stopped)?;
    let decoded = kubelet_fields::decode(documents.merged.root(), node.minor());
    let field = decoded.fields.get("protectKernelDefaults").and_then(|value| boolean(&value.go_text()));
    // Without a folder of drop-ins K3s's own key becomes an argument, which counts more than a file.
    let is_argument = kubelet::default_config(node.minor(), &node.data_dir).is_none();
    Some(field == Some(true) || (is_argument && node.is_on("protect-kernel-defaults")))
}

impl UserDocuments {
    fn read(node: &NodeConfig<'_>) -> Result<Self> {
        let arguments = node.written_arguments(NAME);
        let arguments: Vec<&str> = arguments.iter().map(|argument| argument.text.as_str()).collect();
        let protects = node.is_on("protect-kernel-defaults");
        let sources = kubelet::sources(node.root, &node.data_dir, node.minor(), &arguments, protects)?;
        let mut documents = Self {
            merged: MergedDocuments::default(),
            files: Vec::new(),
            findings: Vec::new(),
            uncopied: Vec::new(),
            stopped: false,
        };
        for source in sources {
            match source {
                KubeletSource::Own(text) => {
                    if let Ok(Some(root)) = yaml::read(text.as_bytes()) {
                        documents.add(root, None);
                    }
                }
                KubeletSource::ConfigFile(path) => {
                    documents.add_file(node, path, DocumentRole::ConfigFile)?;
                }
                KubeletSource::DropIn(path) => documents.add_file(node, path, DocumentRole::DropIn)?,
                KubeletSource::MissingFolder(path) => documents.stop(
                    "kubelet-folder-missing",
                    format!("{path}, which the kubelet's config-dir names, does not exist"),
                    "make the folder, or remove the argument",
                    (node, "config-dir", &path),
                    format!("lstat {path}: no such file or directory"),
                ),
            }
        }
        Ok(documents)
    }

    fn add(&mut self, root: YamlNode, file: Option<RootedPath>) {
        self.merged.add(root);
        self.files.push(file);
    }

    fn add_file(&mut self, node: &NodeConfig<'_>, path: RootedPath, role: DocumentRole) -> Result<()> {
        let bytes = match look(node, &path)?.into_bytes(&path) {
            Ok(bytes) => bytes,
            Err(missing) => {
                self.stop(
                    "kubelet-file-missing",
                    format!("{path}, which the kubelet reads, {}", missing.what),
                    "create the file, or remove the argument or the link that names it",
                    (node, "config", &path),
                    missing.error,
                );
                return Ok(());
            }
        };
        match kubelet_documents::read(&bytes, role, node.minor()) {
            Ok(document) => {
                self.findings.extend(effect(&path, &document));
                let unknown = document.unknown.iter().take(MAX_FAULTS);
                let dropped =
                    |fault: &Fault| unknown_field(fault, node.minor()).at(in_file(&path, fault.position));
                self.findings.extend(unknown.map(dropped));
                self.add(document.root, Some(path));
            }
            Err(fault) => {
                self.stopped = true;
                let finding = Finding::stops(
                    "kubelet-file",
                    fault.message.clone(),
                    "write apiVersion: kubelet.config.k8s.io/v1beta1, kind: KubeletConfiguration, and each key once",
                );
                let says =
                    format!("failed to load kubelet config file, path: {path}, error: {}", fault.message);
                self.findings.push(finding.at(in_file(&path, fault.position)).says(says));
            }
        }
        Ok(())
    }

    /// Adds a finding at the argument that names a path, or, if none does, at the path.
    fn stop(
        &mut self,
        code: &'static str,
        message: String,
        remedy: &str,
        (node, argument, path): (&NodeConfig<'_>, &str, &RootedPath),
        says: String,
    ) {
        self.stopped = true;
        let written = node.written_arguments(NAME);
        let texts: Vec<&str> = written.iter().map(|given| given.text.as_str()).collect();
        let is_named = |text: &str| node.path(text).is_ok_and(|named| named == *path);
        let mut items = arguments::kubelet_items(&texts).into_iter();
        let is_copied = kubelet::takes_pairs(node.minor())
            && items.any(|item| item.name == argument && item.value.is_some_and(is_named));
        let is_called = |text: &str| arguments::as_component_takes(NAME, text).0 == argument;
        let mut names = written.iter().rev().filter(|given| is_called(&given.text));
        let named = names.find(|given| is_named(&given.value));
        let place = match named {
            Some(given) => given.place.clone(),
            None => in_file(path, (1, 1)),
        };
        let found = if is_copied { &mut self.uncopied } else { &mut self.findings };
        found.push(Finding::stops(code, message, remedy).at(place).says(says));
    }

    /// Adds the place of a merged value to a finding; none for a value of K3s's own.
    fn at(&self, position: Position, finding: Finding) -> Option<Finding> {
        Some(finding.at(self.place(position)?))
    }

    /// Returns the place of a merged value; none for a value of K3s's own.
    fn place(&self, position: Position) -> Option<Place> {
        let (document, position) = MergedDocuments::place(position);
        Some(in_file(self.files.get(document)?.as_ref()?, position))
    }
}

/// Returns the finding for a field that the kubelet of a minor does not know.
fn unknown_field(fault: &Fault, minor: KubernetesMinor) -> Finding {
    let message = format!("{}: the kubelet of {} silently ignores it", fault.message, minor.judged());
    Finding::hardens_nothing("kubelet-field", message, "write the name of a field of KubeletConfiguration")
}

/// Returns what has no effect in a document that the kubelet takes.
fn effect(path: &RootedPath, document: &KubeletDocument) -> Vec<Finding> {
    let twice = document.dropped.iter().map(|fault| {
        let message = format!("{}: the kubelet takes the last", fault.message);
        Finding::warns("kubelet-key-twice", message, "keep one of them").at(in_file(path, fault.position))
    });
    let mut findings: Vec<Finding> = twice.collect();
    if let Some(position) = document.second_document {
        let message = "a second document is ignored";
        let finding = Finding::hardens_nothing(
            "kubelet-second-document",
            message,
            "move everything into the first document",
        );
        findings.push(finding.at(in_file(path, position)));
    }
    findings
}
