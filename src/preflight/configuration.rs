//! K3s' own configuration: whether it can be read, what its command line refuses, and what it never reads.

use super::{Finding, Judged};
use crate::Role;
use crate::error::{Error, Place, Result};
use crate::k3s::Existing;
use crate::node::RootedPath;

pub(super) fn judge(judged: &Judged<'_>) -> Result<Vec<Finding>> {
    let mut findings = dangling(judged)?;
    match &judged.effective {
        Err(error) => findings.push(unreadable(error)),
        Ok(effective) => {
            findings.extend(
                effective.refusals.iter().map(|(message, place)| refused(judged.role, message, place)),
            );
            findings.extend(late_encryption(judged));
        }
    }
    Ok(findings)
}

/// K3s takes a file that is listed and cannot be opened for one that is not there, and then has no configuration.
fn dangling(judged: &Judged<'_>) -> Result<Vec<Finding>> {
    let nothing_of_ours = RootedPath::fixed("/");
    let existing = Existing::read(judged.root, &nothing_of_ours)?;
    let finding = |path: &RootedPath| {
        Finding::hardens_nothing(
            "config-dangling-link",
            "this is a symlink to nothing: K3s then ignores its whole configuration, without a word",
            "remove it",
        )
        .at(Place { file: path.to_string(), position: None })
    };
    Ok(existing.dangling.iter().map(finding).collect())
}

fn unreadable(error: &Error) -> Finding {
    let message = error.message().to_owned();
    let finding = Finding::stops(
        "config-unreadable",
        format!("K3s cannot read its configuration: {message}"),
        "mend the file; `k3s-harden effective-config` shows how K3s reads it",
    );
    match error.place() {
        Some(place) => finding.at(place.clone()),
        None => finding,
    }
}

fn refused(role: Role, message: &str, place: &Place) -> Finding {
    let (code, remedy) = match message.strip_prefix("flag provided but not defined: -") {
        Some(key) => (
            "config-unknown-key",
            match role {
                Role::Agent => format!("remove {key}: an agent of this minor does not have it, and exits"),
                Role::Server => format!("remove {key}"),
            },
        ),
        None => (
            "config-value",
            "write a value of the key's type: true or false without quotes, a number, a duration such as 5m"
                .to_owned(),
        ),
    };
    Finding::stops(code, format!("K3s' command line refuses this: {message}"), remedy)
        .at(place.clone())
        .says(message)
}

/// Encrypting Secrets is decided at the first start.
fn late_encryption(judged: &Judged<'_>) -> Option<Finding> {
    let traces = judged.traces();
    let (Role::Server, proof) = traces.started.as_ref()? else { return None };
    let wanted = judged.is_on("secrets-encryption");
    let (_, place) = judged.value("secrets-encryption").unzip();
    let finding = match (wanted, traces.secrets_encrypted) {
        (true, false) => Finding::stops(
            "secrets-encryption-late",
            format!("K3s has started without secrets-encryption ({proof} exists): in a cluster of several servers it exits, in one of a single server Secrets stay as they are"),
            "take it out again, or turn it on with K3s' own command: k3s secrets-encrypt enable (v1.33.10, v1.34.6, v1.35.3 and newer)",
        )
        .says("critical configuration mismatched: secrets-encryption"),
        (false, true) => Finding::stops(
            "secrets-encryption-gone",
            "K3s has started with encrypted Secrets, and without secrets-encryption it cannot read them",
            "write secrets-encryption: true, or decrypt them first: k3s secrets-encrypt disable",
        ),
        _ => return None,
    };
    Some(match place {
        Some(place) => finding.at(place),
        None => finding,
    })
}
