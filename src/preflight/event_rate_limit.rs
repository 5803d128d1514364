//! The configuration of the admission plugin EventRateLimit.
//!
//! Source: plugin/pkg/admission/eventratelimit of Kubernetes. It is read leniently in every minor.

use super::Finding;
use super::admission::{PluginConfig, unknown_field};
use super::apiserver::{ApiServer, refused};
use crate::kubernetes::object::{self, Fault, FieldType, ObjectFile};

const VERSION: &str = "eventratelimit.admission.k8s.io/v1alpha1";
const TYPES: [&str; 4] = ["Server", "Namespace", "User", "SourceAndObject"];
const SAYS: &str = "couldn't init admission plugin \"EventRateLimit\": ";

const CONFIGURATION: FieldType = FieldType::Object(&[
    ("apiVersion", FieldType::String),
    ("kind", FieldType::String),
    ("limits", FieldType::List(&LIMIT)),
]);
const LIMIT: FieldType = FieldType::Object(&[
    ("type", FieldType::String),
    ("qps", FieldType::Int32),
    ("burst", FieldType::Int32),
    ("cacheSize", FieldType::Int32),
]);

pub(super) fn judge(own: &PluginConfig) -> Vec<Finding> {
    let refuse = |code, fault: &Fault| {
        let remedy = match code {
            "event-rate-limit-version" => {
                "write apiVersion: eventratelimit.admission.k8s.io/v1alpha1 and kind: Configuration"
            }
            "event-rate-limit-limits" => {
                "write limits with type (Server, Namespace, User or SourceAndObject), qps and burst"
            }
            _ => "mend the YAML",
        };
        refused(code, &own.path, fault, SAYS, remedy)
    };
    let document = match &own.document {
        Ok(Some(document)) => document,
        Ok(None) => {
            return vec![refuse(
                "event-rate-limit-limits",
                &Fault::new(own.position, "limits: must not be empty"),
            )];
        }
        Err(fault) => return vec![refuse("event-rate-limit-syntax", fault)],
    };
    match check(document) {
        Err((code, fault)) => vec![refuse(code, &fault)],
        Ok(loose) => {
            let dropped = |fault: &Fault| unknown_field("event-rate-limit-field", &own.path, fault);
            loose.iter().map(dropped).collect()
        }
    }
}

/// It is on, and nobody configures it.
pub(super) fn without_limits(server: &ApiServer<'_>) -> Finding {
    let finding = Finding::stops(
        "event-rate-limit-limits",
        "EventRateLimit is on without limits",
        "configure its limits in the file that admission-control-config-file names, or take it out of enable-admission-plugins",
    )
    .says(format!("{SAYS}limits: Invalid value: null: must not be empty"));
    server.at("enable-admission-plugins", finding)
}

fn check(document: &ObjectFile) -> Result<Vec<Fault>, (&'static str, Fault)> {
    let root = &document.root;
    let syntax = |fault| ("event-rate-limit-syntax", fault);
    let (version, kind) = document.kind().map_err(syntax)?;
    if version != VERSION || kind != "Configuration" {
        let (field, message) = if kind.is_empty() {
            ("kind", "Object 'Kind' is missing".to_owned())
        } else if version.is_empty() {
            ("apiVersion", "Object 'apiVersion' is missing".to_owned())
        } else {
            ("apiVersion", format!("no kind {kind:?} is registered for version {version:?}"))
        };
        return Err(("event-rate-limit-version", Fault::new(object::place(root, field), message)));
    }
    let loose = document.decode(&CONFIGURATION).map_err(syntax)?;
    let wrong = |position, message: String| Err(("event-rate-limit-limits", Fault::new(position, message)));
    let limits = object::items(root, "limits");
    if limits.is_empty() {
        return wrong(
            object::place(root, "limits"),
            "limits: Invalid value: null: must not be empty".to_owned(),
        );
    }
    for (index, limit) in limits.iter().enumerate() {
        let path = format!("limits[{index}]");
        let kind = object::text(limit, "type");
        if !TYPES.contains(&kind) {
            let message = format!(
                "{path}.type: Unsupported value: {kind:?}: supported values: \"Namespace\", \"User\", \"SourceAndObject\", \"Server\""
            );
            return wrong(object::place(limit, "type"), message);
        }
        for name in ["burst", "qps"] {
            let value = object::number(limit, name);
            if value <= 0 {
                let message = format!("{path}.{name}: Invalid value: {value}: must be positive");
                return wrong(object::place(limit, name), message);
            }
        }
        let cache = object::number(limit, "cacheSize");
        if kind != "Server" && cache < 0 {
            let message = format!("{path}.cacheSize: Invalid value: {cache}: must not be negative");
            return wrong(object::place(limit, "cacheSize"), message);
        }
    }
    Ok(loose)
}
