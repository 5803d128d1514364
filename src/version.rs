// SPDX-License-Identifier: Apache-2.0
//! Kubernetes minors and K3s versions: which there are, and which profile fits a minor best.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::embedded;
use crate::error::{Error, ErrorKind, Result};

/// A Kubernetes minor such as 1.33. The major version is always 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct KubernetesMinor(u16);

impl KubernetesMinor {
    /// Returns the minor 1.`number`.
    #[must_use]
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// Returns the profile that fits this minor best.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] with the range that is supported.
    pub fn default_profile(self) -> Result<String> {
        let rows = minors();
        if let Some(row) = rows.iter().find(|row| row.minor == self) {
            return Ok(row.profile.clone());
        }
        let mut error = Error::new(ErrorKind::BadInput, format!("Kubernetes {self} is not supported"));
        if let (Some(first), Some(last)) = (rows.first(), rows.last()) {
            error = error.hint(format!("supported are {} to {}", first.minor, last.minor));
        }
        Err(error)
    }

    /// Returns the newest supported minor.
    #[must_use]
    pub fn newest() -> Self {
        minors().last().map_or(Self(0), |row| row.minor)
    }

    /// Tells whether it is newer than every supported minor: what it has beside theirs is not known.
    #[must_use]
    pub fn is_newer_than_known(self) -> bool {
        self > Self::newest()
    }

    /// Returns what is to be said of something that no supported minor has, if it is newer than all of them.
    #[must_use]
    pub fn may_have(self) -> Option<String> {
        self.is_newer_than_known().then(|| format!("{self} is newer than what is known, and may have it"))
    }

    /// Returns what it is judged as, if it is newer than every supported minor.
    #[must_use]
    pub fn assumed(self) -> Option<AssumedMinor> {
        self.is_newer_than_known().then(|| AssumedMinor { named: self, judged_as: Self::newest() })
    }

    /// Returns the minor whose profile it gets: itself, or the newest supported one if it is newer.
    #[must_use]
    pub fn judged(self) -> Self {
        self.min(Self::newest())
    }

    /// Returns the newest minor that a built-in profile is the default of, if there is one.
    #[must_use]
    pub fn newest_with_default(profile: &str) -> Option<Self> {
        minors().iter().rev().find(|row| row.profile == profile).map(|row| row.minor)
    }

    /// Tells whether it lies from the first to the last of a range, whose ends may be open.
    #[must_use]
    pub fn is_within(self, first: Option<Self>, last: Option<Self>) -> bool {
        first.is_none_or(|first| first <= self) && last.is_none_or(|last| self <= last)
    }

    /// Returns since when, or until when, other minors have something that this minor lacks, as ` (it comes with 1.37)`;
    /// empty if it lies in the range.
    #[must_use]
    pub fn availability(self, first: Option<Self>, last: Option<Self>) -> String {
        match (first, last) {
            (Some(first), _) if self < first => format!(" (it comes with {first})"),
            (_, Some(last)) if last < self => format!(" (it was removed in {})", last.next()),
            _ => String::new(),
        }
    }

    /// Returns the minor after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Returns the minor before this one.
    #[must_use]
    pub fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// Returns its number, such as 33.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }

    /// Returns every supported minor, oldest first.
    #[must_use]
    pub fn supported() -> Vec<Self> {
        minors().iter().map(|row| row.minor).collect()
    }
}

/// A minor that is newer than every supported one, and the minor that it is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct AssumedMinor {
    /// The minor that the node has, or that the user names.
    pub named: KubernetesMinor,
    /// The newest supported minor.
    pub judged_as: KubernetesMinor,
}

fn minors() -> &'static [MinorRow] {
    static MINORS: LazyLock<Vec<MinorRow>> = LazyLock::new(|| embedded::table("minors"));
    &MINORS
}

