//! Are Secrets encrypted in the datastore (1.2.27 in 1.12), and by a suitable provider (1.2.28)?

use super::{FlagFile, read};
use crate::error::{Place, Result};
use crate::preflight::encryption;
use crate::verify::rule::{Must, RuleOutcome, RuleResult};
use crate::verify::{Evidence, NodeFacts, evaluate};

const SERVER: &str = "kube-apiserver";
const FLAG: &str = "encryption-provider-config";
/// What writes encrypted. Not aesgcm: its keys have to be changed far more often than K3s changes them.
const SUITABLE: [&str; 3] = ["aescbc", "kms", "secretbox"];

/// The API server encrypts Secrets.
pub(super) fn is_on(facts: &NodeFacts<'_>, _: Option<&str>) -> Result<RuleResult> {
    judge(facts, "Secrets are encrypted before they are stored", |provider| provider != "identity")
}

/// It does so with a provider that is fit for it.
pub(super) fn providers(facts: &NodeFacts<'_>, _: Option<&str>) -> Result<RuleResult> {
    judge(facts, "the first provider of Secrets is aescbc, kms or secretbox", |provider| {
        SUITABLE.contains(&provider)
    })
}

fn judge(facts: &NodeFacts<'_>, expected: &str, fits: fn(&str) -> bool) -> Result<RuleResult> {
    let flag = evaluate::flag(facts, SERVER, FLAG, Must::BeSet(true))?;
    let of_k3s = facts.node.data_dir.join("server/cred/encryption-config.json");
    if !facts.started
        && flag.outcome == RuleOutcome::Met
        && flag.actual == of_k3s.as_str()
        && !facts.node.root.exists(&of_k3s)
    {
        // K3s writes it before it first starts the API server.
        let key = facts.node.value("secrets-encryption-provider");
        let (provider, place) = key.map_or(("aescbc", None), |(provider, place)| (provider, Some(place)));
        let mut evidence = flag.evidence;
        evidence.push(Evidence {
            text: format!("K3s writes {of_k3s} with {provider} as the first provider"),
            place,
        });
        return Ok(RuleResult::met(fits(provider), expected, provider, evidence));
    }
    let (path, bytes, mut evidence) = match read(facts, SERVER, FLAG, expected)? {
        FlagFile::File { path, bytes, evidence } => (path, bytes, evidence),
        FlagFile::Judged(judgement) => return Ok(judgement),
    };
    let place = |position| Some(Place { file: path.to_string(), position: Some(position) });
    let config = match encryption::read_with(&facts.node, facts.flags(SERVER).flags, &bytes) {
        Ok(config) => config,
        Err(fault) => {
            evidence.push(Evidence { text: fault.message, place: place(fault.position) });
            return Ok(RuleResult::met(false, expected, "the API server refuses it", evidence));
        }
    };
    let is_of_secrets = |name: &String| matches!(name.as_str(), "secrets" | "secrets." | "*." | "*.*");
    let group = config.resources.iter().find(|group| group.resources.iter().any(is_of_secrets));
    let Some(provider) = group.and_then(|group| group.providers.first()) else {
        evidence.push(Evidence { text: "it says nothing of Secrets".to_owned(), place: place((1, 1)) });
        return Ok(RuleResult::met(false, expected, "no provider for Secrets", evidence));
    };
    let name = provider.name;
    evidence.push(Evidence {
        text: format!("the first provider of Secrets is {name}"),
        place: place(provider.position),
    });
    Ok(RuleResult::met(fits(name), expected, name, evidence))
}
