// SPDX-License-Identifier: Apache-2.0
//! K3s's own configuration: whether K3s can read it, what its command line refuses, and what K3s never reads.

use super::Finding;
use crate::Role;
use crate::error::{Error, Place, Result};
use crate::k3s::encryption_change::{self, EncryptionChange, K3S_PROVIDERS};
use crate::k3s::flags::{self, ENCRYPTION_KEY, PROVIDER_KEY};
use crate::k3s::{K3sRefusal, NodeConfig, RefusalKind, SkippedKey, ValueOrigin};
use crate::node::RootedPath;
use crate::version::Availability;

pub(super) fn check(node: &NodeConfig<'_>) -> Result<Vec<Finding>> {
    let effective = match &node.effective {
        Err(error) => return Ok(vec![unreadable(error)]),
        Ok(effective) => effective,
    };
    let mut findings: Vec<Finding> = effective.dangling.iter().map(dangling).collect();
    findings.extend(effective.refusals.iter().map(|refusal| refused(node, refusal)));
    findings.extend(effective.skipped.iter().map(skipped));
    findings.extend(kubeconfig_mode(node));
    Ok(findings)
}

/// If K3s cannot open a file that it has listed, it behaves as if it had no configuration at all.
fn dangling(path: &RootedPath) -> Finding {
    Finding::hardens_nothing(
        "config-dangling-link",
        "dangling symlink: K3s silently ignores its whole configuration",
        "remove it",
    )
    .at(Place { file: path.to_string(), position: None })
}

fn unreadable(error: &Error) -> Finding {
    let message = error.message().to_owned();
    let finding = Finding::stops(
        "config-unreadable",
        format!("K3s cannot read its configuration: {message}"),
        "fix the file; `k3s-harden effective-config` shows how K3s reads it",
    );
    match error.place() {
        Some(place) => finding.at(place.clone()),
        None => finding,
    }
}

fn refused(node: &NodeConfig<'_>, refusal: &K3sRefusal) -> Finding {
    let role = node.role;
    let K3sRefusal { kind, flag, message, origin, doubt } = refusal;
    let code = match (origin, kind) {
        (ValueOrigin::File(_), RefusalKind::Unknown) => "config-unknown-key",
        (ValueOrigin::File(_), RefusalKind::Forms) => "config-two-forms",
        (ValueOrigin::File(_), _) => "config-value",
        (ValueOrigin::Variable { .. }, _) => "environment-value",
        (ValueOrigin::Service(_) | ValueOrigin::CommandLine, _) => "command-line",
    };
    let remedy = match kind {
        RefusalKind::Unknown => format!("remove {flag}: K3s does not have it as {role} in this release, and exits"),
        RefusalKind::Value => "write a value of the flag's type: true or false (in a file, without quotes), a whole number, or a duration such as 5m".to_owned(),
        RefusalKind::Missing => format!("write a value behind {flag}"),
        RefusalKind::Forms => "use the same name of the flag in the service and in all configuration files".to_owned(),
        RefusalKind::Syntax => "write a flag with one or two dashes and its name, and a key without dashes".to_owned(),
        RefusalKind::Command => format!("write {role} as the first word behind the program"),
        RefusalKind::Help => format!("remove the word: with it K3s does not start as {role}"),
    };
    let finding = match doubt {
        None => Finding::stops(code, format!("K3s's command line refuses this: {message}"), remedy),
        Some(doubt) => {
            let remedy = match node.minor().is_newer_than_known() {
                true => format!("remove {flag}, or try it on a test node of {}", node.minor()),
                false => "name the release in full, such as --k3s-version v1.33.4+k3s1".to_owned(),
            };
            Finding::unknown(code, format!("K3s's command line may refuse this, {doubt}: {message}"), remedy)
        }
    };
    finding.at(refusal.place()).says(message)
}

/// A key that a server does not have stops nothing, and does nothing.
fn skipped(key: &SkippedKey) -> Finding {
    let SkippedKey { name, message, place, hint } = key;
    let hint = hint.as_ref().map(|hint| format!(": {hint}")).unwrap_or_default();
    Finding::hardens_nothing(
        "config-skipped-key",
        format!("K3s does not have the key {name:?}, and skips it{hint}"),
        "write the key that is meant, or remove it",
    )
    .at(place.clone())
    .says(message)
}

