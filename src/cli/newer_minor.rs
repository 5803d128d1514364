// SPDX-License-Identifier: Apache-2.0
//! A node whose minor is newer than this version knows: who reads goes on and says so, who writes has to be told.

use crate::error::{Error, ErrorKind, Result};
use crate::version::{AssumedMinor, KubernetesMinor};

use super::usage::usage_error;

/// The flag that names the minor for which is written.
pub(super) const ASSUME: &str = "--assume-minor";

/// Returns what is said of a minor that is newer than this version knows.
pub(super) fn warning(assumed: AssumedMinor) -> String {
    let AssumedMinor { named, judged_as } = assumed;
    format!("Kubernetes {named} is newer than this version of k3s-harden supports: treated as {judged_as}")
}

/// Reads the value of the flag.
///
/// # Errors
/// [`ErrorKind::Usage`] for what is no minor.
pub(super) fn parse(text: &str) -> Result<KubernetesMinor> {
    text.parse().map_err(|error: Error| {
        usage_error(format!("{ASSUME}: {}", error.message())).hint("write it as 1.37")
    })
}

/// Checks that files may be made for a node: its minor is known, or the newest known one is to stand for it.
///
/// # Errors
/// [`ErrorKind::BadInput`] without the flag; [`ErrorKind::Usage`] for a minor that cannot stand for it.
pub(super) fn check(assumed: Option<AssumedMinor>, told: Option<KubernetesMinor>) -> Result<()> {
    let Some(AssumedMinor { named, judged_as }) = assumed else { return Ok(()) };
    match told {
        Some(told) if told == judged_as => Ok(()),
        Some(told) => Err(usage_error(format!("{ASSUME} {told}: cannot use {told} for {named}"))
            .hint(format!("name the newest minor that this version knows: {ASSUME} {judged_as}"))),
        None => {
            let known = KubernetesMinor::supported();
            let first = known.first().copied().unwrap_or(judged_as);
            let message = format!(
                "Kubernetes {named} is newer than this version of k3s-harden supports: {first} to {judged_as}"
            );
            Err(Error::new(ErrorKind::BadInput, message).hint(format!(
                "install a newer k3s-harden, or use the files of {judged_as}: {ASSUME} {judged_as}. verify and preflight work without this flag"
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_known_minor_stands_for_a_newer_one() {
        let newest = KubernetesMinor::newest();
        let newer = newest.next().assumed();
        let kind = |told| check(newer, told).unwrap_err().kind();
        assert_eq!(kind(None), ErrorKind::BadInput);
        assert_eq!(
            (kind(Some(newest.previous())), kind(Some(newest.next()))),
            (ErrorKind::Usage, ErrorKind::Usage)
        );
        assert!(check(newer, Some(newest)).is_ok());
        assert!(
            check(newest.assumed(), Some(newest.previous())).is_ok(),
            "a known minor needs nobody to stand for it"
        );
        assert_eq!(parse("latest").unwrap_err().kind(), ErrorKind::Usage);
    }
}
