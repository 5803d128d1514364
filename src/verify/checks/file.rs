// SPDX-License-Identifier: Apache-2.0
//! Checks modes and owners of files.

use super::named_file;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::k3s::kubelet;
use crate::mode::{FileMode, Owner};
use crate::node::{PathState, RootedPath};
use crate::verify::evidence::Evidence;
use crate::verify::facts::NodeFacts;
use crate::verify::rule::{FileName, FileRule, OnMissing};
use crate::verify::rule_result::{AWAITS_START, RuleOutcome, RuleResult};

/// The most files that the evidence lists one by one.
const MAX_LISTED: usize = 5;
/// The most symlinks to directories that `**` follows on the way to a directory.
const MAX_LINKS: usize = 3;

/// The mode of the copies that K3s makes of files (CopyFile in pkg/agent/util of K3s).
const COPY_MODE: &str = "644";

/// The files that a rule is about.
struct RuledFiles {
    /// What K3s's own files, or those that take their place, match; none if there are no such files.
    own: Option<String>,
    /// Whether an argument names the file, and K3s does not make it.
    is_users: bool,
    /// What further files match, each by itself.
    more: Vec<String>,
    /// The copies that K3s makes of further files at its next start.
    copies: Vec<RootedPath>,
    /// What names the files.
    evidence: Vec<Evidence>,
}

impl RuledFiles {
    /// Finds the files.
    fn find(facts: &NodeFacts<'_>, rule: &FileRule) -> Result<Self> {
        let below = |path: &str| match path.starts_with('/') {
            true => path.to_owned(),
            false => format!("{}/{path}", facts.node.data_dir),
        };
        let has_drop_ins = !rule.with_drop_ins || kubelet::takes_pairs(facts.node.minor());
        let is_made = !rule.path.is_empty() && has_drop_ins;
        let mut found = Self {
            own: is_made.then(|| below(&rule.path)),
            is_users: false,
            more: Vec::new(),
            copies: Vec::new(),
            evidence: Vec::new(),
        };
        let keyed = rule.key.as_deref().and_then(|key| facts.node.value(key)).map(|(text, _)| text);
        if let Some(named) = keyed.filter(|text| text.starts_with('/')) {
            found.own = Some(facts.node.path(named)?.to_string());
        }
        if let Some(name) = &rule.named_by
            && let Some((paths, evidence)) = named_file::find(facts, name)?
        {
            let named = paths.last().map(ToString::to_string);
            if named.is_some() && named != found.own {
                found.is_users = paths.last().is_some_and(|path| !facts.node.creates(path));
                found.own = named;
                found.evidence.push(evidence);
            }
        }
        for name in &rule.also {
            if let Some((paths, evidence)) = named_file::find(facts, name)? {
                let count = found.more.len();
                for path in paths {
                    found.add(facts, name, &path);
                }
                if found.more.len() > count {
                    found.evidence.push(evidence);
                }
            }
        }
        Ok(found)
    }

    fn add(&mut self, facts: &NodeFacts<'_>, name: &FileName, path: &RootedPath) {
        let pattern = match &name.below {
            Some(below) => format!("{path}/{below}"),
            None => path.to_string(),
        };
        let fixed = self.own.as_deref().and_then(|own| own.split('*').next()).unwrap_or_default();
        let is_within = fixed.ends_with('/') && pattern.starts_with(fixed);
        if is_within || self.own.as_ref() == Some(&pattern) || self.more.contains(&pattern) {
            return;
        }
        self.more.push(pattern);
        let copy = name.copy.as_deref().filter(|_| kubelet::takes_pairs(facts.node.minor()));
        self.copies.extend(copy.map(|copy| facts.node.data_dir.join(copy)));
    }
}

/// A file with its mode and owner.
pub(in crate::verify) type SeenFile = (RootedPath, FileMode, Owner);

