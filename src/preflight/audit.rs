//! The audit policy that `audit-policy-file` names, and the log that it is for.
//!
//! Source: pkg/audit/policy, pkg/apis/audit/validation and pkg/server/options/audit.go of k8s.io/apiserver.

use super::Finding;
use super::apiserver::{ApiServer, FileAt, in_file, refused};
use crate::error::Result;
use crate::k3s::NodeConfig;
use crate::kubernetes::object::{self, Fault, FieldType, MAX_FAULTS, METADATA, ObjectFile, STRINGS};
use crate::kubernetes::yaml::YamlNode;
use crate::kubernetes::{flag_values, names};
use crate::node::{PathState, RootedPath};

const LEVELS: [&str; 4] = ["None", "Metadata", "Request", "RequestResponse"];
const STAGES: [&str; 4] = ["RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"];
/// The verbs of a request, and the methods of one that is not for a resource, in small letters.
const VERBS: [&str; 15] = [
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
    "proxy",
    "connect",
    "head",
    "post",
    "put",
    "options",
    "trace",
];
const MODES: [&str; 3] = ["batch", "blocking", "blocking-strict"];
const FORMATS: [&str; 2] = ["legacy", "json"];
const SAYS: &str = "loading audit policy file: ";

const POLICY: FieldType = FieldType::Object(&[
    ("apiVersion", FieldType::String),
    ("kind", FieldType::String),
    ("metadata", METADATA),
    ("rules", FieldType::List(&RULE)),
    ("omitStages", STRINGS),
    ("omitManagedFields", FieldType::Bool),
]);
const RULE: FieldType = FieldType::Object(&[
    ("level", FieldType::String),
    ("users", STRINGS),
    ("userGroups", STRINGS),
    ("verbs", STRINGS),
    ("resources", FieldType::List(&GROUP)),
    ("namespaces", STRINGS),
    ("nonResourceURLs", STRINGS),
    ("omitStages", STRINGS),
    ("omitManagedFields", FieldType::Bool),
]);
const GROUP: FieldType =
    FieldType::Object(&[("group", FieldType::String), ("resources", STRINGS), ("resourceNames", STRINGS)]);

pub(super) fn judge(node: &NodeConfig<'_>) -> Result<Vec<Finding>> {
    let Some(server) = ApiServer::of(node) else { return Ok(Vec::new()) };
    let mut findings = switched_on(&server);
    options(&server, &mut findings);
    if let Some(policy) = server.value("audit-policy-file") {
        judge_policy(&server, policy, &mut findings)?;
    }
    if let Some(log) = server.value("audit-log-path").filter(|path| *path != "-") {
        judge_log(&server, log, &mut findings)?;
    }
    Ok(findings)
}

/// A policy without a place for its events, and the reverse.
fn switched_on(server: &ApiServer<'_>) -> Vec<Finding> {
    let backend =
        ["audit-log-path", "audit-webhook-config-file"].into_iter().find(|name| server.value(name).is_some());
    let finding = match (server.value("audit-policy-file"), backend) {
        (Some(_), None) => server.at(
            "audit-policy-file",
            Finding::hardens_nothing(
                "audit-no-log",
                "there is an audit policy, but no audit-log-path: nothing is recorded",
                "set audit-log-path",
            ),
        ),
        (None, Some(name)) => server.at(
            name,
            Finding::hardens_nothing(
                "audit-no-policy",
                format!("{name} is set, but no audit-policy-file: nothing is recorded"),
                "set audit-policy-file",
            )
            .says("No audit policy file provided, no events will be recorded"),
        ),
        _ => return Vec::new(),
    };
    vec![finding]
}

