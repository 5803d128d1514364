// SPDX-License-Identifier: Apache-2.0
//! The provider that encrypts Secrets (setting `encryption_provider`): which releases of K3s have its key.

use crate::Role;
use crate::error::Result;
use crate::k3s::flags::{self, PROVIDER_KEY};
use crate::profile::Profile;
use crate::version::{Availability, K3sRelease};

const SETTING: &str = "encryption_provider";
const DEFAULT: &str = "aescbc";

/// Checks that the release has the key that the setting writes: one that has not skips it, and encrypts with aescbc.
///
/// # Errors
/// [`ErrorKind::BadInput`] with the place of the setting.
pub fn check(profile: &Profile, role: Role, release: K3sRelease) -> Result<()> {
    if wanted(profile, role).is_none() || available(release) != Availability::Absent {
        return Ok(());
    }
    let Some(resolved) = profile.values.get(SETTING) else { return Ok(()) };
    let minor = release.minor();
    let first = match available(K3sRelease::of_minor(minor)) {
        Availability::Differs { since } => format!("{since} is the first release of {minor} that has it"),
        Availability::Present | Availability::Absent => format!("no release of {minor} has it"),
    };
    let message = format!(
        "{SETTING}: this K3s release does not support {PROVIDER_KEY}, and always encrypts with aescbc"
    );
    let hint = format!("{first}: name the release that will run, or leave {SETTING} out");
    Err(resolved.origin.refusal(message).hint(hint))
}

/// Returns what is to be said about a setting that does not do what it says in every release, or at all.
#[must_use]
pub fn warnings(profile: &Profile, role: Role, release: K3sRelease) -> Vec<String> {
    let Some(provider) = wanted(profile, role) else { return Vec::new() };
    let mut warnings = Vec::new();
    if !profile.is_on("secrets_encryption") {
        warnings
            .push(format!("{SETTING} does nothing without secrets_encryption: Secrets are not encrypted"));
    } else if let Availability::Differs { since } = available(release) {
        warnings.push(format!(
            "K3s {} supports {PROVIDER_KEY} since {since}: an older release ignores the key, and encrypts Secrets with aescbc instead of {provider}",
            release.minor()
        ));
    }
    warnings
}

/// Returns the provider that a server is to get instead of the one that every release takes by itself.
fn wanted(profile: &Profile, role: Role) -> Option<&str> {
    profile.value(SETTING).as_str().filter(|provider| role == Role::Server && *provider != DEFAULT)
}

fn available(release: K3sRelease) -> Availability {
    let flag = flags::of_any_minor(Role::Server, PROVIDER_KEY);
    flag.map_or(Availability::Absent, |flag| flag.availability(release))
}