/// Checks modes and owners of the files that match a rule.
///
/// # Errors
/// Any error of a file that exists and whose permissions cannot be read.
pub(in crate::verify) fn check(facts: &NodeFacts<'_>, rule: &FileRule) -> Result<RuleResult> {
    let root = facts.node.root;
    if let (Some(_), Some(error)) = (&rule.key, &facts.service_unknown) {
        // The key may name another file than the one that is looked at.
        return Err(error.clone());
    }
    let files = RuledFiles::find(facts, rule)?;
    let Some(pattern) = files.own.as_ref().or(files.more.first()) else {
        return Ok(match rule.of.as_deref().and_then(|component| facts.absence(component)) {
            Some(absence) => RuleResult::absent(absence),
            None => RuleResult::not_applicable("K3s makes no such file here, and nothing names one"),
        });
    };
    let mode: Option<FileMode> = rule.mode.as_deref().map(str::parse).transpose()?;
    let expected = match (mode, &rule.owner) {
        (Some(mode), None) => format!("{pattern} has mode {mode} or stricter"),
        (None, _) => format!("{pattern} belongs to root"),
        (Some(mode), Some(_)) => format!("{pattern} belongs to root and permits no more than {mode}"),
    };
    let is_excepted = |path: &RootedPath| {
        rule.except.iter().any(|name| path.as_str().rsplit('/').next() == Some(name.as_str()))
    };
    let mut unread = None;
    let mut look = |pattern: &str| -> Result<Vec<SeenFile>> {
        let matches = PathMatches::find(facts, pattern)?;
        unread = unread.take().or(matches.unread);
        let mut found = Vec::new();
        for path in matches.paths.into_iter().filter(|path| !is_excepted(path)) {
            if let Some((found_mode, owner)) = root.permissions(&path)? {
                found.push((path, found_mode, owner));
            }
        }
        Ok(found)
    };
    let mut found = files.own.as_deref().map(&mut look).transpose()?.unwrap_or_default();
    let is_own_missing = files.own.is_some() && found.is_empty();
    let mut missing_name = None;
    for pattern in &files.more {
        let more = look(pattern)?;
        let is_coming = pattern.parse().is_ok_and(|path| facts.node.creates(&path));
        if more.is_empty() && !pattern.contains('*') && !is_coming {
            missing_name.get_or_insert(pattern);
        }
        found.extend(more);
    }
    let mut evidence = files.evidence.clone();
    for copy in files.copies.iter().filter(|copy| !root.exists(copy)) {
        let text = format!("K3s copies it to {copy} with mode {COPY_MODE} at its next start");
        evidence.push(Evidence { text, place: None });
        found.push((copy.clone(), COPY_MODE.parse()?, facts.owner));
    }
    let absence = rule.of.as_deref().and_then(|component| facts.absence(component));
    if let (true, None, Some(absence)) = (found.is_empty(), &unread, absence) {
        return Ok(RuleResult::absent(absence));
    }
    let is_wrong = |(_, found_mode, owner): &&SeenFile| {
        mode.is_some_and(|mode| !found_mode.is_within(mode))
            || (rule.owner.is_some() && *owner != facts.owner)
    };
    let wrong: Vec<_> = found.iter().filter(is_wrong).collect();
    if wrong.is_empty() && unread.is_none() {
        let of_users = missing_name.or(files.own.as_ref().filter(|_| files.is_users && is_own_missing));
        if let Some(path) = of_users {
            let actual = "not there, and K3s does not make it".to_owned();
            evidence.push(Evidence { text: format!("{path} is {actual}"), place: None });
            return Ok(RuleResult { outcome: RuleOutcome::Unknown, expected, actual, evidence });
        }
        if is_own_missing || found.is_empty() {
            let result = missing(facts, &rule.path, rule.missing, expected);
            evidence.extend(result.evidence.clone());
            return Ok(RuleResult { evidence, ..result });
        }
        let written = rule.written.as_ref().map(|path| facts.node.data_dir.join(path));
        if let Some(path) = written.filter(|path| facts.started && !root.exists(path)) {
            let result = missing(facts, path.as_str(), OnMissing::Unknown, expected);
            evidence.extend(result.evidence.clone());
            return Ok(RuleResult { evidence, ..result });
        }
    }
    if let (true, Some(error)) = (wrong.is_empty(), unread) {
        return Ok(RuleResult { expected, ..RuleResult::failed(&error) });
    }
    let shown: Vec<_> = if wrong.is_empty() { found.iter().collect() } else { wrong.clone() };
    let describe = |found_mode: &FileMode, owner: &Owner| {
        let owner =
            if *owner == facts.owner { "owned by root".to_owned() } else { format!("owned by {owner}") };
        match (mode, &rule.owner) {
            (Some(_), None) => found_mode.to_string(),
            (None, _) => owner,
            (Some(_), Some(_)) => format!("{found_mode}, {owner}"),
        }
    };
    let listed = shown.iter().take(MAX_LISTED).map(|(path, found_mode, owner)| Evidence {
        text: format!("{path} is {}", describe(found_mode, owner)),
        place: Some(Place { file: path.to_string(), position: None }),
    });
    let mut all: Vec<Evidence> = listed.collect();
    all.append(&mut evidence);
    if shown.len() > MAX_LISTED {
        let text = format!("and {} more", shown.len() - MAX_LISTED);
        all.push(Evidence { text, place: None });
    }
    let mut actual: Vec<String> =
        shown.iter().map(|(_, found_mode, owner)| describe(found_mode, owner)).collect();
    actual.sort();
    actual.dedup();
    Ok(RuleResult::met(wrong.is_empty(), expected, actual.join("; "), all))
}

