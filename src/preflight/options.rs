//! Flags of the API server whose values parse and that it refuses all the same: unknown plugins and modes, numbers out of
//! range, flags that exclude each other.
//!
//! Source: pkg/server/options of k8s.io/apiserver, pkg/kubeapiserver/options of Kubernetes.

use super::Finding;
use super::apiserver::{ApiServer, NAME};
use crate::kubernetes::{admission_plugins, flag_values};

const MODES: [&str; 6] = ["AlwaysAllow", "AlwaysDeny", "ABAC", "Webhook", "RBAC", "Node"];
/// Flags that must not be negative.
const NOT_NEGATIVE: [&str; 8] = [
    "livez-grace-period",
    "max-mutating-requests-inflight",
    "max-requests-inflight",
    "min-request-timeout",
    "request-timeout",
    "shutdown-delay-duration",
    "shutdown-watch-termination-grace-period",
    "storage-initialization-timeout",
];
const MEDIA_TYPES: [&str; 3] =
    ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
const SECOND: i128 = 1_000_000_000;

pub(super) fn check(server: &ApiServer<'_>) -> Vec<Finding> {
    let mut findings = plugins(server);
    findings.extend(modes(server));
    findings.extend(numbers(server));
    findings.extend(names(server));
    findings
}

/// Returns the finding for a flag, with its place if the user has set it.
fn refused(server: &ApiServer<'_>, flag: &str, code: &'static str, says: String, remedy: &str) -> Finding {
    let message = format!("{NAME} refuses {flag}={}", server.value(flag).unwrap_or_default());
    server.at(flag, Finding::stops(code, message, remedy).says(says))
}

fn plugins(server: &ApiServer<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let flags = ["enable-admission-plugins", "disable-admission-plugins", "admission-control"];
    for flag in flags {
        for name in
            server.list(flag).into_iter().filter(|name| !admission_plugins::has(server.node.minor, name))
        {
            let message = format!(
                "{NAME} of {} has no admission plugin {name:?}{}",
                server.node.minor,
                admission_plugins::availability(server.node.minor, &name)
            );
            let remedy = match admission_plugins::nearest(server.node.minor, &name) {
                Some(meant) => format!("write {meant}"),
                None if name.is_empty() => "remove the comma".to_owned(),
                None => "remove it".to_owned(),
            };
            let finding = Finding::stops("admission-plugin-unknown", message, remedy);
            findings.push(server.at(flag, finding.says(format!("{flag} plugin {name:?} is unknown"))));
        }
    }
    let enabled = server.list("enable-admission-plugins");
    let both: Vec<String> =
        server.list("disable-admission-plugins").into_iter().filter(|name| enabled.contains(name)).collect();
    if !both.is_empty() {
        let says = format!(
            "[{}] in enable-admission-plugins and disable-admission-plugins overlapped",
            both.join(" ")
        );
        let message = format!("{} is enabled and disabled", both.join(", "));
        let finding =
            Finding::stops("admission-plugin-overlap", message, "remove it from one of the two lists");
        findings.push(server.at("disable-admission-plugins", finding.says(says)));
    }
    if server.has("admission-control") && flags[..2].iter().any(|flag| server.has(flag)) {
        let says = "admission-control and enable-admission-plugins/disable-admission-plugins flags are mutually exclusive";
        let message = "admission-control does not go together with enable-admission-plugins, which K3s sets";
        let finding = Finding::stops("admission-control", message, "write enable-admission-plugins instead");
        findings.push(server.at("admission-control", finding.says(says)));
    }
    findings
}