/// What the flags of a log or webhook that is on have to be.
fn options(server: &ApiServer<'_>, findings: &mut Vec<Finding>) {
    let mut refuse = |name: &str, says: String, remedy: &str| {
        let message = format!("{name} is {:?}", server.value(name).unwrap_or_default());
        findings.push(server.at(name, Finding::stops("audit-option", message, remedy).says(says)));
    };
    for (plugin, switch) in [("log", "audit-log-path"), ("webhook", "audit-webhook-config-file")] {
        if server.value(switch).is_none() {
            continue;
        }
        let flag = |name: &str| format!("audit-{plugin}-{name}");
        let mode = server.value(&flag("mode"));
        if let Some(mode) = mode.filter(|mode| !MODES.contains(mode)) {
            let says = format!(
                "invalid audit {plugin} mode {mode}, allowed modes are \"batch,blocking,blocking-strict\""
            );
            refuse(&flag("mode"), says, "write batch, blocking or blocking-strict");
        }
        if mode == Some("batch") || (mode.is_none() && plugin == "webhook") {
            let throttled = server
                .value(&flag("batch-throttle-enable"))
                .is_none_or(|text| flag_values::boolean(text) == Some(true));
            let sizes = ["batch-buffer-size", "batch-max-size"].into_iter();
            let throttles = ["batch-throttle-burst", "batch-throttle-qps"].into_iter().filter(|_| throttled);
            for name in sizes.chain(throttles) {
                let value = server.value(&flag(name)).and_then(flag_values::number);
                if value.is_some_and(|value| value <= 0.0) {
                    refuse(
                        &flag(name),
                        format!("invalid audit batch {plugin} {name}, must be a positive number"),
                        "write a positive number",
                    );
                }
            }
        }
        if server.number(&flag("truncate-max-event-size")).is_some_and(|value| value <= 0) {
            let says = format!("invalid audit truncate {plugin} max event size, must be a positive number");
            refuse(&flag("truncate-max-event-size"), says, "write a positive number");
        }
        let batch = server.number(&flag("truncate-max-batch-size")).unwrap_or(10 * 1024 * 1024);
        let event = server.number(&flag("truncate-max-event-size")).unwrap_or(100 * 1024);
        if batch < event {
            let says = format!(
                "invalid audit truncate {plugin} max batch size {batch}, must be greater than max event size ({event})"
            );
            let name = if server.has(&flag("truncate-max-batch-size")) { "batch" } else { "event" };
            refuse(&flag(&format!("truncate-max-{name}-size")), says, "write a batch larger than an event");
        }
        if server.value(&flag("version")).is_some_and(|version| !versions(server).contains(&version)) {
            let says = "invalid group version, allowed versions are [\"audit.k8s.io/v1\"]".to_owned();
            refuse(&flag("version"), says, "write audit.k8s.io/v1");
        }
    }
    if server.value("audit-log-path").is_none() {
        return;
    }
    if let Some(format) = server.value("audit-log-format").filter(|format| !FORMATS.contains(format)) {
        let says = format!("invalid audit log format {format}, allowed formats are \"legacy,json\"");
        refuse("audit-log-format", says, "write json");
    }
    for name in ["audit-log-maxage", "audit-log-maxbackup", "audit-log-maxsize"] {
        if let Some(value) = server.number(name).filter(|value| *value < 0) {
            refuse(name, format!("--{name} {value} can't be a negative number"), "write 0 or more");
        }
    }
}

