//! Modes and owners of files, and what is in etcd's configuration.

use super::super::facts::NodeFacts;
use super::super::rule::{FieldRule, FileRule, OnMissing, RuleOutcome, RuleResult};
use super::Evidence;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::kubernetes::yaml::{self, YamlValue};
use crate::mode::{FileMode, Owner};
use crate::node::{PathState, RootedPath};

/// The most files of a kind that are named one by one.
const MAX_NAMED: usize = 5;
/// The most symlinks to directories that are followed on the way to one.
const MAX_LINKS: usize = 3;

pub(super) fn judge(facts: &NodeFacts<'_>, rule: &FileRule) -> Result<RuleResult> {
    let root = facts.node.root;
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
    let matching = PathPattern::of(facts, &pattern)?;
    for path in matching.paths.into_iter().filter(|path| !is_excepted(path)) {
        if let Some((its, owner)) = root.permissions(&path)? {
            found.push((path, its, owner));
        }
    }
    if found.is_empty() && matching.unseen.is_none() {
        return Ok(missing(facts, rule, expected));
    }
    let is_wrong = |(_, its, owner): &&(RootedPath, FileMode, Owner)| {
        mode.is_some_and(|mode| !its.is_within(mode)) || (rule.owner.is_some() && *owner != facts.owner)
    };
    let wrong: Vec<_> = found.iter().filter(is_wrong).collect();
    if let (true, Some(error)) = (wrong.is_empty(), matching.unseen) {
        return Ok(RuleResult { expected, ..RuleResult::failed(&error) });
    }
    let told: Vec<_> = if wrong.is_empty() { found.iter().collect() } else { wrong.clone() };
    let words = |its: &FileMode, owner: &Owner| {
        let owner = if *owner == facts.owner { "root's".to_owned() } else { format!("owned by {owner}") };
        match (mode, &rule.owner) {
            (Some(_), None) => its.to_string(),
            (None, _) => owner,
            (Some(_), Some(_)) => format!("{its}, {owner}"),
        }
    };
    let mut evidence: Vec<Evidence> = told
        .iter()
        .take(MAX_NAMED)
        .map(|(path, its, owner)| Evidence {
            text: format!("{path} is {}", words(its, owner)),
            place: Some(Place { file: path.to_string(), position: None }),
        })
        .collect();
    if told.len() > MAX_NAMED {
        let text = format!("and {} more", told.len() - MAX_NAMED);
        evidence.push(Evidence { text, place: None });
    }
    let mut actual: Vec<String> = told.iter().map(|(_, its, owner)| words(its, owner)).collect();
    actual.sort();
    actual.dedup();
    Ok(RuleResult::met(wrong.is_empty(), expected, actual.join("; "), evidence))
}

fn missing(facts: &NodeFacts<'_>, rule: &FileRule, expected: String) -> RuleResult {
    let (outcome, actual) = match (facts.started, rule.missing) {
        (false, _) => (RuleOutcome::Unknown, "not there yet: K3s makes it when it first starts"),
        (true, OnMissing::Unknown) => (RuleOutcome::Unknown, "not there, although K3s has started"),
        (true, OnMissing::NotApplicable) => (RuleOutcome::NotApplicable, "not there: nothing to protect"),
    };
    let evidence = vec![Evidence { text: format!("{} is {actual}", rule.path), place: None }];
    RuleResult { outcome, expected, actual: actual.to_owned(), evidence }
}

/// What a pattern stands for.
#[derive(Default)]
struct PathPattern {
    paths: Vec<RootedPath>,
    /// Why there may be more.
    unseen: Option<Error>,
}

