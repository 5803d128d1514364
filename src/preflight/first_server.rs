// SPDX-License-Identifier: Apache-2.0
//! Compares a server with the one that it joins, of which the configuration is a file: the output of `effective-config
//! --format json` there. K3s makes the same comparison when it joins, and exits where a value differs.

use serde::Deserialize;
use serde_json::Value;

use super::finding::{Class, Finding, StartVerdict};
use crate::Role;
use crate::document::DROP_IN_NAME;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::k3s::critical_values::{self, CriticalRow, CriticalType, Meant, WrittenValues};
use crate::k3s::encryption_change::EncryptionChange;
use crate::k3s::flags::{ENCRYPTION_KEY, PROVIDER_KEY};
use crate::k3s::{Datastore, NodeConfig};
use crate::version::{Availability, K3sRelease, K3sVersion};

/// The largest file that is read, in bytes: what `effective-config` prints is far below.
pub const MAX_SERVER_CONFIG_BYTES: usize = 4 * 1024 * 1024;

/// The code of the finding that stands where nothing is compared.
const NOT_COMPARED: &str = "critical-settings";
/// What K3s says.
const SAYS: &str = "critical configuration mismatched: ";
/// The asterisks that `effective-config` writes for a secret.
const MASKED: &str = "********";

/// The configuration of the server that others join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstServer {
    /// The file, as the user named it.
    pub file: String,
    /// The name of the server, if the file has it.
    pub host: Option<String>,
    release: K3sRelease,
    version: String,
    values: WrittenValues,
    origins: Vec<(String, String)>,
}

#[derive(Deserialize)]
struct ServerConfigText {
    #[serde(default)]
    host: Option<String>,
    #[serde(default)]
    k3s_version: Option<String>,
    #[serde(default)]
    role: Option<String>,
    argv: Vec<String>,
    values: std::collections::BTreeMap<String, ServerValueText>,
}

#[derive(Deserialize)]
struct ServerValueText {
    value: Value,
    #[serde(default)]
    origin: String,
}

impl FirstServer {
    /// Reads the output of `effective-config --format json`.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] for anything else, for another format version, and for the configuration of an agent.
    pub fn read(file: &str, bytes: &[u8]) -> Result<Self> {
        let error = |why: String, position| {
            Error::new(ErrorKind::BadInput, format!("this is not the configuration of a server: {why}"))
                .at(Place { file: file.to_owned(), position })
                .hint("write it on the first server: `k3s-harden effective-config --format json > FILE`")
        };
        if bytes.len() > MAX_SERVER_CONFIG_BYTES {
            return Err(error(format!("it is larger than {MAX_SERVER_CONFIG_BYTES} bytes"), None));
        }
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(error("it is empty".to_owned(), None));
        }
        let any: Value = serde_json::from_slice(bytes).map_err(|cause| {
            error("it is not JSON".to_owned(), Some((cause.line().max(1), cause.column().max(1))))
        })?;
        match any.get("format_version").and_then(Value::as_str) {
            None => return Err(error("it has no format_version".to_owned(), None)),
            Some(format) if !format.starts_with("1.") => {
                return Err(error(format!("its format is {format:?}, and this version reads 1.x"), None));
            }
            Some(_) => {}
        }
        let text: ServerConfigText =
            serde_json::from_value(any).map_err(|cause| error(cause.to_string(), None))?;
        // Before the role was told, the command line said it.
        let role = text
            .role
            .or_else(|| text.argv.into_iter().find(|word| ["server", "agent"].contains(&word.as_str())));
        match role.as_deref() {
            Some("server") => {}
            Some("agent") => return Err(error("it is that of an agent".to_owned(), None)),
            _ => return Err(error("it does not say that K3s runs as a server".to_owned(), None)),
        }
        let Some(version) = text.k3s_version else {
            return Err(error("it does not say which K3s it is of".to_owned(), None)
                .hint("name it there: --k3s-version v1.33.4+k3s1"));
        };
        let parsed = version.parse::<K3sVersion>();
        let release =
            parsed.map_err(|cause| error(format!("k3s_version: {}", cause.message()), None))?.number();
        let mut values = WrittenValues::new();
        let mut origins = Vec::new();
        for (key, ServerValueText { value, origin }) in text.values {
            let items = match value {
                Value::String(text) => vec![text],
                Value::Array(items) => items
                    .into_iter()
                    .map(|item| match item {
                        Value::String(text) => Ok(text),
                        other => Err(error(format!("values.{key} has {other}"), None)),
                    })
                    .collect::<Result<_>>()?,
                Value::Null => Vec::new(),
                other => return Err(error(format!("values.{key}.value is {other}"), None)),
            };
            origins.push((key.clone(), origin));
            values.insert(key, items);
        }
        Ok(Self { file: file.to_owned(), host: text.host, release, version, values, origins })
    }

    fn name(&self) -> String {
        match &self.host {
            Some(host) => format!("the first server ({host})"),
            None => "the first server".to_owned(),
        }
    }

    fn origin(&self, key: &str) -> String {
        let origin = self.origins.iter().find(|(name, _)| name == key).map(|(_, origin)| origin.as_str());
        origin.filter(|origin| !origin.is_empty()).map(|origin| format!(" ({origin})")).unwrap_or_default()
    }

    fn is_masked(&self, key: &str) -> bool {
        self.values.get(key).into_iter().flatten().any(|item| item.contains(MASKED))
    }
}

