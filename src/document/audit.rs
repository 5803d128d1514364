//! An audit policy of the user's, checked before it can stop the API server or, worse, be obeyed in part.
//!
//! The API server falls back to lenient decoding and silently drops fields that it does not know
//! (k8s.io/apiserver/pkg/audit/policy); we do not.

use serde_json::Value;

use crate::error::{Error, Result};
use crate::profile::{DocumentText, Fields, SourceText, describe};

const LEVELS: [&str; 4] = ["None", "Metadata", "Request", "RequestResponse"];
const STAGES: [&str; 4] = ["RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"];

/// Checks that `source` is an audit policy which the API server takes and obeys in full.
///
/// # Errors
/// [`crate::error::ErrorKind::BadInput`] with the place.
pub fn check(source: &SourceText) -> Result<()> {
    let value = source.value()?;
    let text = DocumentText::File(source.clone());
    if source.text().starts_with(['\u{feff}', '%']) {
        return Err(text
            .error(&[], "the file begins with a byte order mark or a directive")
            .hint("remove it"));
    }
    let mut policy = Fields::new(&text, &[], value)?;
    for (key, wanted) in [("apiVersion", "audit.k8s.io/v1"), ("kind", "Policy")] {
        if policy.text(key)?.as_deref() != Some(wanted) {
            return Err(text
                .error(&[key], "this is not an audit policy")
                .hint(format!("write {key}: {wanted}")));
        }
    }
    policy.take("metadata");
    check_list(&text, &["omitStages"], policy.take("omitStages"), &STAGES)?;
    check_boolean(&text, &["omitManagedFields"], policy.take("omitManagedFields"))?;
    let rules = policy.take("rules");
    policy.finish()?;
    let Some(Value::Array(rules)) =
        rules.filter(|rules| rules.as_array().is_some_and(|rules| !rules.is_empty()))
    else {
        return Err(text
            .error(&["rules"], "the policy has no rules")
            .hint("write at least rules: [{level: Metadata}]"));
    };
    for (index, rule) in rules.into_iter().enumerate() {
        check_rule(&text, &index.to_string(), rule)?;
    }
    Ok(())
}

fn check_rule(text: &DocumentText, index: &str, rule: Value) -> Result<()> {
    let path = |key| ["rules", index, key];
    let mut fields = Fields::new(text, &["rules", index], rule)?;
    let level = fields.text("level")?;
    if !level.as_deref().is_some_and(|level| LEVELS.contains(&level)) {
        let found = level
            .map_or_else(|| "the rule has no level".to_owned(), |level| format!("{level:?} is no level"));
        return Err(text.error(&path("level"), found).hint(format!("write one of {}", LEVELS.join(", "))));
    }
    for key in ["users", "userGroups", "verbs", "namespaces"] {
        check_list(text, &path(key), fields.take(key), &[])?;
    }
    check_list(text, &path("omitStages"), fields.take("omitStages"), &STAGES)?;
    check_boolean(text, &path("omitManagedFields"), fields.take("omitManagedFields"))?;
    let resources = fields.take("resources");
    let urls = fields.take("nonResourceURLs");
    check_list(text, &path("nonResourceURLs"), urls.clone(), &[])?;
    if resources.is_some() && urls.is_some() {
        let error =
            text.error(&path("nonResourceURLs"), "a rule is for resources or for other URLs, not for both");
        return Err(error.hint("make two rules of it"));
    }
    match resources {
        None => {}
        Some(Value::Array(groups)) => {
            for (number, group) in groups.into_iter().enumerate() {
                check_group(text, index, &number.to_string(), group)?;
            }
        }
        Some(other) => return Err(not_a_list(text, &path("resources"), &other)),
    }
    fields.finish()
}

fn check_group(text: &DocumentText, index: &str, number: &str, group: Value) -> Result<()> {
    let path = |key| ["rules", index, "resources", number, key];
    let mut fields = Fields::new(text, &["rules", index, "resources", number], group)?;
    if fields.text("group")?.is_some_and(|group| group.contains('/')) {
        let error = text.error(&path("group"), "a group has no version");
        return Err(error.hint("write apps, not apps/v1; \"\" is the core group"));
    }
    check_list(text, &path("resources"), fields.take("resources"), &[])?;
    check_list(text, &path("resourceNames"), fields.take("resourceNames"), &[])?;
    fields.finish()
}

fn check_list(text: &DocumentText, path: &[&str], value: Option<Value>, known: &[&str]) -> Result<()> {
    let items = match value {
        None => return Ok(()),
        Some(Value::Array(items)) => items,
        Some(other) => return Err(not_a_list(text, path, &other)),
    };
    for (index, item) in items.iter().enumerate() {
        let index = index.to_string();
        let here: Vec<&str> = path.iter().copied().chain([index.as_str()]).collect();
        match item.as_str() {
            Some(word) if known.is_empty() || known.contains(&word) => {}
            Some(word) => {
                return Err(text
                    .error(&here, format!("{word:?} is not known"))
                    .hint(format!("write one of {}", known.join(", "))));
            }
            None => {
                return Err(text
                    .error(&here, format!("expected text, found {}", describe(item)))
                    .hint("write it in quotes"));
            }
        }
    }
    Ok(())
}

fn check_boolean(text: &DocumentText, path: &[&str], value: Option<Value>) -> Result<()> {
    match value {
        None | Some(Value::Bool(_)) => Ok(()),
        Some(other) => Err(text.error(path, format!("expected true or false, found {}", describe(&other)))),
    }
}

fn not_a_list(text: &DocumentText, path: &[&str], value: &Value) -> Error {
    text.error(path, format!("expected a list, found {}", describe(value))).hint("write it as [a, b]")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(rules: &str) -> String {
        let text = format!("apiVersion: audit.k8s.io/v1\nkind: Policy\n{rules}");
        check(&SourceText::new("audit.yaml", text.into_bytes()).unwrap())
            .err()
            .map_or_else(String::new, |error| error.to_string())
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
    }

    #[test]
    fn what_it_refuses_or_drops_is_refused() {
        for (rules, message) in [
            ("rules: []\n", "audit.yaml:3:8: the policy has no rules"),
            ("", "audit.yaml:1:1: the policy has no rules"),
            ("rules:\n- level: metadata\n", "audit.yaml:4:10: \"metadata\" is no level"),
            ("rules:\n- verbs: [get]\n", "audit.yaml:4:3: the rule has no level"),
            ("rules:\n- level: Metadata\n  verb: [get]\n", "audit.yaml:5:3: unknown key \"verb\""),
            (
                "rules:\n- level: Metadata\n  omitStages: [Received]\n",
                "audit.yaml:5:16: \"Received\" is not known",
            ),
            (
                "rules:\n- level: Metadata\n  resources: [{group: apps/v1}]\n",
                "audit.yaml:5:23: a group has no version",
            ),
            (
                "rules:\n- level: Metadata\n  resources: [{group: apps}]\n  nonResourceURLs: [/x]\n",
                "audit.yaml:6:20: a rule is for resources or for other URLs, not for both",
            ),
        ] {
            assert_eq!(complaint(rules), message);
        }
        let wrong =
            SourceText::new("a.yaml", b"apiVersion: audit.k8s.io/v1beta1\nkind: Policy\n".to_vec()).unwrap();
        assert_eq!(check(&wrong).unwrap_err().to_string(), "a.yaml:1:13: this is not an audit policy");
    }
}