/// A table whose facts differ by Kubernetes minor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableHead {
    /// Its file in the project.
    pub file: &'static str,
    /// The newest minor that it was checked against. A newer one takes the rows of this one.
    pub through: KubernetesMinor,
}

/// Returns the tables whose facts differ by minor.
///
/// # Panics
/// If the head of a table names no minor; the tests read every head.
#[must_use]
pub fn table_heads() -> Vec<TableHead> {
    let heads = embedded::table_heads().iter();
    heads
        .map(|(file, through)| TableHead { file, through: through.parse().expect("a head names a minor") })
        .collect()
}

#[derive(Debug, Deserialize)]
struct MinorRow {
    minor: KubernetesMinor,
    profile: String,
}

impl fmt::Display for KubernetesMinor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.0)
    }
}

impl FromStr for KubernetesMinor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        text.strip_prefix("1.")
            .filter(|minor| minor.bytes().all(|byte| byte.is_ascii_digit()) && !minor.starts_with('0'))
            .and_then(|minor| minor.parse().ok())
            .map(Self)
            .ok_or_else(|| {
                Error::new(ErrorKind::BadInput, format!("{text:?} is not a Kubernetes minor"))
                    .hint("write it as \"1.33\"")
            })
    }
}

impl From<KubernetesMinor> for String {
    fn from(minor: KubernetesMinor) -> Self {
        minor.to_string()
    }
}

impl TryFrom<String> for KubernetesMinor {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

/// A release of K3s, as far as it is known: its minor, and its patch level if the version was named in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct K3sRelease {
    minor: KubernetesMinor,
    patch: Option<u16>,
}

/// Whether a release of K3s has something that came, or went, with a patch level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Availability {
    /// The release has it; with a minor alone, every release of the minor has it.
    Present,
    /// The release lacks it; with a minor alone, every release of the minor lacks it.
    Absent,
    /// The releases of the minor differ, and which one runs is not known.
    Differs {
        /// The first release of the minor with the newer behaviour, such as `1.32.4`.
        since: String,
    },
}

impl K3sRelease {
    /// Returns the release whose patch level is not known.
    #[must_use]
    pub const fn of_minor(minor: KubernetesMinor) -> Self {
        Self { minor, patch: None }
    }

    /// Returns a release by its patch level.
    #[must_use]
    pub const fn new(minor: KubernetesMinor, patch: u16) -> Self {
        Self { minor, patch: Some(patch) }
    }

    /// Returns its Kubernetes minor.
    #[must_use]
    pub const fn minor(self) -> KubernetesMinor {
        self.minor
    }

    /// Returns its patch level; none if only the minor is known.
    #[must_use]
    pub const fn patch(self) -> Option<u16> {
        self.patch
    }
}

impl From<KubernetesMinor> for K3sRelease {
    fn from(minor: KubernetesMinor) -> Self {
        Self::of_minor(minor)
    }
}

impl fmt::Display for K3sRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.patch {
            Some(patch) => write!(f, "{}.{patch}", self.minor),
            None => self.minor.fmt(f),
        }
    }
}

/// The first releases that have something: one for each line that got it as a patch, the last for it and all newer lines.
///
/// `[1.31.8, 1.32.4, 1.33.0]` reads: 1.30 and older lack it, 1.31 has it from 1.31.8 on, 1.33 and newer have it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct FirstReleases(Vec<(KubernetesMinor, u16)>);

impl FirstReleases {
    /// Returns the oldest minor that one of them is of.
    #[must_use]
    pub fn oldest_line(&self) -> Option<KubernetesMinor> {
        self.0.first().map(|(minor, _)| *minor)
    }

    /// Tells whether a release is one of these or newer on its line.
    #[must_use]
    pub fn availability(&self, release: K3sRelease) -> Availability {
        let Some((last, _)) = self.0.last() else { return Availability::Absent };
        let line = self.0.iter().find(|(minor, _)| *minor == release.minor);
        match (line, release.patch) {
            (Some((_, first)), Some(patch)) if patch < *first => Availability::Absent,
            (Some((_, first)), None) if *first > 0 => {
                Availability::Differs { since: format!("{}.{first}", release.minor) }
            }
            (Some(_), _) => Availability::Present,
            (None, _) if release.minor > *last => Availability::Present,
            (None, _) => Availability::Absent,
        }
    }
}