/// Returns the files of a rule that K3s made, with their modes and owners: those that an argument or a key names are the user's.
///
/// # Errors
/// If a file or directory cannot be looked at.
pub(in crate::verify) fn own_files(facts: &NodeFacts<'_>, rule: &FileRule) -> Result<Vec<SeenFile>> {
    let files = RuledFiles::find(facts, rule)?;
    let Some(pattern) = files.own.filter(|_| !files.is_users) else { return Ok(Vec::new()) };
    let matches = PathMatches::find(facts, &pattern)?;
    if let Some(error) = matches.unread {
        return Err(error);
    }
    let is_excepted = |path: &RootedPath| rule.except.iter().any(|name| path.name() == *name);
    let mut found = Vec::new();
    for path in matches.paths.into_iter().filter(|path| !is_excepted(path)) {
        if let Some((mode, owner)) = facts.node.root.permissions(&path)? {
            found.push((path, mode, owner));
        }
    }
    Ok(found)
}

/// Returns the result if the file at `path`, as the rule names it, does not exist.
pub(super) fn missing(
    facts: &NodeFacts<'_>,
    path: &str,
    on_missing: OnMissing,
    expected: String,
) -> RuleResult {
    let (outcome, actual) = match (facts.started, on_missing) {
        (false, _) => (RuleOutcome::Unknown, AWAITS_START),
        (true, OnMissing::Unknown) => (RuleOutcome::Unknown, "not there, although K3s has started"),
        (true, OnMissing::NotApplicable) => (RuleOutcome::NotApplicable, "not there: nothing to protect"),
    };
    let evidence = vec![Evidence { text: format!("{path} is {actual}"), place: None }];
    RuleResult { outcome, expected, actual: actual.to_owned(), evidence }
}

/// The paths that match a pattern.
#[derive(Default)]
struct PathMatches {
    paths: Vec<RootedPath>,
    /// The error because of which other paths may match too.
    unread: Option<Error>,
}

impl PathMatches {
    /// Finds the paths: `*` in a part matches any text, and `**` matches any directories.
    fn find(facts: &NodeFacts<'_>, pattern: &str) -> Result<Self> {
        let mut found = Self { paths: vec![RootedPath::fixed("/")], unread: None };
        for part in pattern.split('/').filter(|part| !part.is_empty()) {
            for path in std::mem::take(&mut found.paths) {
                match part {
                    "**" => found.add_below(facts, &path, MAX_LINKS)?,
                    _ if part.contains('*') => found.add_named(facts, &path, part)?,
                    _ => found.paths.push(path.join(part)),
                }
            }
        }
        Ok(found)
    }

    /// Adds a directory and every directory below it. It follows symlinks, because K3s uses their targets too.
    fn add_below(&mut self, facts: &NodeFacts<'_>, path: &RootedPath, links: usize) -> Result<()> {
        let root = facts.node.root;
        match root.look_directory(path) {
            Ok(PathState::Directory { .. }) => {}
            Err(error) if error.kind() == ErrorKind::NotPermitted => {
                self.unread = Some(error);
                return Ok(());
            }
            _ => return Ok(()),
        }
        let links = if root.is_directory(path) { Some(links) } else { links.checked_sub(1) };
        let Some(links) = links else {
            let message = format!("{path} leads through more than {MAX_LINKS} symlinks");
            self.unread = Some(Error::new(ErrorKind::Failed, message));
            return Ok(());
        };
        let names = facts.node.root.names(path)?;
        self.paths.push(path.clone());
        names.iter().try_for_each(|name| self.add_below(facts, &path.join(name), links))
    }

    fn add_named(&mut self, facts: &NodeFacts<'_>, folder: &RootedPath, pattern: &str) -> Result<()> {
        let (start, end) = pattern.split_once('*').unwrap_or((pattern, ""));
        let is_match = |name: &&String| {
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        };
        let names = facts.node.root.names(folder)?;
        self.paths.extend(names.iter().filter(is_match).map(|name| folder.join(name)));
        Ok(())
    }
}
