// SPDX-License-Identifier: Apache-2.0
//! Controls: their own names, which never change, and their numbers, which every benchmark gives anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use super::fields::unknown;
use crate::embedded;
use crate::error::{Error, ErrorKind, Result};

/// The number of a control in a benchmark, such as 1.2.16. Sorts by its parts as numbers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ControlId(Vec<u16>);

impl ControlId {
    /// Tells whether `next` is the number after this one in the same section.
    #[must_use]
    pub fn precedes(&self, next: &Self) -> bool {
        match (self.0.split_last(), next.0.split_last()) {
            (Some((last, section)), Some((after, other))) => section == other && last + 1 == *after,
            _ => false,
        }
    }

    /// Returns the number of its section: its own without the last part.
    #[must_use]
    pub fn section(&self) -> String {
        let number = self.to_string();
        number.rsplit_once('.').map_or_else(|| number.clone(), |(section, _)| section.to_owned())
    }

    /// Tells whether it is `section` itself or in it.
    #[must_use]
    pub fn within(&self, section: &Self) -> bool {
        self.0.starts_with(&section.0)
    }
}

impl fmt::Display for ControlId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            part.fmt(f)?;
        }
        Ok(())
    }
}

impl FromStr for ControlId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts: Option<Vec<u16>> = text
            .split('.')
            .map(|part| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok()).flatten())
            .collect();
        parts.map(Self).ok_or_else(|| {
            Error::new(ErrorKind::BadInput, format!("{text:?} is not the number of a control"))
                .hint("write it as \"1.2.16\"")
        })
    }
}

/// Returns the names of all controls that the tool can satisfy, with our own short titles.
#[must_use]
pub fn titles() -> &'static BTreeMap<String, String> {
    static TITLES: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| embedded::table("controls"));
    &TITLES
}

/// The numbers that a benchmark gives to the controls, by their names.
pub type ControlNumbers = BTreeMap<String, Vec<ControlId>>;

/// Which controls a run is about (`--only`, `--skip`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ControlSelection {
    only: Option<BTreeSet<String>>,
    skip: BTreeSet<String>,
}

impl ControlSelection {
    /// Reads what the user named: numbers (1.2.16), sections (5.2) or names (audit-log-path).
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] for one that the benchmark or the tool does not have, and for one that cannot be
    /// skipped alone.
    pub fn new(only: &[String], skip: &[String], benchmark: &str, numbers: &ControlNumbers) -> Result<Self> {
        let titles = titles();
        let find = |word: &String| find(word, benchmark, numbers, titles);
        let only: BTreeSet<String> =
            only.iter().map(find).collect::<Result<Vec<_>>>()?.concat().into_iter().collect();
        for word in skip {
            check_skip(word, numbers)?;
        }
        let skip = skip.iter().map(find).collect::<Result<Vec<_>>>()?.concat().into_iter().collect();
        Ok(Self { only: (!only.is_empty()).then_some(only), skip })
    }

    /// Returns the names of the controls that the run is only about, if it is about some.
    #[must_use]
    pub fn only(&self) -> Option<&BTreeSet<String>> {
        self.only.as_ref()
    }

    /// Tells whether the run is about `controls` (names): one of them is in `--only`, and none is skipped. A run
    /// without `--only` is also about what implements no control.
    #[must_use]
    pub fn wants<S: AsRef<str>>(&self, controls: &[S]) -> bool {
        if controls.is_empty() {
            return self.only.is_none();
        }
        let named = |set: &BTreeSet<String>| controls.iter().any(|control| set.contains(control.as_ref()));
        self.only.as_ref().is_none_or(named) && !named(&self.skip)
    }
}

fn find(
    word: &str,
    benchmark: &str,
    numbers: &ControlNumbers,
    titles: &BTreeMap<String, String>,
) -> Result<Vec<String>> {
    let found: Vec<String> = match word.parse::<ControlId>() {
        Ok(id) => numbers
            .iter()
            .filter(|(_, ids)| ids.iter().any(|known| known.within(&id)))
            .map(|(name, _)| name.clone())
            .collect(),
        Err(_) => titles.keys().filter(|name| *name == word).cloned().collect(),
    };
    if !found.is_empty() {
        return Ok(found);
    }
    if word.starts_with(|c: char| c.is_ascii_digit()) {
        let error = Error::new(
            ErrorKind::BadInput,
            format!("control {word} of benchmark {benchmark} is not one that k3s-harden sets"),
        );
        return Err(error.hint(format!("`k3s-harden profile show cis-{benchmark}` lists those it does")));
    }
    let names: Vec<&String> = titles.keys().collect();
    Err(unknown(Error::new(ErrorKind::BadInput, format!("unknown control {word:?}")), word, &names))
}

/// Refuses to skip one number if the same lines implement several: it would silently skip them all.
fn check_skip(word: &str, numbers: &ControlNumbers) -> Result<()> {
    let Ok(id) = word.parse::<ControlId>() else { return Ok(()) };
    for (name, ids) in numbers {
        if let (true, Some(other)) =
            (ids.iter().any(|known| known.within(&id)), ids.iter().find(|known| !known.within(&id)))
        {
            let error = Error::new(
                ErrorKind::BadInput,
                format!("control {word} cannot be skipped alone: the same lines implement {other}"),
            );
            return Err(error
                .hint(format!("skip them together with --skip {name}, or change the settings behind them")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers() -> ControlNumbers {
        let id = |text: &str| text.parse().unwrap();
        BTreeMap::from([
            ("audit-log-path".into(), vec![id("1.2.16")]),
            ("audit-policy".into(), vec![id("3.2.1")]),
            ("pod-security".into(), vec![id("5.2.1"), id("5.2.2")]),
        ])
    }

    fn select(only: &[&str], skip: &[&str]) -> Result<ControlSelection> {
        let owned = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        ControlSelection::new(&owned(only), &owned(skip), "1.12", &numbers())
    }

    #[test]
    fn numbers_sort_as_numbers() {
        let mut ids: Vec<ControlId> =
            ["1.2.16", "1.2.3", "1.2"].iter().map(|id| id.parse().unwrap()).collect();
        ids.sort();
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        assert_eq!(ids, ["1.2", "1.2.3", "1.2.16"]);
    }

    #[test]
    fn only_and_skip_take_numbers_sections_and_names() {
        let only = select(&["1.2.16"], &[]).unwrap();
        assert!(
            only.wants(&["audit-log-path"]) && !only.wants(&["audit-policy"]) && !only.wants::<&str>(&[])
        );
        let skip = select(&[], &["5.2", "audit-policy"]).unwrap();
        assert!(!skip.wants(&["pod-security"]) && !skip.wants(&["audit-policy"]) && skip.wants::<&str>(&[]));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        assert_eq!(
            select(&[], &["5.2.1"]).unwrap_err().to_string(),
            "control 5.2.1 cannot be skipped alone: the same lines implement 5.2.2"
        );
        assert_eq!(
            select(&["1.1.1"], &[]).unwrap_err().to_string(),
            "control 1.1.1 of benchmark 1.12 is not one that k3s-harden sets"
        );
        assert_eq!(select(&["audit-log-paht"], &[]).unwrap_err().hints(), ["did you mean audit-log-path?"]);
    }
}