/// Returns the versions of a policy that the minor decodes.
fn versions(server: &ApiServer<'_>) -> &'static [&'static str] {
    if server.is_from("1.24") {
        return &["audit.k8s.io/v1"];
    }
    &["audit.k8s.io/v1", "audit.k8s.io/v1beta1", "audit.k8s.io/v1alpha1"]
}

fn judge_policy(server: &ApiServer<'_>, text: &str, findings: &mut Vec<Finding>) -> Result<()> {
    let path = server.node.path(text)?;
    let bytes = match server.look(&path)? {
        FileAt::File(bytes) => bytes,
        FileAt::Directory => {
            let finding = Finding::stops(
                "audit-policy-unreadable",
                format!("the audit policy {path} is a directory"),
                "name the file",
            );
            let says = format!(
                "{SAYS}failed to read file path {path:?}: read {path}: is a directory",
                path = path.as_str()
            );
            findings.push(server.at("audit-policy-file", finding.says(says)));
            return Ok(());
        }
        FileAt::Nothing => {
            let finding = Finding::stops(
                "audit-policy-missing",
                format!("the audit policy {path} does not exist"),
                "write it, or remove audit-policy-file",
            );
            let says = format!(
                "{SAYS}failed to read file path {path:?}: open {path}: no such file or directory",
                path = path.as_str()
            );
            findings.push(server.at("audit-policy-file", finding.says(says)));
            return Ok(());
        }
    };
    let node = ObjectFile::read(&bytes)
        .map_err(|fault| ("audit-policy-syntax", "failed decoding: ", fault))
        .and_then(|document| policy(server, &path, &document));
    match node {
        Ok(more) => findings.extend(more),
        Err((code, says, fault)) => {
            let remedy = match code {
                "audit-policy-syntax" => "mend the YAML",
                "audit-policy-version" => "write apiVersion: audit.k8s.io/v1 and kind: Policy",
                _ => "write it as the message says",
            };
            findings.push(refused(code, &path, &fault, &format!("{SAYS}{says}"), remedy));
        }
    }
    Ok(())
}

type Refused = (&'static str, &'static str, Fault);

fn policy(
    server: &ApiServer<'_>,
    path: &RootedPath,
    document: &ObjectFile,
) -> std::result::Result<Vec<Finding>, Refused> {
    let decoding = |fault| ("audit-policy-decoding", "failed decoding: ", fault);
    let root = &document.root;
    let (version, kind) = document.kind().map_err(decoding)?;
    let refuse = |message: String| {
        ("audit-policy-version", "", Fault::new(object::place(root, "apiVersion"), message))
    };
    let unversioned = version.is_empty() || version == "audit.k8s.io/" || version == "/";
    if unversioned && matches!(kind.as_str(), "" | "Policy") {
        let message = "unknown group version field audit.k8s.io/__internal, Kind=Policy in policy";
        return Err(refuse(message.to_owned()));
    }
    if !versions(server).contains(&version.as_str()) || !matches!(kind.as_str(), "" | "Policy") {
        return Err(refuse(format!(
            "failed decoding: no kind {kind:?} is registered for version {version:?}"
        )));
    }
    let loose = document.decode(&POLICY).map_err(decoding)?;
    let rules = object::items(root, "rules");
    validate(server, root, rules).map_err(|(code, fault)| (code, "", fault))?;

    let mut findings = Vec::new();
    for fault in loose {
        let finding = Finding::hardens_nothing(
            "audit-policy-field",
            format!("{}: the API server drops it", fault.message),
            "write the field as Kubernetes does, once",
        );
        let warned = format!(
            "Audit policy contains errors, falling back to lenient decoding: strict decoding error: {}",
            fault.message
        );
        let finding = finding.at(in_file(path, fault.position));
        findings.push(if server.is_from("1.26") { finding.says(warned) } else { finding });
    }
    if let Some(position) = document.further {
        let finding = Finding::hardens_nothing(
            "audit-second-document",
            "nobody reads a second document",
            "put all rules into the first",
        );
        findings.push(finding.at(in_file(path, position)));
    }
    if !records(root, rules) {
        let finding = Finding::hardens_nothing(
            "audit-level-none",
            "the policy records nothing: no rule before one for everything has a level above None and a stage",
            "write level: Metadata for what is to be recorded",
        );
        findings.push(finding.at(in_file(path, object::place(root, "rules"))));
    }
    let verbs = rules.iter().flat_map(|rule| object::items(rule, "verbs"));
    let unknown = verbs.filter(|verb| !VERBS.contains(&object::content(verb)));
    findings.extend(unknown.take(MAX_FAULTS).map(|verb| {
        let finding = Finding::hardens_nothing(
            "audit-verb",
            format!("no request has the verb {:?}", object::content(verb)),
            "write verbs in small letters, such as get or create; no verbs are all of them",
        );
        finding.at(in_file(path, verb.position))
    }));
    Ok(findings)
}

/// Checks what Kubernetes' validation checks, in its order.
fn validate(
    server: &ApiServer<'_>,
    root: &YamlNode,
    rules: &[YamlNode],
) -> std::result::Result<(), (&'static str, Fault)> {
    stages(root, "omitStages")?;
    for (index, rule) in rules.iter().enumerate() {
        let path = format!("rules[{index}]");
        let level = object::text(rule, "level");
        if !LEVELS.contains(&level) {
            let message = if level.is_empty() {
                format!("{path}.level: Required value")
            } else {
                format!(
                    "{path}.level: Unsupported value: {level:?}: supported values: \"None\", \"Metadata\", \"Request\", \"RequestResponse\""
                )
            };
            return Err(("audit-level", Fault::new(object::place(rule, "level"), message)));
        }
        let urls = object::items(rule, "nonResourceURLs");
        for (number, url) in urls.iter().enumerate() {
            validate_url(url, &format!("{path}.nonResourceURLs[{number}]"))?;
        }
        for group in object::items(rule, "resources") {
            validate_group(server, group, &path)?;
        }
        stages(rule, &format!("{path}.omitStages"))?;
        let of_resources =
            ["resources", "namespaces"].into_iter().any(|name| !object::items(rule, name).is_empty());
        if !urls.is_empty() && of_resources {
            let message = format!(
                "{path}.nonResourceURLs: Invalid value: rules cannot apply to both regular resources and non-resource URLs"
            );
            return Err(("audit-url", Fault::new(object::place(rule, "nonResourceURLs"), message)));
        }
    }
    if rules.is_empty() {
        let fault = Fault::new(object::place(root, "rules"), "loaded illegal policy with 0 rules");
        return Err(("audit-no-rules", fault));
    }
    Ok(())
}

fn stages(node: &YamlNode, path: &str) -> std::result::Result<(), (&'static str, Fault)> {
    for (index, stage) in object::items(node, "omitStages").iter().enumerate() {
        let text = object::content(stage);
        if !STAGES.contains(&text) {
            let message =
                format!("{path}[{index}]: Invalid value: {text:?}: allowed stages are {}", STAGES.join(","));
            return Err(("audit-stage", Fault::new(stage.position, message)));
        }
    }
    Ok(())
}

fn validate_url(url: &YamlNode, path: &str) -> std::result::Result<(), (&'static str, Fault)> {
    let text = object::content(url);
    let wrong = if text == "*" {
        return Ok(());
    } else if !text.starts_with('/') {
        "non-resource URL rules must begin with a '/' character"
    } else if text.as_bytes().split_last().is_some_and(|(_, before)| before.contains(&b'*')) {
        "non-resource URL wildcards '*' must be the final character of the rule"
    } else {
        return Ok(());
    };
    Err(("audit-url", Fault::new(url.position, format!("{path}: Invalid value: {text:?}: {wrong}"))))
}

fn validate_group(
    server: &ApiServer<'_>,
    group: &YamlNode,
    path: &str,
) -> std::result::Result<(), (&'static str, Fault)> {
    let name = object::text(group, "group");
    let every = name == "*" && server.is_from("1.36");
    if !name.is_empty() && !every && !names::is_subdomain(name) {
        let message = format!(
            "{path}.resources.group: Invalid value: {name:?}: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character"
        );
        return Err(("audit-group", Fault::new(object::place(group, "group"), message)));
    }
    let names = object::items(group, "resourceNames");
    if !names.is_empty() && object::items(group, "resources").is_empty() {
        let message = format!(
            "{path}.resources.resourceNames: Invalid value: using resourceNames requires at least one resource"
        );
        return Err(("audit-group", Fault::new(object::place(group, "resourceNames"), message)));
    }
    Ok(())
}

/// Says why the API server would not start with a policy, if it would not.
pub(crate) fn refusal(node: &NodeConfig<'_>, path: &RootedPath, document: &ObjectFile) -> Option<Fault> {
    let server = ApiServer::with(node, Vec::new());
    policy(&server, path, document).err().map(|(_, _, fault)| fault)
}

/// Tells whether a policy records anything: the first rule that fits a request decides.
pub(crate) fn records(root: &YamlNode, rules: &[YamlNode]) -> bool {
    const CONDITIONS: [&str; 6] =
        ["users", "userGroups", "verbs", "resources", "namespaces", "nonResourceURLs"];
    for rule in rules {
        if is_recorded(root, rule) {
            return true;
        }
        if CONDITIONS.iter().all(|name| object::items(rule, name).is_empty()) {
            return false;
        }
    }
    false
}

/// Tells whether the requests that a rule fits are recorded: at one of the stages that each request has. Only watches and
/// their like have a start of the response, and hopefully none a panic.
pub(crate) fn is_recorded(root: &YamlNode, rule: &YamlNode) -> bool {
    let omitted = |node: &YamlNode, stage: &str| {
        object::items(node, "omitStages").iter().any(|item| object::content(item) == stage)
    };
    object::text(rule, "level") != "None"
        && ["RequestReceived", "ResponseComplete"]
            .iter()
            .any(|stage| !omitted(root, stage) && !omitted(rule, stage))
}

/// The API server makes the log and its directories, but nothing in the place of something else.
fn judge_log(server: &ApiServer<'_>, text: &str, findings: &mut Vec<Finding>) -> Result<()> {
    let path = server.node.path(text)?;
    let mut above = Vec::new();
    let mut next = path.parent();
    while let Some(parent) = next {
        next = parent.parent();
        above.push(parent);
    }
    let refuse = |says: String, message: String, remedy: &str| {
        let finding = Finding::stops("audit-log-path", message, remedy);
        server.at("audit-log-path", finding.says(format!("ensureLogFile: {says}")))
    };
    for folder in above.iter().rev().filter(|folder| folder.parent().is_some()) {
        match server.node.root.look(folder)? {
            PathState::Absent => return Ok(()),
            PathState::Directory { .. } => {}
            PathState::Symlink { .. } if matches!(server.look(folder)?, FileAt::Directory) => {}
            _ => {
                findings.push(refuse(
                    format!("mkdir {folder}: not a directory"),
                    format!("the audit log would be below {folder}, which is no directory"),
                    "name another path, or remove what is there",
                ));
                return Ok(());
            }
        }
    }
    if matches!(server.look(&path)?, FileAt::Directory) {
        findings.push(refuse(
            format!("open {path}: is a directory"),
            format!("the audit log {path} is a directory"),
            "name a file in it",
        ));
    }
    Ok(())
}
