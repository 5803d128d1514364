//! Checks modes and owners of files.

use crate::error::{Error, ErrorKind, Place, Result};
use crate::mode::{FileMode, Owner};
use crate::node::{PathState, RootedPath};
use crate::verify::evidence::Evidence;
use crate::verify::facts::NodeFacts;
use crate::verify::rule::{FileRule, OnMissing};
use crate::verify::rule_result::{AWAITS_START, RuleOutcome, RuleResult};

/// The most files that the evidence lists one by one.
const MAX_LISTED: usize = 5;
/// The most symlinks to directories that `**` follows on the way to a directory.
const MAX_LINKS: usize = 3;

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
    let named = rule.key.as_deref().and_then(|key| facts.node.value(key)).map(|(text, _)| text);
    let pattern = if let Some(named) = named.filter(|text| text.starts_with('/')) {
        facts.node.path(named)?.to_string()
    } else if rule.path.starts_with('/') {
        rule.path.clone()
    } else {
        format!("{}/{}", facts.node.data_dir, rule.path)
    };
    let mode: Option<FileMode> = rule.mode.as_deref().map(str::parse).transpose()?;
    let expected = match (mode, &rule.owner) {
        (Some(mode), None) => format!("{pattern} permits no more than {mode}"),
        (None, _) => format!("{pattern} belongs to root"),
        (Some(mode), Some(_)) => format!("{pattern} belongs to root and permits no more than {mode}"),
    };
    let mut found = Vec::new();
    let is_excepted = |path: &RootedPath| {
        rule.except.iter().any(|name| path.as_str().rsplit('/').next() == Some(name.as_str()))
    };
    let matches = PathMatches::find(facts, &pattern)?;
    for path in matches.paths.into_iter().filter(|path| !is_excepted(path)) {
        if let Some((found_mode, owner)) = root.permissions(&path)? {
            found.push((path, found_mode, owner));
        }
    }
    let absence = rule.of.as_deref().and_then(|component| facts.absence(component));
    if let (true, None, Some(absence)) = (found.is_empty(), &matches.unread, absence) {
        return Ok(RuleResult::absent(absence));
    }
    if found.is_empty() && matches.unread.is_none() {
        return Ok(missing(facts, &rule.path, rule.missing, expected));
    }
    let is_wrong = |(_, found_mode, owner): &&(RootedPath, FileMode, Owner)| {
        mode.is_some_and(|mode| !found_mode.is_within(mode))
            || (rule.owner.is_some() && *owner != facts.owner)
    };
    let wrong: Vec<_> = found.iter().filter(is_wrong).collect();
    if let (true, Some(error)) = (wrong.is_empty(), matches.unread) {
        return Ok(RuleResult { expected, ..RuleResult::failed(&error) });
    }
    let shown: Vec<_> = if wrong.is_empty() { found.iter().collect() } else { wrong.clone() };
    let describe = |found_mode: &FileMode, owner: &Owner| {
        let owner = if *owner == facts.owner { "root's".to_owned() } else { format!("owned by {owner}") };
        match (mode, &rule.owner) {
            (Some(_), None) => found_mode.to_string(),
            (None, _) => owner,
            (Some(_), Some(_)) => format!("{found_mode}, {owner}"),
        }
    };
    let mut evidence: Vec<Evidence> = shown
        .iter()
        .take(MAX_LISTED)
        .map(|(path, found_mode, owner)| Evidence {
            text: format!("{path} is {}", describe(found_mode, owner)),
            place: Some(Place { file: path.to_string(), position: None }),
        })
        .collect();
    if shown.len() > MAX_LISTED {
        let text = format!("and {} more", shown.len() - MAX_LISTED);
        evidence.push(Evidence { text, place: None });
    }
    let mut actual: Vec<String> =
        shown.iter().map(|(_, found_mode, owner)| describe(found_mode, owner)).collect();
    actual.sort();
    actual.dedup();
    Ok(RuleResult::met(wrong.is_empty(), expected, actual.join("; "), evidence))
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
            let message = format!("{path} leads on by more than {MAX_LINKS} symlinks");
            self.unread = Some(Error::new(ErrorKind::Failed, message));
            return Ok(());
        };
        let names = self.names(facts, path)?;
        self.paths.push(path.clone());
        names.iter().try_for_each(|name| self.add_below(facts, &path.join(name), links))
    }

    fn add_named(&mut self, facts: &NodeFacts<'_>, folder: &RootedPath, pattern: &str) -> Result<()> {
        let (start, end) = pattern.split_once('*').unwrap_or((pattern, ""));
        let is_match = |name: &&String| {
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        };
        let names = self.names(facts, folder)?;
        self.paths.extend(names.iter().filter(is_match).map(|name| folder.join(name)));
        Ok(())
    }

    /// Returns the names in a directory; a name that no path can have counts as unread.
    fn names(&mut self, facts: &NodeFacts<'_>, folder: &RootedPath) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for name in facts.node.root.list(folder)? {
            match name.into_string() {
                Ok(name) if !name.contains('\n') => names.push(name),
                Ok(name) => self.unread = Some(unread_name(folder, &name)),
                Err(name) => self.unread = Some(unread_name(folder, &name.to_string_lossy())),
            }
        }
        Ok(names)
    }
}

fn unread_name(folder: &RootedPath, name: &str) -> Error {
    Error::new(
        ErrorKind::Failed,
        format!("{name:?} in {folder} was not looked at: it is no name of a file of K3s"),
    )
}
