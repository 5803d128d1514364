// SPDX-License-Identifier: Apache-2.0
//! What every answer and every report tells of its node and of itself.

use serde::Serialize;
use serde_json::{Map, Value};

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
}

impl Default for ReportOrigin {
    fn default() -> Self {
        Self {
            host: None,
            machine_id_sha256: None,
            time: None,
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            k3s_version: None,
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
    pub(super) fn known(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("host", self.host.as_deref()),
            ("machine_id_sha256", self.machine_id_sha256.as_deref()),
            ("time", self.time.as_deref()),
            ("tool_version", Some(self.tool_version.as_str())),
            ("k3s_version", self.k3s_version.as_deref()),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }
}