/// Whether Secrets are encrypted is decided at the first start. Without the right to read the data directory the
/// answer is unknown.
pub(super) fn check_encryption(node: &NodeConfig<'_>) -> Result<Vec<Finding>> {
    node.root.names(&node.data_dir.join("server"))?;
    let traces = node.traces();
    let Some((Role::Server, proof)) = &traces.started else { return Ok(Vec::new()) };
    let (_, place) = node.value(ENCRYPTION_KEY).unzip();
    let remedy = format!("remove it, or {}", EncryptionChange::TurnOn.advice(node.release));
    let finding = match (node.is_on(ENCRYPTION_KEY), traces.has_encryption_config) {
        // A joining server compares its critical values with those of the cluster (pkg/cluster/bootstrap.go).
        (true, false) if node.value("server").is_some() => Finding::stops(
            "secrets-encryption-late",
            format!("K3s has started without secrets-encryption ({proof} exists), and exits if this differs from the other servers"),
            remedy,
        )
        .says("critical configuration mismatched: secrets-encryption"),
        (true, false) => Finding::warns(
            "secrets-encryption-late",
            format!("K3s has started without secrets-encryption ({proof} exists), and turning it on by configuration alone is not supported: existing Secrets stay unencrypted"),
            remedy,
        ),
        (false, true) if traces.secrets_encrypted => Finding::stops(
            "secrets-encryption-gone",
            "K3s has started with encrypted Secrets, and without secrets-encryption it cannot read them",
            "write secrets-encryption: true, or decrypt them first: k3s secrets-encrypt disable",
        ),
        (true, true) => return late_provider(node),
        _ => return Ok(Vec::new()),
    };
    Ok(vec![match place {
        Some(place) => finding.at(place),
        None => finding,
    }])
}

/// K3s does not write its encryption configuration anew because another provider is named.
fn late_provider(node: &NodeConfig<'_>) -> Result<Vec<Finding>> {
    let (wanted, place) = node.encryption_provider();
    let Some(current) = encryption_change::provider_in_force(node.root, &node.data_dir)? else {
        return Ok(Vec::new());
    };
    // What else is in the file was written by somebody who knows why.
    let is_of_k3s = K3S_PROVIDERS.contains(&current.as_str());
    let flag = flags::of_any_minor(Role::Server, PROVIDER_KEY);
    let has_key = flag.is_some_and(|flag| flag.availability(node.release) == Availability::Present);
    if !is_of_k3s || current == wanted || place.is_none() && !has_key {
        return Ok(Vec::new());
    }
    let by_itself = if place.is_none() { ", the default of K3s," } else { "" };
    let message = format!(
        "K3s encrypts Secrets with {current}, and continues to do so: {wanted}{by_itself} is not used after a restart alone"
    );
    let advice = EncryptionChange::ChangeProvider.advice(node.release);
    let remedy = format!("write secrets-encryption-provider: {current}, or {advice}");
    let finding = Finding::warns("encryption-provider-late", message, remedy);
    Ok(vec![match place {
        Some(place) => finding.at(place),
        None => finding,
    }])
}

/// K3s reads `write-kubeconfig-mode` as octal text, but YAML reads an unquoted 0640 as 416.
fn kubeconfig_mode(node: &NodeConfig<'_>) -> Option<Finding> {
    let (text, place) = node.value("write-kubeconfig-mode").filter(|(text, _)| !text.is_empty())?;
    let remedy = "write it in quotes: \"0600\"";
    let finding = match u32::from_str_radix(text, 8) {
        Err(_) => Finding::hardens_nothing(
            "kubeconfig-mode",
            format!(
                "write-kubeconfig-mode is {text}, which is no octal number: K3s leaves the mode as it is"
            ),
            remedy,
        ),
        Ok(mode) if mode & 0o600 != 0o600 || mode & 0o022 != 0 => Finding::warns(
            "kubeconfig-mode",
            format!(
                "write-kubeconfig-mode is {text}, so the administrator's kubeconfig gets the mode {mode:04o}"
            ),
            remedy,
        ),
        Ok(_) => return None,
    };
    Some(finding.at(place))
}