fn modes(server: &ApiServer<'_>) -> Vec<Finding> {
    const FLAG: &str = "authorization-mode";
    const CODE: &str = "argument-authorization-mode";
    if server.value("authorization-config").is_some() {
        let says = "--authorization-config can not be specified when --authorization-mode or --authorization-webhook-* flags are defined";
        let clashes = server.has(FLAG).then(|| {
            refused(
                server,
                "authorization-config",
                CODE,
                says.to_owned(),
                "remove it: K3s sets authorization-mode",
            )
        });
        return clashes.into_iter().collect();
    }
    let modes = server.list(FLAG);
    let policy = server.value("authorization-policy-file").is_some();
    let webhook = server.value("authorization-webhook-config-file").is_some();
    let refuse = |says: String, remedy: &str| refused(server, FLAG, CODE, says, remedy);
    let mut findings = Vec::new();
    if modes.is_empty() && server.has(FLAG) {
        findings.push(refuse("at least one authorization-mode must be passed".to_owned(), "write Node,RBAC"));
    }
    for mode in modes.iter().filter(|mode| !MODES.contains(&mode.as_str())) {
        let says = format!("authorization-mode {mode:?} is not a valid mode");
        findings.push(refuse(says, "write Node,RBAC"));
    }
    if (1..modes.len()).any(|at| modes[..at].contains(&modes[at])) {
        let quoted: Vec<String> = modes.iter().map(|mode| format!("{mode:?}")).collect();
        let says = format!("authorization-mode [{}] has mode specified more than once", quoted.join(" "));
        findings.push(refuse(says, "write each mode once"));
    }
    let pairs = [
        ("ABAC", policy, "authorization-policy-file", "authorization policy file"),
        ("Webhook", webhook, "authorization-webhook-config-file", "authorization config file"),
    ];
    for (mode, given, flag, name) in pairs {
        match (modes.iter().any(|known| known == mode), given) {
            (true, false) => {
                let says = format!("authorization-mode {mode}'s {name} not passed");
                findings.push(refuse(says, "name its file, or remove the mode"));
            }
            (false, true) => {
                let says = format!("cannot specify --{flag} without mode {mode}");
                findings.push(refused(server, flag, CODE, says, "remove it, or add the mode"));
            }
            _ => {}
        }
    }
    findings
}

/// Returns the value of a flag as a number: a duration's in nanoseconds.
fn amount(server: &ApiServer<'_>, flag: &str) -> Option<i128> {
    let text = server.value(flag)?;
    flag_values::integer(text).or_else(|| flag_values::duration(text))
}

fn numbers(server: &ApiServer<'_>) -> Vec<Finding> {
    const CODE: &str = "argument-range";
    let mut findings = Vec::new();
    for flag in NOT_NEGATIVE {
        if amount(server, flag).is_some_and(|value| value < 0) {
            let says = format!("--{flag} can not be negative value");
            findings.push(refused(server, flag, CODE, says, "write 0 or more"));
        }
    }
    if amount(server, "request-timeout") == Some(0) {
        let says = "timed out waiting for the condition".to_owned();
        findings.push(refused(server, "request-timeout", CODE, says, "write a duration such as 300s"));
    }
    let expiration = amount(server, "service-account-max-token-expiration");
    if expiration
        .is_some_and(|value| value != 0 && !(3600 * SECOND..=(1_i128 << 32) * SECOND).contains(&value))
    {
        let says = "the service-account-max-token-expiration must be between 1 hour and 2^32 seconds";
        let flag = "service-account-max-token-expiration";
        findings.push(refused(server, flag, CODE, says.to_owned(), "write 1h or more"));
    }
    let chance = server.value("goaway-chance").and_then(flag_values::number);
    if chance.is_some_and(|chance| !(0.0..=0.02).contains(&chance)) {
        let says = "--goaway-chance can not be less than 0 or greater than 0.02".to_owned();
        findings.push(refused(server, "goaway-chance", CODE, says, "write a number from 0 to 0.02"));
    }
    if let Some(port) = server.number("secure-port").filter(|port| !(1..=65535).contains(port)) {
        let says = format!(
            "--secure-port {port} must be between 1 and 65535, inclusive. It cannot be turned off with 0"
        );
        findings.push(refused(server, "secure-port", CODE, says, "write a port"));
    }
    findings
}

/// Flags that take one of a fixed set of names.
fn names(server: &ApiServer<'_>) -> Vec<Finding> {
    const CODE: &str = "argument-name";
    let mut findings = Vec::new();
    if server.value("storage-media-type").is_some_and(|text| !MEDIA_TYPES.contains(&text)) {
        let says = format!("--storage-media-type invalid, allowed values: {}", MEDIA_TYPES.join(", "));
        findings.push(refused(server, "storage-media-type", CODE, says, "remove it"));
    }
    if server.value("storage-backend").is_some_and(|text| text != "etcd3") {
        let says =
            "--storage-backend invalid, allowed values: etcd3. If not specified, it will default to 'etcd3'";
        findings.push(refused(server, "storage-backend", CODE, says.to_owned(), "remove it"));
    }
    let reload = server.value("encryption-provider-config-automatic-reload").and_then(flag_values::boolean);
    if reload == Some(true) && server.value("encryption-provider-config").is_none() {
        let flag = "encryption-provider-config-automatic-reload";
        let says = format!("--{flag} must be set with --encryption-provider-config");
        findings.push(refused(server, flag, CODE, says, "remove it, or switch secrets-encryption on"));
    }
    findings
}
