// SPDX-License-Identifier: Apache-2.0
//! The user's own audit policy (setting `audit_policy_file`): the API server must accept it, and obey it in full.
//!
//! The API server silently drops fields that it does not know: here they are errors. [`SourceText`] refuses a second
//! document and keys that are there twice.

use crate::error::{Error, ErrorKind, Place, Result};
use crate::kubernetes::audit_policy::{self, AuditRefusal, LEVELS, STAGES};
use crate::profile::SourceText;
use crate::version::KubernetesMinor;

/// Checks that the API server of a minor accepts the policy `source` and obeys all of it.
///
/// # Errors
/// [`ErrorKind::BadInput`] with the place, in the API server's own words.
pub fn check(source: &SourceText, minor: KubernetesMinor) -> Result<()> {
    let error = |position, message: String| {
        let place = Place { file: source.name().to_owned(), position: Some(position) };
        Error::new(ErrorKind::BadInput, message).at(place)
    };
    if source.text().starts_with(['\u{feff}', '%']) {
        let message = "the file begins with a byte order mark or a directive".to_owned();
        return Err(error((1, 1), message).hint("remove it"));
    }
    let policy = audit_policy::read(source.text().as_bytes(), minor).map_err(|refusal| {
        error(refusal.fault.position, refusal.fault.message).hint(hint(refusal.reason, minor))
    })?;
    if let Some(fault) = policy.dropped.first() {
        return Err(error(fault.position, fault.message.clone()).hint(
            "spell the field exactly as Kubernetes does, and set it once: the API server drops it silently",
        ));
    }
    Ok(())
}

fn hint(reason: AuditRefusal, minor: KubernetesMinor) -> String {
    match reason {
        AuditRefusal::Syntax | AuditRefusal::Decoding => "write it as Kubernetes' Policy has it".to_owned(),
        AuditRefusal::Version => {
            let versions = audit_policy::versions(minor).join(" or ");
            format!("write apiVersion: {versions} and kind: Policy")
        }
        AuditRefusal::Level => format!("write one of {}", LEVELS.map(|(name, _)| name).join(", ")),
        AuditRefusal::Stage => format!("write one of {}", STAGES.join(", ")),
        AuditRefusal::Url => {
            "write /path or /path*, in a rule of its own without resources and namespaces".to_owned()
        }
        AuditRefusal::Group => "write apps, not apps/v1; \"\" is the core group".to_owned(),
        AuditRefusal::NoRules => "write at least rules: [{level: Metadata}]".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint_on(minor: &str, text: &str) -> String {
        let source = SourceText::new("audit.yaml", text.as_bytes().to_vec());
        let checked = source.and_then(|source| check(&source, minor.parse().unwrap()));
        checked.err().map_or_else(String::new, |error| error.to_string())
    }

    fn complaint(rules: &str) -> String {
        complaint_on("1.33", &format!("apiVersion: audit.k8s.io/v1\nkind: Policy\n{rules}"))
    }

    #[test]
    fn what_the_api_server_takes_is_taken() {
        assert_eq!(complaint("rules:\n- level: Metadata\n"), "");
        assert_eq!(
            complaint(
                "omitStages: [RequestReceived]\nrules:\n- level: None\n  nonResourceURLs: ['/healthz*']\n- level: Request\n  verbs: [get]\n  resources: [{group: '', resources: [pods], resourceNames: [x]}]\n"
            ),
            ""
        );
        let every_group =
            "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: None, resources: [{group: '*'}]}]\n";
        assert_eq!(complaint_on("1.36", every_group), "");
        assert!(complaint_on("1.35", every_group).starts_with("audit.yaml:3:43: rules[0].resources.group:"));
        let old = "apiVersion: audit.k8s.io/v1beta1\nkind: Policy\nrules: [{level: None}]\n";
        assert_eq!(complaint_on("1.23", old), "");
        assert_eq!(
            complaint_on("1.24", old),
            "audit.yaml:1:13: failed decoding: no kind \"Policy\" is registered for version \"audit.k8s.io/v1beta1\""
        );
    }

    #[test]
    fn what_it_refuses_or_drops_is_refused() {
        for (rules, message) in [
            ("rules: []\n", "3:8: loaded illegal policy with 0 rules"),
            ("", "1:1: loaded illegal policy with 0 rules"),
            (
                "rules:\n- level: metadata\n",
                "4:10: rules[0].level: Unsupported value: \"metadata\": supported values: \"None\", \"Metadata\", \"Request\", \"RequestResponse\"",
            ),
            ("rules:\n- verbs: [get]\n", "4:3: rules[0].level: Required value"),
            ("rules:\n- level: Metadata\n  verb: [get]\n", "5:3: unknown field \"rules[0].verb\""),
            ("rules:\n- level: Metadata\n  level: None\n", "5:3: the key \"level\" is here a second time"),
            (
                "rules:\n- level: Metadata\n  omitStages: [Received]\n",
                "5:16: rules[0].omitStages[0]: Invalid value: \"Received\": allowed stages are RequestReceived,ResponseStarted,ResponseComplete,Panic",
            ),
            (
                "rules:\n- level: Metadata\n  resources: [{group: apps/v1}]\n",
                "5:23: rules[0].resources.group: Invalid value: \"apps/v1\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
            ),
            (
                "rules:\n- level: Metadata\n  namespaces: [a]\n  nonResourceURLs: [/x]\n",
                "6:20: rules[0].nonResourceURLs: Invalid value: rules cannot apply to both regular resources and non-resource URLs",
            ),
            (
                "rules:\n- level: Metadata\n  nonResourceURLs: ['/a*b']\n",
                "5:21: rules[0].nonResourceURLs[0]: Invalid value: \"/a*b\": non-resource URL wildcards '*' must be the final character of the rule",
            ),
            ("rules: [{level: None}]\n---\nrules: []\n", "4:1: a second document begins here"),
        ] {
            assert_eq!(complaint(rules), format!("audit.yaml:{message}"));
        }
        assert_eq!(
            complaint_on("1.33", "\u{feff}apiVersion: audit.k8s.io/v1\n"),
            "audit.yaml:1:1: the file begins with a byte order mark or a directive"
        );
    }
}
