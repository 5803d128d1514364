// SPDX-License-Identifier: Apache-2.0
//! Profiles, sites and everything that is rendered from them.

use std::borrow::Cow;
use std::sync::LazyLock;

use k3s_harden::Role;
use k3s_harden::apply::RunInputs;
use k3s_harden::document::DropInMerge;
use k3s_harden::document::{self, Document, PackagedPolicies, PresentFiles, RenderTarget, UsersFiles};
use k3s_harden::error::Result;
use k3s_harden::k3s::DEFAULT_CONFIG;
use k3s_harden::k3s::{Datastore, RunningComponents};
use k3s_harden::node::RootedPath;
use k3s_harden::profile::{Assignment, Profile, ProfileRequest, SourceText};
use k3s_harden::render::{ProgramPath, RenderFormat, RenderInput, RenderedFile};
use k3s_harden::version::KubernetesMinor;
use serde::Deserialize;
use serde_json::Value;

pub(crate) const DATA_DIR: &str = "/var/lib/rancher/k3s";
pub(crate) const ROLES: [Role; 2] = [Role::Server, Role::Agent];

pub(crate) fn minor(text: &str) -> KubernetesMinor {
    text.parse().unwrap()
}

pub(crate) fn request(minor: KubernetesMinor, profile: &str, settings: &[(&str, &str)]) -> ProfileRequest {
    let assign = |(name, text): &(&str, &str)| Assignment {
        name: (*name).to_owned(),
        text: (*text).to_owned(),
        origin: "--set".to_owned(),
    };
    ProfileRequest {
        profiles: vec![profile.to_owned()],
        minor,
        settings: None,
        assignments: settings.iter().map(assign).collect(),
        only: Vec::new(),
        skip: Vec::new(),
    }
}

pub(crate) fn resolve(request: &ProfileRequest) -> Profile {
    request.resolve(&no_files).unwrap()
}

pub(crate) fn profile(minor: KubernetesMinor, profile: &str, settings: &[(&str, &str)]) -> Profile {
    resolve(&request(minor, profile, settings))
}

fn no_files(path: &str) -> Result<SourceText> {
    panic!("{path} is opened")
}

pub(crate) fn target(role: Role) -> RenderTarget {
    RenderTarget {
        role,
        config: RootedPath::fixed(DEFAULT_CONFIG),
        running: RunningComponents::of_role(role, Datastore::Sqlite),
        data_dir: RootedPath::fixed(DATA_DIR),
        audit_policy: None,
        present: PresentFiles::default(),
        packaged: PackagedPolicies::default(),
        users: UsersFiles::default(),
        drop_in_merge: DropInMerge::default(),
    }
}

pub(crate) fn rendered(profile: &Profile, role: Role) -> Vec<Document> {
    document::Rendered::new(profile, &target(role)).documents
}

pub(crate) fn find<'a>(documents: &'a [Document], key: &str) -> Option<&'a Document> {
    documents.iter().find(|document| document.key == key)
}

/// Returns the documents of a YAML text as JSON. A key given twice is an error.
pub(crate) fn yaml(text: &str) -> Vec<Value> {
    let read = |document| {
        let value =
            serde_yaml::Value::deserialize(document).unwrap_or_else(|error| panic!("{error}: {text}"));
        serde_json::to_value(value).unwrap()
    };
    serde_yaml::Deserializer::from_str(text).map(read).collect()
}

pub(crate) fn one(text: &str) -> Value {
    let mut documents = yaml(text);
    assert_eq!(documents.len(), 1, "{text}");
    documents.remove(0)
}

/// Returns the only document of the file `key`.
pub(crate) fn value(documents: &[Document], key: &str) -> Value {
    one(&find(documents, key).unwrap_or_else(|| panic!("there is no {key}")).text)
}

/// Returns the items of `list`, each of them text.
pub(crate) fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item.as_str().unwrap()).collect()
}

/// Returns the value of an argument in a K3s configuration.
pub(crate) fn argument<'a>(config: &'a Value, component: &str, name: &str) -> Option<&'a str> {
    let arguments = texts(config.get(format!("{component}-arg+"))?);
    arguments.into_iter().find_map(|argument| argument.strip_prefix(name)?.strip_prefix('='))
}

/// One rendered text.
pub(crate) struct Rendered {
    /// What it was rendered from, for the message of a test that fails.
    pub(crate) from: String,
    pub(crate) minor: KubernetesMinor,
    pub(crate) role: Role,
    /// The key of a document of the node, or the file name of a carrier's.
    pub(crate) key: &'static str,
    pub(crate) carried: bool,
    pub(crate) text: String,
}

impl Rendered {
    pub(crate) fn is_yaml(&self) -> bool {
        !matches!(self.key, "sysctl" | "account_update.sh")
    }
}

/// Everything for all minors, roles and audit presets, with the default profile and with `strict`.
pub(crate) static EVERYTHING: LazyLock<Vec<Rendered>> = LazyLock::new(everything);

