// SPDX-License-Identifier: Apache-2.0
//! The files that arguments of components name: whether they are there, and whether they hold what the component reads.
//! Data: data/argument-files.yaml.

use super::Finding;
use super::apiserver::{FileAt, look};
use super::made_folder::FolderObstacle;
use crate::error::{Place, Result};
use crate::k3s::{NodeConfig, arguments};
use crate::kubernetes::argument_files::{self, ArgumentFiles, FileContent, KeyedPair, PairFolder};
use crate::kubernetes::certificates;
use crate::kubernetes::kubeconfig::ReferredFile;
use crate::kubernetes::settings::{ComponentSettings, TypedValue};
use crate::node::RootedPath;

const CONTENT: &str = "argument-file-content";

/// A component and what it gets.
struct Component<'a> {
    node: &'a NodeConfig<'a>,
    name: &'a str,
    settings: ComponentSettings,
    given: Vec<(String, Place)>,
}

/// A file that an argument names.
enum NamedFile {
    /// K3s makes it before the component starts.
    Coming(RootedPath),
    Here(RootedPath, Vec<u8>),
}

impl NamedFile {
    fn path(&self) -> &RootedPath {
        match self {
            Self::Coming(path) | Self::Here(path, _) => path,
        }
    }
}

/// Tells whether K3s makes a certificate and a key for each other: it leaves their names the same, but for a certificate
/// without those that signed it.
fn is_pair_of_k3s(certificate: &RootedPath, key: &RootedPath) -> bool {
    let certificate = certificate.as_str().strip_suffix(".crt");
    let certificate = certificate.map(|name| name.strip_suffix(".nochain").unwrap_or(name));
    certificate.is_some() && certificate == key.as_str().strip_suffix(".key")
}

/// Checks the files that the arguments of a running component name.
pub(super) fn check(node: &NodeConfig<'_>, component: &str) -> Result<Vec<Finding>> {
    let given = node.arguments(component);
    let Some(files) = argument_files::of(component) else { return Ok(Vec::new()) };
    // K3s's own files are fine.
    if given.is_empty() {
        return Ok(Vec::new());
    }
    let settings = node.settings(component);
    let given = given
        .into_iter()
        .map(|argument| (arguments::as_component_takes(component, &argument.text).0, argument.place));
    let component = Component { node, name: component, settings, given: given.collect() };
    component.check(files)
}

/// Returns what is wrong with the file that a setting names, which need not be an argument: it is not there.
pub(super) fn missing(
    node: &NodeConfig<'_>,
    component: &str,
    (setting, text): (&str, &str),
) -> Result<Option<Finding>> {
    Component::without_arguments(node, component).missing(setting, text)
}

/// Returns what is wrong with the files of a certificate and its key that settings name, which need not be arguments.
pub(super) fn keyed(
    node: &NodeConfig<'_>,
    component: &str,
    certificate: (&str, &str),
    key: (&str, &str),
) -> Result<Option<Finding>> {
    Component::without_arguments(node, component).keyed(certificate, key)
}

/// Returns what is wrong with the file that a setting names, which need not be an argument: it is not there, or it holds
/// something else.
pub(super) fn content(
    node: &NodeConfig<'_>,
    component: &str,
    (setting, text): (&str, &str),
    content: FileContent,
) -> Result<Option<Finding>> {
    Component::without_arguments(node, component).content(setting, text, content)
}

impl<'a> Component<'a> {
    fn without_arguments(node: &'a NodeConfig<'a>, name: &'a str) -> Self {
        Self { node, name, settings: ComponentSettings::default(), given: Vec::new() }
    }

