// SPDX-License-Identifier: Apache-2.0
//! Checks that Secrets are encrypted in the datastore (1.2.27 in 1.12), and by a suitable provider (1.2.28).

use super::flag;
use super::flag_file::FlagFile;
use crate::error::{Place, Result};
use crate::k3s::NodePaths;
use crate::k3s::arguments::sets;
use crate::k3s::encryption_change::K3S_PROVIDERS;
use crate::k3s::encryption_stage::EncryptionStage;
use crate::k3s::flags::ENCRYPTION_KEY;
use crate::preflight::encryption;
use crate::verify::evidence::Evidence;
use crate::verify::facts::NodeFacts;
use crate::verify::must::Must;
use crate::verify::rule_result::{RuleOutcome, RuleResult};

const SERVER: &str = "kube-apiserver";
const FLAG: &str = "encryption-provider-config";
/// The suitable providers. aesgcm is not: its keys have to be rotated far more often than K3s rotates them.
const SUITABLE: [&str; 3] = ["aescbc", "kms", "secretbox"];

/// Checks that the API server encrypts Secrets.
pub(super) fn check_enabled(facts: &NodeFacts<'_>, _: Option<&str>) -> Result<RuleResult> {
    check(facts, "Secrets are encrypted before they are stored", |provider| provider != "identity")
}

/// Checks that the first provider of Secrets is suitable.
pub(super) fn check_provider(facts: &NodeFacts<'_>, _: Option<&str>) -> Result<RuleResult> {
    check(facts, "the first provider of Secrets is aescbc, kms or secretbox", |provider| {
        SUITABLE.contains(&provider)
    })
}

/// Says that K3s is told another provider than the one in its file: it does not write the file anew for that.
fn not_in_force(facts: &NodeFacts<'_>, current: &str) -> Option<Evidence> {
    let (wanted, place) = facts.node.encryption_provider();
    let is_other = wanted != current && K3S_PROVIDERS.contains(&current);
    (is_other && place.is_some()).then(|| Evidence {
        text: format!("{wanted} is configured, but is used only after `k3s secrets-encrypt rotate-keys`"),
        place,
    })
}

fn check(facts: &NodeFacts<'_>, expected: &str, is_suitable: fn(&str) -> bool) -> Result<RuleResult> {
    let mut result = judge(facts, expected, is_suitable)?;
    result.evidence.extend(stage(facts)?);
    Ok(result)
}

/// Says how far the encryption is on a server that has started, and what the next step is; nothing where Secrets are encrypted,
/// and where another file than K3s's own says how.
fn stage(facts: &NodeFacts<'_>) -> Result<Option<Evidence>> {
    if facts.node.effective.is_err() {
        return Ok(None);
    }
    let is_on = facts.node.is_on(ENCRYPTION_KEY);
    let given = facts.node.written_arguments(SERVER);
    if !facts.started
        || facts.node.traces().started.is_none()
        || given.iter().any(|argument| sets(&argument.text, FLAG))
    {
        return Ok(None);
    }
    let stage = EncryptionStage::find(facts.node.root, &facts.node.data_dir, is_on)?;
    let text = || format!("stage: {}", stage.words(facts.node.release));
    Ok((stage != EncryptionStage::Encrypted).then(|| Evidence { text: text(), place: None }))
}

fn judge(facts: &NodeFacts<'_>, expected: &str, is_suitable: fn(&str) -> bool) -> Result<RuleResult> {
    let flag = flag::check_by_name(facts, SERVER, FLAG, Must::BeSet(true))?;
    let k3s_file = facts.node.data_dir.join(&NodePaths::get().encryption_config);
    if !facts.started
        && flag.outcome == RuleOutcome::Met
        && flag.actual == k3s_file.as_str()
        && !facts.node.root.exists(&k3s_file)
    {
        // K3s writes the file before it first starts the API server.
        let (provider, place) = facts.node.encryption_provider();
        let mut evidence = flag.evidence;
        evidence.push(Evidence {
            text: format!("K3s writes {k3s_file} with {provider} as the first provider"),
            place,
        });
        return Ok(RuleResult::met(is_suitable(provider), expected, provider, evidence));
    }
    let (path, bytes, mut evidence) = match FlagFile::read(facts, SERVER, FLAG, expected)? {
        FlagFile::Found { path, bytes, evidence } => (path, bytes, evidence),
        FlagFile::Missing(result) => return Ok(result),
    };
    let place = |position| Some(Place { file: path.to_string(), position: Some(position) });
    let config = match encryption::read_with(&facts.node, facts.flags(SERVER).flags, &bytes) {
        Ok(config) => config,
        Err(fault) => {
            evidence.push(Evidence { text: fault.message, place: place(fault.position) });
            return Ok(RuleResult::met(false, expected, "the API server refuses it", evidence));
        }
    };
    let group = config.of_core_resource("secrets", facts.node.minor());
    let Some(provider) = group.and_then(|group| group.providers.first()) else {
        evidence
            .push(Evidence { text: "the file has no entry for Secrets".to_owned(), place: place((1, 1)) });
        return Ok(RuleResult::met(false, expected, "no provider for Secrets", evidence));
    };
    let name = provider.name;
    evidence.push(Evidence {
        text: format!("the first provider of Secrets is {name}"),
        place: place(provider.position),
    });
    evidence.extend(not_in_force(facts, name).filter(|_| path == k3s_file));
    Ok(RuleResult::met(is_suitable(name), expected, name, evidence))
}