/// Compares a node with the server that it joins, and puts the result in the place of the finding that says that nothing was
/// compared.
pub fn compare(node: &NodeConfig<'_>, first: &FirstServer, verdict: &mut StartVerdict) {
    verdict.findings.retain(|finding| finding.code != NOT_COMPARED);
    verdict.add(super::newer::judged(node.minor(), findings(node, first)));
}

fn findings(node: &NodeConfig<'_>, first: &FirstServer) -> Vec<Finding> {
    if node.role == Role::Agent {
        return vec![Finding::not_judged(
            "server-config-agent",
            format!("this is an agent: K3s compares nothing of it with {}", first.name()),
            "leave --server-config out",
        )];
    }
    let Ok(effective) = &node.effective else {
        // Why K3s cannot read its configuration is a finding of its own.
        return vec![Finding::unknown(
            "server-config-unread",
            format!("nothing was compared with {}: K3s cannot read its configuration here", first.name()),
            "fix it, and run preflight again",
        )];
    };
    let here: WrittenValues =
        effective.values.iter().map(|(key, value)| (key.clone(), value.items.clone())).collect();
    let mut found = Vec::new();
    let mut not_compared = Vec::new();
    for row in critical_values::rows() {
        match one(node, first, &here, row) {
            Comparison::Same => {}
            Comparison::Differs(finding) => found.push(*finding),
            Comparison::NotCompared(why) => not_compared.push(why),
        }
    }
    if !not_compared.is_empty() {
        found.push(Finding::not_judged(
            NOT_COMPARED,
            format!("not compared with {}: {}", first.name(), not_compared.join("; ")),
            "see that they are the same on all servers",
        ));
    }
    found
}

/// What comes of a key.
enum Comparison {
    Same,
    Differs(Box<Finding>),
    NotCompared(String),
}

fn one(node: &NodeConfig<'_>, first: &FirstServer, here: &WrittenValues, row: &CriticalRow) -> Comparison {
    let (key, _) = row.written_as();
    let (ours, theirs) = (row.availability(node.release), row.availability(first.release));
    let is_sure = match (&ours, &theirs) {
        (Availability::Absent, Availability::Absent) => return Comparison::Same,
        (Availability::Absent, Availability::Present) | (Availability::Present, Availability::Absent) => {
            let (here, there) = (node.release, &first.version);
            return Comparison::NotCompared(format!(
                "{} (only one of K3s {here} and {there} has it)",
                row.key
            ));
        }
        (Availability::Present, Availability::Present) => true,
        (Availability::Differs { .. }, _) | (_, Availability::Differs { .. }) => false,
    };
    let masked =
        here.get(key).into_iter().flatten().any(|item| item.contains(MASKED)) || first.is_masked(key);
    if masked {
        return Comparison::NotCompared(format!(
            "{} (it is a secret, which effective-config masks)",
            row.key
        ));
    }
    let (here_meant, there_meant) = (row.meant(here, node.release), row.meant(&first.values, first.release));
    let (here, there) = match (here_meant, there_meant) {
        (Meant::Unclear(why), _) => return Comparison::NotCompared(format!("{} (here {why})", row.key)),
        (_, Meant::Unclear(why)) => return Comparison::NotCompared(format!("{} (there {why})", row.key)),
        (Meant::Value(here), Meant::Value(there)) => (here, there),
    };
    if here == there {
        return Comparison::Same;
    }
    let mut finding = finding(node, first, row, &here, &there);
    if !is_sure && finding.class == Class::Stops {
        finding.class = Class::Unknown;
        finding.message += ", if its release compares it: name both releases in full";
    }
    Comparison::Differs(Box::new(finding))
}

