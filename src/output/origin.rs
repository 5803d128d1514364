// SPDX-License-Identifier: Apache-2.0
//! What every answer and every report tells of its node and of itself.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::kubernetes::next_minor;
use crate::version::{AssumedMinor, KubernetesMinor};

/// The version of the JSON outputs. Within 1.x, fields are only added.
pub(super) const FORMAT_VERSION: &str = "1.1";

/// The node that an answer is about, and when which version of k3s-harden gave it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportOrigin {
    /// The node's name.
    pub host: Option<String>,
    /// The SHA-256 of the node's machine id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine_id_sha256: Option<String>,
    /// The time in UTC, as `2026-11-25T09:00:00Z`.
    pub time: Option<String>,
    /// The version of k3s-harden.
    pub tool_version: String,
    /// The version of K3s, as exactly as it is known: `v1.33.4+k3s1`, or `1.33`.
    pub k3s_version: Option<String>,
    /// What the node is taken for, if its minor is newer than this version knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assumed: Option<Assumption>,
}

/// What a node is taken for whose minor is newer than this version of k3s-harden knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Assumption {
    #[serde(flatten)]
    minors: AssumedMinor,
    /// What the minor is known to change, and what is not judged therefore.
    not_judged: Vec<String>,
}

impl From<AssumedMinor> for Assumption {
    fn from(minors: AssumedMinor) -> Self {
        Self { minors, not_judged: next_minor::known_changes(minors.named) }
    }
}

impl Default for ReportOrigin {
    fn default() -> Self {
        Self {
            host: None,
            machine_id_sha256: None,
            time: None,
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            k3s_version: None,
            assumed: None,
        }
    }
}

/// The fields at the top of every answer in JSON.
#[derive(Debug, Serialize)]
pub(super) struct AnswerHead<'a> {
    format_version: &'static str,
    #[serde(flatten)]
    origin: &'a ReportOrigin,
}

impl ReportOrigin {
    /// Returns the minor that the node is taken for, if its own is newer than this version knows.
    pub(super) fn judged_as(&self) -> Option<KubernetesMinor> {
        self.assumed.as_ref().map(|assumed| assumed.minors.judged_as)
    }

    /// Returns the fields at the top of an answer.
    pub(super) fn head(&self) -> AnswerHead<'_> {
        AnswerHead { format_version: FORMAT_VERSION, origin: self }
    }

    /// Returns an answer with the fields at its top.
    pub(super) fn answer(&self, mut body: Value) -> Value {
        if let (Some(fields), Ok(Value::Object(head))) =
            (body.as_object_mut(), serde_json::to_value(self.head()))
        {
            fields.extend(head);
        }
        body
    }

    /// Returns the fields for a report in the form of another tool.
    pub(super) fn fields(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        }
    }

    /// Returns the fields that are known as texts, for reports that hold nothing else.
    pub(super) fn known(&self) -> impl Iterator<Item = (&'static str, String)> {
        let judged_as = self.judged_as().map(|minor| minor.to_string());
        let text = |text: &Option<String>| text.clone();
        [
            ("host", text(&self.host)),
            ("machine_id_sha256", text(&self.machine_id_sha256)),
            ("time", text(&self.time)),
            ("tool_version", Some(self.tool_version.clone())),
            ("k3s_version", text(&self.k3s_version)),
            ("judged_as", judged_as),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }
}
