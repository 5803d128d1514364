// SPDX-License-Identifier: Apache-2.0
//! The files that the user names: settings, profiles and the audit policy.

use std::cell::RefCell;
use std::collections::BTreeMap;

use tracing::{debug, warn};

use crate::error::{Error, ErrorKind, Result};
use crate::node::{PathState, Root, RootedPath, host};
use crate::profile::{MAX_SOURCE_BYTES, Origin, Profile, SETTINGS_FILE, SourceText};

/// What people call the settings file too.
const OTHER_NAME: &str = "/etc/k3s-harden/settings.yml";

/// Opens files that the user names and keeps their texts: on the node they may be missing later.
#[derive(Debug)]
pub(super) struct NamedFiles {
    recorded: BTreeMap<String, String>,
    /// The texts that a saved plan keeps: what it names and does not keep is not opened.
    saved: Option<BTreeMap<String, String>>,
    opened: RefCell<BTreeMap<String, String>>,
}

impl NamedFiles {
    /// Takes the texts that earlier runs `recorded`, by absolute path, or those of a `saved` plan.
    pub(super) fn new(recorded: &BTreeMap<String, String>, saved: Option<&BTreeMap<String, String>>) -> Self {
        Self { recorded: recorded.clone(), saved: saved.cloned(), opened: RefCell::default() }
    }

    /// Returns the texts of all files that were opened, by absolute path.
    pub(super) fn into_texts(self) -> BTreeMap<String, String> {
        self.opened.into_inner()
    }

    /// Reads a file; one that is missing has the text that an earlier run recorded. Of a file that a saved plan names, the
    /// text is the plan's.
    pub(super) fn open(&self, path: &str) -> Result<SourceText> {
        let absolute = host::absolute(path);
        let bytes = match (&self.saved, self.recorded.get(&absolute)) {
            (Some(saved), _) => saved_text(saved, path, &absolute)?.into_bytes(),
            (None, Some(text)) if !host::exists(path) => {
                debug!("{path} does not exist: using the text that an earlier run read");
                text.clone().into_bytes()
            }
            (None, _) => host::read_file(path, MAX_SOURCE_BYTES)?,
        };
        let source = SourceText::new(path, bytes)?;
        self.opened.borrow_mut().insert(absolute, source.text().to_owned());
        Ok(source)
    }

    /// Reads the settings file: the one that is `named`, else the node's own if there is one.
    pub(super) fn settings(&self, named: Option<&str>, root: &Root) -> Result<Option<SourceText>> {
        if let Some(path) = named {
            return self.open(path).map(Some);
        }
        let path = RootedPath::fixed(SETTINGS_FILE);
        let bytes = root.read(&path)?;
        let other = RootedPath::fixed(OTHER_NAME);
        if bytes.is_none() && root.entry(&other)?.is_some() {
            warn!("{} is not read; rename it to {}", root.display(&other), path.name());
        }
        bytes.map(|bytes| SourceText::new(root.display(&path), bytes)).transpose()
    }

    /// Reads the user's own audit policy; a relative path is relative to the file that names it.
    pub(super) fn audit_policy(&self, profile: &Profile, root: &Root) -> Result<Option<SourceText>> {
        let Some(resolved) = profile.values.get("audit_policy_file") else { return Ok(None) };
        let Some(path) = resolved.value.as_str() else { return Ok(None) };
        let beside = |file: &str| match file.rsplit_once('/') {
            Some((folder, _)) if !path.starts_with('/') => format!("{folder}/{path}"),
            _ => path.to_owned(),
        };
        let own_settings = RootedPath::fixed(SETTINGS_FILE);
        let source = match &resolved.origin {
            Origin::Settings(place) if place.file == root.display(&own_settings) => {
                let inside: RootedPath =
                    beside(own_settings.as_str()).parse().map_err(|error: Error| error.at(place.clone()))?;
                let bytes = match root.look(&inside)? {
                    PathState::Absent => None,
                    _ => root.read(&inside)?,
                };
                let missing = || {
                    let message = format!("audit_policy_file: there is no {}", root.display(&inside));
                    Error::new(ErrorKind::BadInput, message).at(place.clone())
                };
                SourceText::new(root.display(&inside), bytes.ok_or_else(missing)?)?
            }
            Origin::Settings(place) | Origin::Profile(place) => self.open(&beside(&place.file))?,
            Origin::Assignment(_) | Origin::Default => self.open(path)?,
        };
        Ok(Some(source))
    }
}

/// Returns the text that a saved plan keeps of a file. If the file is here, it has to have that text still. Nothing of it is
/// quoted: whoever writes a plan may name a file that he may not read.
fn saved_text(saved: &BTreeMap<String, String>, path: &str, absolute: &str) -> Result<String> {
    let again = "save a new plan: `k3s-harden plan --out FILE`";
    let Some(text) = saved.get(absolute) else {
        let message = format!("the saved plan names {path}, and does not hold its text");
        return Err(Error::new(ErrorKind::BadInput, message).hint(again));
    };
    let has_changed = host::exists(path)
        && host::read_file(path, MAX_SOURCE_BYTES).is_ok_and(|bytes| bytes != text.as_bytes());
    if has_changed {
        let message = format!("{path} has changed since the plan was saved; nothing was changed");
        return Err(Error::new(ErrorKind::BadInput, message).hint(again));
    }
    Ok(text.clone())
}
