//! Modes and owners of files, and what is in etcd's configuration.

use super::super::facts::Facts;
use super::super::rule::{FieldRule, FileRule, Judgement, Missing, Outcome};
use super::Evidence;
use crate::error::{Place, Result};
use crate::k3s::yaml::{self, Value};
use crate::node::{FileMode, Owner, RootedPath};

/// The most files of a kind that are named one by one.
const MAX_NAMED: usize = 5;

pub(super) fn judge(facts: &Facts<'_>, rule: &FileRule) -> Result<Judgement> {
    let root = facts.judged.root;
    let pattern = if rule.path.starts_with('/') {
        rule.path.clone()
    } else {
        format!("{}/{}", facts.judged.data_dir, rule.path)
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
    for path in matching(facts, &pattern)?.into_iter().filter(|path| !is_excepted(path)) {
        if let Some((its, owner)) = root.permissions(&path)? {
            found.push((path, its, owner));
        }
    }
    if found.is_empty() {
        return Ok(missing(facts, rule, expected));
    }
    let is_wrong = |(_, its, owner): &&(RootedPath, FileMode, Owner)| {
        mode.is_some_and(|mode| !its.is_within(mode)) || (rule.owner.is_some() && *owner != facts.owner)
    };
    let wrong: Vec<_> = found.iter().filter(is_wrong).collect();
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
    Ok(Judgement::met(wrong.is_empty(), expected, actual.join("; "), evidence))
}

fn missing(facts: &Facts<'_>, rule: &FileRule, expected: String) -> Judgement {
    let (outcome, actual) = match (facts.started, rule.missing) {
        (false, _) => (Outcome::Unknown, "not there yet: K3s makes it when it first starts"),
        (true, Missing::Unknown) => (Outcome::Unknown, "not there, although K3s has started"),
        (true, Missing::NotApplicable) => (Outcome::NotApplicable, "not there: nothing to protect"),
    };
    let evidence = vec![Evidence { text: format!("{} is {actual}", rule.path), place: None }];
    Judgement { outcome, expected, actual: actual.to_owned(), evidence }
}

/// Finds what a pattern stands for: `*` in a part is any letters of a name, and `**` is any directories.
fn matching(facts: &Facts<'_>, pattern: &str) -> Result<Vec<RootedPath>> {
    let mut found = vec![RootedPath::fixed("/")];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        let mut next = Vec::new();
        for path in found {
            match part {
                "**" => below(facts, &path, &mut next)?,
                _ if part.contains('*') => next.extend(named(facts, &path, part)?),
                _ => next.push(path.join(part)),
            }
        }
        found = next;
    }
    Ok(found)
}

/// Adds a directory and every one below it.
fn below(facts: &Facts<'_>, path: &RootedPath, found: &mut Vec<RootedPath>) -> Result<()> {
    if !facts.judged.root.is_directory(path) {
        return Ok(());
    }
    found.push(path.clone());
    for name in facts.judged.root.list(path)? {
        if let Some(name) = name.to_str().filter(|name| !name.contains('\n')) {
            below(facts, &path.join(name), found)?;
        }
    }
    Ok(())
}

fn named(facts: &Facts<'_>, folder: &RootedPath, pattern: &str) -> Result<Vec<RootedPath>> {
    let (start, end) = pattern.split_once('*').unwrap_or((pattern, ""));
    let fits = |name: &&str| {
        name.len() >= start.len() + end.len()
            && name.starts_with(start)
            && name.ends_with(end)
            && !name.contains('\n')
    };
    let names = facts.judged.root.list(folder)?;
    Ok(names.iter().filter_map(|name| name.to_str()).filter(fits).map(|name| folder.join(name)).collect())
}

pub(super) fn judge_etcd(facts: &Facts<'_>, rule: &FieldRule) -> Result<Judgement> {
    let path = facts.judged.data_dir.join("server/db/etcd/config");
    let expected = rule.must.words(&rule.field);
    let Some(bytes) = facts.judged.root.read(&path)? else {
        let rule = FileRule {
            path: path.to_string(),
            except: Vec::new(),
            mode: None,
            owner: None,
            missing: Missing::Unknown,
        };
        return Ok(missing(facts, &rule, expected));
    };
    let place = |position| Some(Place { file: path.to_string(), position });
    let document = match yaml::read(&bytes) {
        Ok(document) => document,
        Err(problem) => {
            let evidence = vec![Evidence { text: problem.message.clone(), place: place(problem.position) }];
            return Ok(Judgement { outcome: Outcome::Unknown, expected, actual: problem.message, evidence });
        }
    };
    let mut node = document.as_ref();
    for part in rule.field.split('.') {
        node = node.and_then(|node| match &node.value {
            Value::Map(pairs) => {
                pairs.iter().rev().find(|(key, _)| key.go_text() == part).map(|(_, value)| value)
            }
            _ => None,
        });
    }
    let items = node.map(|node| match &node.value {
        Value::List(items) => items.iter().map(yaml::Node::go_text).collect(),
        _ => vec![node.go_text()],
    });
    let actual = items.as_ref().map_or_else(|| "not set".to_owned(), |items| items.join(","));
    let text = format!("etcd's configuration has {}: {actual}", rule.field);
    let evidence = vec![Evidence { text, place: place(node.map(|node| node.position)) }];
    Ok(Judgement::met(rule.must.fits(items.as_deref()), expected, actual, evidence))
}