impl fmt::Display for FirstReleases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (minor, patch)) in self.0.iter().enumerate() {
            write!(f, "{}{minor}.{patch}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl TryFrom<Vec<String>> for FirstReleases {
    type Error = Error;

    fn try_from(texts: Vec<String>) -> Result<Self> {
        let bad =
            |text: &str| Error::new(ErrorKind::BadInput, format!("{text:?} is not a release such as 1.32.4"));
        let release = |text: &String| {
            let (minor, patch) = text.rsplit_once('.').ok_or_else(|| bad(text))?;
            Ok((minor.parse()?, patch.parse().map_err(|_| bad(text))?))
        };
        let releases: Vec<(KubernetesMinor, u16)> = texts.iter().map(release).collect::<Result<_>>()?;
        // A line between two that have it would lack it for ever: that is a missing entry.
        if releases.is_empty() || releases.windows(2).any(|pair| pair[0].0.next() != pair[1].0) {
            return Err(
                bad(&texts.join(", ")).hint("name one release for each minor, without a gap, oldest first")
            );
        }
        Ok(Self(releases))
    }
}

/// A K3s version as the user, the binary or the installer names it: `v1.33.4+k3s1`, `v1.33.4` or `1.33`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct K3sVersion {
    text: String,
    number: K3sRelease,
}

impl K3sVersion {
    /// Returns the Kubernetes minor.
    #[must_use]
    pub fn minor(&self) -> KubernetesMinor {
        self.number.minor
    }

    /// Returns the number of the release, without its build: `1.33.4`, or `1.33` if no patch level was named.
    #[must_use]
    pub fn number(&self) -> K3sRelease {
        self.number
    }

    /// Returns the version when it names a release in full (`v1.33.4+k3s1`), as Rancher requires it.
    #[must_use]
    pub fn release(&self) -> Option<&str> {
        (self.text.starts_with('v') && self.text.contains("+k3s")).then_some(self.text.as_str())
    }
}

impl fmt::Display for K3sVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for K3sVersion {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = || {
            Error::new(ErrorKind::Usage, format!("{text:?} is not a K3s version"))
                .hint("write it as v1.33.4+k3s1 or 1.33")
        };
        let number = text.strip_prefix('v').unwrap_or(text);
        let (number, build) = number.split_once('+').map_or((number, None), |(n, b)| (n, Some(b)));
        let (number, pre) = number.split_once('-').map_or((number, None), |(n, p)| (n, Some(p)));
        let word = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
        };
        // Other distributions of Kubernetes have other words there: v1.33.4+rke2r1.
        let is_k3s = |part: &str| {
            part.strip_prefix("k3s").is_some_and(|count| {
                word(part)
                    && (count.is_empty()
                        || count.starts_with(|first: char| first.is_ascii_digit() || first == '-'))
            })
        };
        if build.is_some_and(|part| !is_k3s(part)) || pre.is_some_and(|part| !word(part)) {
            return Err(bad());
        }
        let parts: Vec<&str> = number.split('.').collect();
        let numeric = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !(2..=3).contains(&parts.len()) || !parts.iter().all(numeric) {
            return Err(bad());
        }
        let minor = format!("{}.{}", parts[0], parts[1]).parse().map_err(|_| bad())?;
        let patch = parts.get(2).map(|part| part.parse()).transpose().map_err(|_| bad())?;
        Ok(Self { text: text.to_owned(), number: K3sRelease { minor, patch } })
    }
}

/// The minors that a profile, setting or document fits; an open end fits all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MinorRange {
    /// The first minor that fits.
    pub from: Option<KubernetesMinor>,
    /// The last minor that fits.
    pub to: Option<KubernetesMinor>,
}