pub(crate) fn everything() -> Vec<Rendered> {
    let mut all = Vec::new();
    for minor in KubernetesMinor::supported() {
        for name in ["cis", "strict"] {
            for preset in ["metadata", "writes", "detailed"] {
                let mut settings = vec![("audit_policy", preset)];
                // With the guide's own preset nothing else is asked for, with the others everything.
                if preset != "metadata" {
                    settings.extend(opt_ins(minor));
                }
                let profile = profile(minor, name, &settings);
                for role in ROLES {
                    add(&mut all, &profile, role, &format!("{name}, {minor}, {role}, {preset}"));
                }
            }
        }
    }
    all
}

pub(crate) fn input<'a>(
    profile: &'a Profile,
    target: &'a RenderTarget,
    release: Option<&'a str>,
) -> RenderInput<'a> {
    static INPUTS: LazyLock<RunInputs> = LazyLock::new(RunInputs::default);
    static BINARY: LazyLock<ProgramPath> =
        LazyLock::new(|| ProgramPath::parse("/usr/local/bin/k3s-harden".as_ref()).unwrap());
    RenderInput { profile, target, release, live_sysctl: true, inputs: &INPUTS, binary: Some(&BINARY) }
}

fn name_of(file: &RenderedFile) -> &'static str {
    match file.name {
        Cow::Borrowed(name) => name,
        Cow::Owned(_) => panic!("{} depends on the node", file.name),
    }
}

fn add(all: &mut Vec<Rendered>, profile: &Profile, role: Role, from: &str) {
    let target = target(role);
    let of_node = document::Rendered::new(profile, &target)
        .documents
        .into_iter()
        .map(|document| (document.key, document.text, false));
    let carried = |format: RenderFormat, release| {
        let files = format.render(&input(profile, &target, release)).unwrap().files;
        files.into_iter().map(|file| (name_of(&file), file.text().into_owned(), true))
    };
    let mut files: Vec<(&'static str, String, bool)> = of_node.collect();
    if role == Role::Server {
        files.extend(carried(RenderFormat::AccountUpdate, None));
        files.extend(carried(RenderFormat::RancherCluster, None));
        files.extend(carried(RenderFormat::RancherFiles, None));
        files.extend(carried(RenderFormat::RancherCluster, Some("v1.33.4+k3s1")));
    }
    let minor = profile.minor;
    all.extend(files.into_iter().map(|(key, text, carried)| Rendered {
        from: format!("{key} of {from}"),
        minor,
        role,
        key,
        carried,
        text,
    }));
}

/// Settings that add something to a document, as far as `minor` knows them.
fn opt_ins(minor: KubernetesMinor) -> Vec<(&'static str, &'static str)> {
    let mut settings = vec![
        ("protect_kernel_defaults", "true"),
        ("kernel_keys", "true"),
        ("write_kubeconfig_mode", "0600"),
        ("always_pull_images", "true"),
        ("deny_service_external_ips", "true"),
        ("service_account_extend_token_expiration", "false"),
        ("tight_ports", "true"),
        ("namespaces", "default,no,1e3"),
        ("ingress_to", "default,0600"),
        ("ingress_controller", "custom"),
        ("ingress_controller_namespace", "no"),
        ("ingress_controller_labels", "on=off,1e3=0600,a.b/c=yes"),
        ("load_balancer", "metallb"),
    ];
    settings.extend_from_slice(if minor >= self::minor("1.25") {
        &[
            ("event_rate_limit", "true"),
            (
                "event_rate_limits",
                "[{type: Server, qps: 1, burst: 2}, {type: User, qps: 3, burst: 4, cacheSize: 0}]",
            ),
            ("pod_security_preset", "rancher"),
            ("pod_security_version", "v1.25"),
            ("pod_security_exempt_namespaces", "on,12,kube-system,cattle-system"),
            ("pod_security_exempt_users", "['1_000', 'a: b', 'yes']"),
            ("pod_security_exempt_runtime_classes", "0.1,null"),
        ]
    } else {
        &[("cis_operator_binding", "true")]
    });
    if minor >= self::minor("1.30") {
        settings.push(("encryption_provider", "secretbox"));
    }
    if minor >= self::minor("1.32") {
        settings.push(("anonymous_health", "true"));
    }
    if minor >= self::minor("1.36") {
        settings.extend([
            ("admission_policies", "deny"),
            ("admission_allowed_wildcard_roles", r"['1_000', 'a: b', 'it''s', 'a\b']"),
            ("admission_image_digests", "audit"),
            ("admission_image_registries", "deny"),
            ("admission_registries", "ghcr.io/acme,registry.example.com:5000/"),
            ("admission_exempt_namespaces", "on,12"),
            ("admission_exposing_namespaces", "no,1e3"),
        ]);
    }
    settings
}
