// SPDX-License-Identifier: Apache-2.0
//! The setting `anonymous_health`: the releases that start with the file behind it, and the arguments that it goes with.

use super::drop_in::{DropIn, DropInArgument};
use super::drop_in_merge::DropInMerge;
use crate::error::{Error, ErrorKind, Result};
use crate::k3s::arguments::name_of;
use crate::k3s::release_flags;
use crate::kubernetes::config_fields;
use crate::profile::{Origin, Profile};
use crate::version::{Availability, K3sRelease, KubernetesMinor};

/// The setting.
pub(super) const SETTING: &str = "anonymous_health";
/// The control that the file is about.
pub(super) const CONTROL: &str = "api-anonymous-auth";
/// The key of the file.
pub(super) const DOCUMENT: &str = "authentication";
const SERVER: &str = "kube-apiserver";
const ARGUMENT: &str = "authentication-config";
const KIND: &str = "AuthenticationConfiguration";
/// What the names of the arguments begin with beside which the API server takes no such file.
const ISSUER: &str = "oidc-";

/// Checks that every release that `release` can stand for starts with the file, if `profile` asks for it.
///
/// # Errors
/// [`ErrorKind::BadInput`] with the first release that does.
pub fn check(profile: &Profile, release: K3sRelease) -> Result<()> {
    if !profile.is_on(SETTING) || !profile.selection.wants(&[CONTROL]) {
        return Ok(());
    }
    let of = |release| release_flags::leaves_own_to(SERVER, ARGUMENT, release);
    let why = format!(
        "in addition to {ARGUMENT}, K3s passes {SERVER} anonymous-auth, and {SERVER} does not accept both"
    );
    let (message, since) = match (of(release), of(K3sRelease::of_minor(release.minor()))) {
        (Availability::Present, _) => return Ok(()),
        (Availability::Differs { since }, _) => {
            let message = format!("K3s of {release} before {since} does not start with {SETTING}: {why}");
            (message, since)
        }
        (Availability::Absent, Availability::Differs { since }) => {
            (format!("K3s {release} does not start with {SETTING}: {why}"), since)
        }
        (Availability::Absent, _) => {
            (format!("K3s {release} does not start with {SETTING}: {why}"), String::new())
        }
    };
    let hint = match release.patch() {
        None => format!("name the release in full (--k3s-version v{since}+k3s1), or leave the setting out"),
        Some(_) if since.is_empty() => "leave it out".to_owned(),
        Some(_) => format!("supported since {since}: use that release, or remove the setting"),
    };
    let origin = profile.values.get(SETTING).map_or(&Origin::Default, |resolved| &resolved.origin);
    Err(origin.refusal(message).hint(hint))
}

/// Checks that no issuer of tokens is given by arguments: beside them the API server takes no file.
///
/// # Errors
/// [`ErrorKind::BadInput`] at the first such argument.
pub fn check_issuers(requested: &DropIn, merge: &DropInMerge) -> Result<()> {
    if written(requested).is_none() {
        return Ok(());
    }
    let mut theirs = merge.existing.before_ours(&format!("{SERVER}-arg"));
    theirs.extend(merge.beyond_ours(SERVER));
    let Some(item) = theirs.iter().find(|item| name_of(&item.text).starts_with(ISSUER)) else {
        return Ok(());
    };
    let name = name_of(&item.text);
    let message = format!("{SETTING} needs {ARGUMENT}, and {SERVER} does not accept it together with {name}");
    Err(Error::new(ErrorKind::BadInput, message).at(item.place.clone()).hint(format!(
        "write your own {KIND} with the issuer (jwt) and the open paths (anonymous), set its path as {ARGUMENT}, and remove {SETTING}"
    )))
}

/// Returns what a run that writes the file says about the benchmark and the scanners.
#[must_use]
pub fn warning(profile: &Profile, requested: &DropIn) -> Option<String> {
    let argument = written(requested).filter(|argument| !argument.kept)?;
    let by_benchmark = match argument.ids.as_slice() {
        [] => format!(
            "benchmark {} requires anonymous-auth=false, so control 1.2.1 fails unless you waive it",
            profile.benchmark
        ),
        _ => format!("in benchmark {} a person reviews 1.2.1", profile.benchmark),
    };
    Some(format!(
        "{SETTING} allows anonymous requests to /livez, /readyz and /healthz of the API server: {by_benchmark}. kube-bench and security-scan fail 1.2.1, because they check only the argument"
    ))
}

/// Returns the name of the control that [`warning`] speaks of, if there is one.
#[must_use]
pub fn control(requested: &DropIn) -> Option<&'static str> {
    written(requested).map(|_| CONTROL)
}

fn written(requested: &DropIn) -> Option<&DropInArgument> {
    let server = requested.components.iter().find(|component| component.name == SERVER)?;
    server.arguments.iter().find(|argument| argument.name == ARGUMENT)
}

/// Returns the newest stable API version in which a minor reads the file.
pub(super) fn api_version(minor: KubernetesMinor) -> &'static str {
    let known = || config_fields::registered(KIND, minor).into_iter().map(|(version, _)| version);
    let found = ["/v1", "/v1beta1"].iter().find_map(|end| known().find(|version| version.ends_with(end)));
    found.unwrap_or_default()
}
