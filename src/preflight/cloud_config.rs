// SPDX-License-Identifier: Apache-2.0
//! The configuration of K3s's own cloud provider that the cloud controller manager's argument `cloud-config` names.
//!
//! Source: pkg/cloudprovider/cloudprovider.go of K3s, whose factory reads the file; what it refuses ends the process
//! (`InitCloudProvider` in pkg/executor/embed). Other fields are dropped, and names count in any case.

use serde_json::Value;

use super::{Finding, apiserver::look};
use crate::error::Result;
use crate::k3s::NodeConfig;

const NAME: &str = "cloud-controller-manager";
const FLAG: &str = "cloud-config";
/// The fields that are true or false.
const SWITCHES: [&str; 3] = ["lbEnabled", "nodeEnabled", "rootless"];
/// The fields that are texts.
const TEXTS: [&str; 3] = ["lbDefaultPriorityClassName", "lbImage", "lbNamespace"];

pub(super) fn check(node: &NodeConfig<'_>) -> Result<Vec<Finding>> {
    let Some(place) = node.place_of(NAME, FLAG).filter(|_| node.runs(NAME)) else { return Ok(Vec::new()) };
    let Some(text) = node.flag(NAME, FLAG).filter(|text| !text.is_empty()) else { return Ok(Vec::new()) };
    let path = node.path(&text)?;
    // What is not there is found with the files of other arguments.
    let Ok(bytes) = look(node, &path)?.into_bytes(&path) else { return Ok(Vec::new()) };
    let Some(reason) = refused(&bytes) else { return Ok(Vec::new()) };
    let message =
        format!("{path}, which {NAME}'s {FLAG} names, is no configuration of K3s's cloud provider: {reason}");
    let finding =
        Finding::stops("argument-file-content", message, "write it as JSON, or remove the argument");
    Ok(vec![finding.says(format!("Cloud provider could not be initialized: {reason}")).at(place)])
}

/// Returns why K3s's provider refuses a configuration; none if it takes it.
fn refused(bytes: &[u8]) -> Option<String> {
    let fields = match serde_json::from_slice(bytes) {
        Ok(Value::Object(fields)) => fields,
        Ok(Value::Null) => return None,
        Ok(_) => {
            return Some("json: cannot unmarshal it into Go value of type cloudprovider.Config".to_owned());
        }
        Err(error) => return Some(error.to_string()),
    };
    let mut is_off = [false; SWITCHES.len()];
    for (name, value) in &fields {
        let is = |known: &&str| known.eq_ignore_ascii_case(name);
        let switch = SWITCHES.iter().position(is);
        match (switch, value) {
            (_, Value::Null) => {}
            (Some(at), Value::Bool(is_on)) => is_off[at] = !is_on,
            (Some(_), _) => return Some(format!("json: cannot unmarshal {name} into a bool")),
            (None, Value::String(_)) => {}
            (None, _) if TEXTS.iter().any(is) => {
                return Some(format!("json: cannot unmarshal {name} into a string"));
            }
            (None, _) => {}
        }
    }
    (is_off[0] && is_off[1]).then(|| "all cloud-provider functionality disabled by config".to_owned())
}

#[cfg(test)]
mod tests {
    use super::refused;

    #[test]
    fn a_configuration_is_json_whose_fields_have_their_types() {
        for text in
            ["{}", "null", "{\"other\": 1, \"lbEnabled\": false}", "{\"LBIMAGE\": \"a\", \"rootless\": null}"]
        {
            assert_eq!(refused(text.as_bytes()), None, "{text}");
        }
        for text in [
            "",
            "a: b",
            "[]",
            "{\"lbEnabled\": \"true\"}",
            "{\"lbimage\": 1}",
            "{\"lbEnabled\": false, \"nodeEnabled\": false}",
        ] {
            assert!(refused(text.as_bytes()).is_some(), "{text}");
        }
    }
}