    fn check(&self, files: &ArgumentFiles) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for (flag, content) in &files.files {
            let is_read = self.reads(files, flag);
            let Some(place) = self.place(flag).filter(|_| is_read) else { continue };
            for text in self.texts(flag) {
                let found = self.content(flag, &text, *content)?;
                let found = found.map(|finding| self.without_override(files, flag, finding));
                findings.extend(found.map(|finding| finding.at(place.clone())));
            }
        }
        for pair in files.pairs.iter().filter(|pair| self.reads_pair(pair)) {
            findings.extend(self.pair(files, pair)?);
        }
        for (flag, folder) in &files.folders {
            let pair = files.pairs.iter().find(|pair| pair.certificate == folder.certificate);
            if let Some(pair) = pair.filter(|pair| self.has_port(pair)) {
                findings.extend(self.folder(flag, folder, pair)?);
            }
        }
        if !self.serves() {
            return Ok(findings);
        }
        for flag in &files.keyed {
            let Some(place) = self.place(flag) else { continue };
            for item in self.texts(flag) {
                let Some((certificate, key)) = item.split_once(',') else { continue };
                for text in [certificate, key] {
                    findings.extend(self.missing(flag, text)?.map(|finding| finding.at(place.clone())));
                }
                let found = self.keyed((flag, certificate), (flag, key))?;
                findings.extend(found.map(|finding| finding.at(place.clone())));
            }
        }
        Ok(findings)
    }

    /// Tells whether the component opens the file of an argument.
    fn reads(&self, files: &ArgumentFiles, flag: &str) -> bool {
        let is_off = |other: &String| self.settings.value(other).is_none_or(TypedValue::is_zero);
        files.unless.get(flag).is_none_or(|other| self.texts(other).is_empty())
            && !files.only_with.get(flag).is_some_and(is_off)
            && files.since.get(flag).is_none_or(|since| self.node.minor() >= *since)
            && (self.serves() || !files.serving.iter().any(|name| name == flag))
    }

    /// Tells whether the component serves: with the port 0 it reads nothing of what serving takes.
    fn serves(&self) -> bool {
        self.settings.value("secure-port").is_none_or(|port| !port.is_zero())
    }

    /// Tells whether the component opens the files of a pair.
    fn reads_pair(&self, pair: &KeyedPair) -> bool {
        if !pair.controller.is_empty() {
            return self.starts_controller(&pair.controller);
        }
        self.has_port(pair) && pair.until.is_none_or(|until| self.node.minor() <= until)
    }

    /// Tells whether the port is open for which a pair is.
    fn has_port(&self, pair: &KeyedPair) -> bool {
        match &pair.port {
            Some(port) => self.settings.value(port).is_some_and(|port| !port.is_zero()),
            None => self.serves(),
        }
    }

    /// Tells whether a controller of these names starts (`IsControllerEnabled` of k8s.io/controller-manager).
    fn starts_controller(&self, names: &[String]) -> bool {
        let listed = self.texts("controllers");
        let mut said = listed.iter().filter_map(|item| {
            let is_on = !item.starts_with('-');
            names.iter().any(|name| name == item.trim_start_matches('-')).then_some(is_on)
        });
        said.next().unwrap_or_else(|| listed.is_empty() || listed.iter().any(|item| item == "*"))
    }

    /// Returns the finding for the folder of a certificate and its key, as `MaybeDefaultWithSelfSignedCerts` reads it
    /// (pkg/server/options/serving.go of k8s.io/apiserver): both files are taken, one is refused, and without them both are
    /// made.
    fn folder(&self, flag: &str, folder: &PairFolder, pair: &KeyedPair) -> Result<Option<Finding>> {
        let is_named = [&pair.certificate, &pair.key].iter().any(|name| !self.texts(name).is_empty());
        let (Some(place), Some(text)) = (self.place(flag), self.texts(flag).pop()) else { return Ok(None) };
        if is_named {
            return Ok(None);
        }
        let file = |ending| format!("{}/{}.{ending}", text.trim_end_matches('/'), folder.pair);
        let (certificate, key) = (file("crt"), file("key"));
        let finding = match (self.is_there(&certificate)?, self.is_there(&key)?) {
            (true, true) => match (self.missing(flag, &certificate)?, self.missing(flag, &key)?) {
                (None, None) => self.keyed((flag, &certificate), (flag, &key))?,
                (one, other) => one.or(other),
            },
            (false, false) => self.cannot_make(flag, &text)?,
            (has_certificate, _) => {
                let (here, missing) = if has_certificate { (certificate, key) } else { (key, certificate) };
                let message =
                    format!("{}'s {flag} holds {here}, but not {missing}, which belongs to it", self.name);
                let finding = Finding::stops(CONTENT, message, "add the other file, or remove this one");
                Some(
                    finding.says(format!(
                        "error reading {missing}, certificate and key must be supplied as a pair"
                    )),
                )
            }
        };
        Ok(finding.map(|finding| finding.at(place)))
    }

    /// Returns the finding for a folder that the component cannot make.
    fn cannot_make(&self, flag: &str, text: &str) -> Result<Option<Finding>> {
        let path = self.node.path(text)?;
        let obstacle = FolderObstacle::find(self.node.root, &path)?;
        Ok(obstacle.map(|FolderObstacle { part, reason }| {
            let message = if part == path {
                format!("{path}, which {}'s {flag} names, is no directory", self.name)
            } else {
                format!("{path}, which {}'s {flag} names, cannot be created in {part}", self.name)
            };
            let says = format!("error creating self-signed certificates: mkdir {part}: {reason}");
            Finding::stops("argument-file-directory", message, "name a directory").says(says)
        }))
    }

    /// Tells whether a file, or anything else that can be opened, is there.
    fn is_there(&self, text: &str) -> Result<bool> {
        Ok(!matches!(look(self.node, &self.node.path(text)?)?, FileAt::Nothing))
    }

    /// Returns where the user sets an argument; none if K3s alone does, or nobody.
    fn place(&self, flag: &str) -> Option<Place> {
        self.given.iter().rev().find(|(name, _)| name == flag).map(|(_, place)| place.clone())
    }

    /// Returns the texts of an argument that are not empty.
    fn texts(&self, flag: &str) -> Vec<String> {
        let texts = match self.settings.value(flag) {
            Some(TypedValue::List(items)) => items.clone(),
            Some(value) => vec![value.text()],
            None => Vec::new(),
        };
        texts.into_iter().filter(|text| !text.is_empty()).collect()
    }

    fn open(&self, text: &str) -> Result<std::result::Result<NamedFile, (RootedPath, &'static str)>> {
        let path = self.node.path(text)?;
        Ok(match look(self.node, &path)? {
            FileAt::File(bytes) => Ok(NamedFile::Here(path, bytes)),
            FileAt::Directory => Err((path, "is a directory")),
            FileAt::Nothing if self.node.creates(&path) => Ok(NamedFile::Coming(path)),
            FileAt::Nothing => Err((path, "does not exist")),
        })
    }

    /// Returns the finding for a file that is not there.
    fn missing(&self, flag: &str, text: &str) -> Result<Option<Finding>> {
        let Err((path, problem)) = self.open(text)? else { return Ok(None) };
        let message = format!("{path}, which {}'s {flag} names, {problem}", self.name);
        let finding = match problem {
            "is a directory" => Finding::stops("argument-file-directory", message, "name a file")
                .says(format!("read {path}: is a directory")),
            _ => Finding::stops("argument-file-missing", message, "create the file, or remove the argument")
                .says(format!("open {path}: no such file or directory")),
        };
        Ok(Some(finding))
    }

    fn content(&self, flag: &str, text: &str, content: FileContent) -> Result<Option<Finding>> {
        let finding = |path: &RootedPath, says: String| {
            let message =
                format!("{path}, which {}'s {flag} names, does not hold {}", self.name, content.wanted());
            Finding::stops(CONTENT, message, format!("name a file with {}", content.wanted())).says(says)
        };
        Ok(match self.open(text)? {
            Ok(NamedFile::Here(path, bytes)) => {
                let folder = path.as_str().rsplit_once('/').map_or("", |(folder, _)| folder);
                let look = |text: &str| self.referred(folder, text);
                content.check(&bytes, &look).err().map(|says| finding(&path, says))
            }
            Ok(NamedFile::Coming(path)) => {
                (!content.fits_name(path.as_str())).then(|| finding(&path, String::new()))
            }
            // Its reader judges a directory.
            Err((_, "is a directory")) if content == FileContent::Document => None,
            Err(_) => self.missing(flag, text)?,
        })
    }

    /// Returns a finding about the content of a file as one that is not judged where another argument goes before what
    /// the file says.
    fn without_override(&self, files: &ArgumentFiles, flag: &str, finding: Finding) -> Finding {
        match files.overridden.get(flag) {
            Some(other) if finding.code == CONTENT && !self.texts(other).is_empty() => {
                let message = format!("{}; not checked: whether {other} is used instead", finding.message);
                Finding::unknown(CONTENT, message, finding.remedy)
            }
            _ => finding,
        }
    }

    /// Opens a file that another one names, whose folder is where it is sought; one that cannot be read is missing.
    fn referred(&self, folder: &str, text: &str) -> ReferredFile {
        let text = if text.starts_with('/') { text.to_owned() } else { format!("{folder}/{text}") };
        match self.open(&text) {
            Ok(Ok(NamedFile::Here(_, bytes))) => ReferredFile::Here(bytes),
            Ok(Ok(NamedFile::Coming(_))) => ReferredFile::Coming,
            Ok(Err(_)) | Err(_) => ReferredFile::Missing,
        }
    }

    /// Checks a certificate and its key of which the user gives one at least.
    fn pair(&self, files: &ArgumentFiles, pair: &KeyedPair) -> Result<Option<Finding>> {
        let place = self.place(&pair.key).or_else(|| self.place(&pair.certificate));
        let Some(place) = place else { return Ok(None) };
        let (certificate, key) = (self.texts(&pair.certificate), self.texts(&pair.key));
        let finding = match (certificate.first(), key.first()) {
            (Some(certificate), Some(key)) => {
                let mut found = None;
                for (flag, text) in [(&pair.certificate, certificate), (&pair.key, key)] {
                    if found.is_none() && !files.files.contains_key(flag) {
                        found = self.missing(flag, text)?;
                    }
                }
                if found.is_none() && !pair.controller.is_empty() {
                    found = self.several(&pair.certificate, certificate)?;
                }
                match found {
                    None => self.keyed((&pair.certificate, certificate), (&pair.key, key))?,
                    found => found,
                }
            }
            (Some(_), None) if pair.refuses_one => Some(self.alone(&pair.certificate, &pair.key)),
            (None, Some(_)) if pair.refuses_one => Some(self.alone(&pair.key, &pair.certificate)),
            _ => None,
        };
        Ok(finding.map(|finding| finding.at(place)))
    }

    /// Returns the finding for a file of several certificates where one is taken.
    fn several(&self, flag: &str, text: &str) -> Result<Option<Finding>> {
        let Ok(NamedFile::Here(path, bytes)) = self.open(text)? else { return Ok(None) };
        let count = certificates::count(&bytes);
        if count <= 1 {
            return Ok(None);
        }
        let message = format!("{path}, which {}'s {flag} names, holds {count} certificates", self.name);
        let finding = Finding::stops(CONTENT, message, "leave the one that signs");
        Ok(Some(finding.says(format!("expected 1 certificate, found {count}"))))
    }

    fn alone(&self, given: &str, other: &str) -> Finding {
        let message = format!("{}'s {given} requires {other}", self.name);
        Finding::stops("argument-refused", message, format!("name the file of {other}, too"))
    }

    /// Checks the files of a certificate and its key, each with its argument.
    fn keyed(&self, certificate: (&str, &str), key: (&str, &str)) -> Result<Option<Finding>> {
        let (Ok(certificate_file), Ok(key_file)) = (self.open(certificate.1)?, self.open(key.1)?) else {
            return Ok(None);
        };
        let problem = match (&certificate_file, &key_file) {
            (NamedFile::Here(_, certificate), NamedFile::Here(_, key)) => {
                match certificate.is_empty() || key.is_empty() {
                    true => Some("missing content for serving cert".to_owned()),
                    false => certificates::check_pair(certificate, key).err(),
                }
            }
            (one, other) if is_pair_of_k3s(one.path(), other.path()) => None,
            (NamedFile::Coming(_), NamedFile::Coming(_)) => Some(String::new()),
            // K3s makes its own pair: a file of the user's does not belong to it.
            _ => Some("tls: private key does not match public key".to_owned()),
        };
        let Some(says) = problem else { return Ok(None) };
        let names = if certificate.0 == key.0 {
            certificate.0.to_owned()
        } else {
            format!("{} and {}", certificate.0, key.0)
        };
        let message = format!(
            "{} and {}, which {}'s {names} name, are no certificate and its key",
            certificate.1, key.1, self.name
        );
        let finding =
            Finding::stops(CONTENT, message, "name a certificate in PEM and its key, without a password");
        Ok(Some(finding.says(says)))
    }
}