impl MinorRange {
    /// Tells whether `minor` lies in the range.
    #[must_use]
    pub fn contains(self, minor: KubernetesMinor) -> bool {
        minor.is_within(self.from, self.to)
    }
}

impl fmt::Display for MinorRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.from, self.to) {
            (Some(from), Some(to)) if from == to => write!(f, "{from}"),
            (Some(from), Some(to)) => write!(f, "{from} to {to}"),
            (Some(from), None) => write!(f, "{from} and newer"),
            (None, Some(to)) => write!(f, "{to} and older"),
            (None, None) => f.write_str("any"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn versions_are_read_in_every_form() {
        for (text, minor) in [
            ("v1.33.4+k3s1", "1.33"),
            ("1.33", "1.33"),
            ("v1.24.17", "1.24"),
            ("v1.36.0-rc1+k3s1", "1.36"),
            ("v1.33.4+k3s-8a8b4b9d", "1.33"),
        ] {
            assert_eq!(text.parse::<K3sVersion>().unwrap().minor().to_string(), minor, "{text}");
        }
        for text in [
            "",
            "1",
            "v1",
            "1.x",
            "2.0",
            "1.33.4.5",
            "v1.33.4+",
            "latest",
            "1.33\n",
            "1.033",
            "v1.33.4+rke2r1",
            "v1.33.4+k3sfoo",
        ] {
            assert!(text.parse::<K3sVersion>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_patch_level_decides_only_where_the_releases_of_a_minor_differ() {
        let first: FirstReleases =
            ["1.31.8", "1.32.4", "1.33.0"].map(str::to_owned).to_vec().try_into().unwrap();
        let of = |text: &str| first.availability(text.parse::<K3sVersion>().unwrap().number());
        for text in ["1.30", "v1.30.14+k3s1", "v1.31.7+k3s1", "v1.32.3"] {
            assert_eq!(of(text), Availability::Absent, "{text}");
        }
        for text in ["v1.31.8+k3s1", "v1.32.10", "v1.33.0", "1.33", "1.34"] {
            assert_eq!(of(text), Availability::Present, "{text}");
        }
        assert_eq!(of("1.32"), Availability::Differs { since: "1.32.4".to_owned() });
        for texts in [&[][..], &["1.31.8", "1.33.0"], &["1.33.0", "1.32.4"], &["1.31"], &["1.31.x"]] {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            assert!(FirstReleases::try_from(texts.clone()).is_err(), "{texts:?}");
        }
    }

    #[test]
    fn a_minor_outside_the_table_names_the_range() {
        let error = "1.22".parse::<KubernetesMinor>().unwrap().default_profile().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadInput);
        let supported = KubernetesMinor::supported();
        let (first, last) = (supported[0], supported[supported.len() - 1]);
        assert_eq!(error.hints(), [format!("supported are {first} to {last}")]);
    }

    /// Writes past the capture of the test's output, so that every `cargo test` shows the list.
    #[test]
    fn each_table_says_what_the_next_minor_inherits() {
        let newest = *KubernetesMinor::supported().last().unwrap();
        let heads = table_heads();
        assert!(!heads.is_empty());
        let mut text = String::new();
        for minor in [newest, newest.next()] {
            let inherited: Vec<TableHead> =
                heads.iter().copied().filter(|head| head.through < minor).collect();
            let said = if KubernetesMinor::supported().contains(&minor) { "supported" } else { "next" };
            text += &format!("Kubernetes {minor} ({said}) inherits from {} tables:\n", inherited.len());
            for TableHead { file, through } in inherited {
                text += &format!("  {file}: the rows of {through}\n");
            }
        }
        std::io::stderr().write_all(text.as_bytes()).unwrap();
        for head in heads {
            assert!(
                head.through <= newest,
                "{} was checked against a minor that is not supported",
                head.file
            );
        }
    }
}