fn finding(
    node: &NodeConfig<'_>,
    first: &FirstServer,
    row: &CriticalRow,
    here: &str,
    there: &str,
) -> Finding {
    let (key, _) = row.written_as();
    let place = node.value(key).map(|(_, place)| place);
    let message = match row.kind {
        CriticalType::Secret => format!("{} differs from the one on {}", row.key, first.name()),
        _ => format!("{} is {here} here, and {there} on {}{}", row.key, first.name(), first.origin(key)),
    };
    let remedy = remedy(node, row, there, place.as_ref());
    let finding = if !row.compared {
        let message =
            format!("{message}: K3s does not compare this value, but agents can join with only one of them");
        Finding::warns("server-value-differs", message, remedy)
    } else {
        match joining(node) {
            Joining::Compares => {
                Finding::stops("server-value-differs", format!("{message}: K3s exits when it joins"), remedy)
                    .says(format!("{SAYS}{}", said_as(row)))
                    .in_newer_minors_too()
            }
            Joining::HasJoined => Finding::warns(
                "server-value-differs",
                format!(
                    "{message}: this server has joined, so K3s no longer compares it, and the servers disagree"
                ),
                remedy,
            ),
            Joining::Datastore => Finding::warns(
                "server-value-differs",
                format!(
                    "{message}: with an external datastore K3s does not compare it, and the servers disagree"
                ),
                remedy,
            ),
        }
    };
    match place {
        Some(place) => finding.at(place),
        None => finding,
    }
}

/// Returns the name by which K3s says it.
fn said_as(row: &CriticalRow) -> &str {
    if row.key == "disable=servicelb" { "disable-service-lb" } else { &row.key }
}

/// Whether K3s compares the values at its next start.
enum Joining {
    /// It joins embedded etcd, or is told by its installer to.
    Compares,
    /// Its embedded etcd has begun (k3s#12753).
    HasJoined,
    /// The servers share an external datastore.
    Datastore,
}

fn joining(node: &NodeConfig<'_>) -> Joining {
    if node.root.is_directory(&node.data_dir.join(Datastore::ETCD_LOG)) {
        return Joining::HasJoined;
    }
    match node.value("datastore-endpoint") {
        Some((endpoint, _)) if !endpoint.is_empty() => Joining::Datastore,
        _ => Joining::Compares,
    }
}

fn remedy(node: &NodeConfig<'_>, row: &CriticalRow, there: &str, place: Option<&Place>) -> String {
    let is_ours = place.is_some_and(|place| place.file.ends_with(DROP_IN_NAME));
    match (row.key.as_str(), is_ours) {
        (ENCRYPTION_KEY, true) => format!(
            "harden the first server with the same settings before it starts; if it has started, {}; or leave Secrets plain here too: `k3s-harden apply --set secrets_encryption=false`",
            EncryptionChange::TurnOn.advice(node.release)
        ),
        (ENCRYPTION_KEY, false) if there == "true" => {
            "harden this server with the same settings (`k3s-harden apply`), or write secrets-encryption: true"
                .to_owned()
        }
        (PROVIDER_KEY, true) => "give both servers the same setting encryption_provider".to_owned(),
        (_, true) => "harden both servers with the same profile and settings".to_owned(),
        (_, false) => match (row.kind, row.written_as()) {
            (CriticalType::Secret, (key, _)) => format!("write the same {key} on all servers"),
            (_, (key, Some(word))) if there == "true" => format!("add {word} to the list {key} here"),
            (_, (key, Some(word))) => format!("take {word} out of the list {key} here"),
            (_, (key, None)) => format!("write {key}: {there} here, as on the first server"),
        },
    }
}