impl PathPattern {
    /// Finds it: `*` in a part is any letters of a name, and `**` is any directories.
    fn of(facts: &NodeFacts<'_>, pattern: &str) -> Result<Self> {
        let mut found = Self { paths: vec![RootedPath::fixed("/")], unseen: None };
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

    /// Adds a directory and every one below it, also by symlinks: what they lead to is used as well.
    fn add_below(&mut self, facts: &NodeFacts<'_>, path: &RootedPath, links: usize) -> Result<()> {
        let root = facts.node.root;
        match root.look_directory(path) {
            Ok(PathState::Directory { .. }) => {}
            Err(error) if error.kind() == ErrorKind::NotPermitted => {
                self.unseen = Some(error);
                return Ok(());
            }
            _ => return Ok(()),
        }
        let links = if root.is_directory(path) { Some(links) } else { links.checked_sub(1) };
        let Some(links) = links else {
            let message = format!("{path} leads on by more than {MAX_LINKS} symlinks");
            self.unseen = Some(Error::new(ErrorKind::Failed, message));
            return Ok(());
        };
        let names = self.names(facts, path)?;
        self.paths.push(path.clone());
        names.iter().try_for_each(|name| self.add_below(facts, &path.join(name), links))
    }

    fn add_named(&mut self, facts: &NodeFacts<'_>, folder: &RootedPath, pattern: &str) -> Result<()> {
        let (start, end) = pattern.split_once('*').unwrap_or((pattern, ""));
        let fits = |name: &&String| {
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        };
        let names = self.names(facts, folder)?;
        self.paths.extend(names.iter().filter(fits).map(|name| folder.join(name)));
        Ok(())
    }

    /// Returns the names in a directory; those that no path can have are something unseen.
    fn names(&mut self, facts: &NodeFacts<'_>, folder: &RootedPath) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for name in facts.node.root.list(folder)? {
            match name.into_string() {
                Ok(name) if !name.contains('\n') => names.push(name),
                Ok(name) => self.unseen = Some(unreadable(folder, &name)),
                Err(name) => self.unseen = Some(unreadable(folder, &name.to_string_lossy())),
            }
        }
        Ok(names)
    }
}

fn unreadable(folder: &RootedPath, name: &str) -> Error {
    Error::new(
        ErrorKind::Failed,
        format!("{name:?} in {folder} was not looked at: it is no name of a file of K3s"),
    )
}

pub(super) fn judge_etcd(facts: &NodeFacts<'_>, rule: &FieldRule) -> Result<RuleResult> {
    let path = facts.node.data_dir.join("server/db/etcd/config");
    let expected = rule.must.words(&rule.field);
    let Some(bytes) = facts.node.root.read(&path)? else {
        let rule = FileRule {
            path: path.to_string(),
            key: None,
            except: Vec::new(),
            mode: None,
            owner: None,
            missing: OnMissing::Unknown,
        };
        return Ok(missing(facts, &rule, expected));
    };
    let place = |position| Some(Place { file: path.to_string(), position });
    let document = match yaml::read(&bytes) {
        Ok(document) => document,
        Err(problem) => {
            let evidence = vec![Evidence { text: problem.message.clone(), place: place(problem.position) }];
            return Ok(RuleResult {
                outcome: RuleOutcome::Unknown,
                expected,
                actual: problem.message,
                evidence,
            });
        }
    };
    let mut node = document.as_ref();
    for part in rule.field.split('.') {
        node = node.and_then(|node| match &node.value {
            YamlValue::Map(pairs) => {
                pairs.iter().rev().find(|(key, _)| key.go_text() == part).map(|(_, value)| value)
            }
            _ => None,
        });
    }
    let items = node.map(|node| match &node.value {
        YamlValue::List(items) => items.iter().map(yaml::YamlNode::go_text).collect(),
        _ => vec![node.go_text()],
    });
    let actual = items.as_ref().map_or_else(|| "not set".to_owned(), |items| items.join(","));
    let text = format!("etcd's configuration has {}: {actual}", rule.field);
    let evidence = vec![Evidence { text, place: place(node.map(|node| node.position)) }];
    Ok(RuleResult::met(rule.must.fits(items.as_deref()), expected, actual, evidence))
}
