//! The configuration that is in force: K3s' command line, where each value comes from, and each component's flags.
//!
//! Sources in K3s' order: the environment (for what nothing else sets), the configuration files, the command
//! line of the service, and what the caller adds to it. Of a flag that takes one value the last counts; of one
//! that repeats all do.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::Datastore;
use super::arguments;
use super::flags::{self, K3sFlagType, OLD_NAMES, present_name};
use super::merged_config::{DEFAULT_CONFIG, MergedConfig};
use super::service::{self, Service};
use crate::Role;
use crate::embedded;
use crate::error::{Error, Place, Result};
use crate::kubernetes::component_flags;
use crate::node::{Root, RootedPath};
use crate::version::KubernetesMinor;

/// Flags whose values are nobody else's business.
const SECRETS: [&str; 8] = [
    "token",
    "agent-token",
    "datastore-endpoint",
    "etcd-s3-access-key",
    "etcd-s3-secret-key",
    "etcd-s3-session-token",
    "vpn-auth",
    "t",
];
const MASK: &str = "********";

/// Where systemd looks for units, the first before the others: the administrator's, then those of packages.
const UNITS: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// Components by the K3s flag that gives them arguments.
const COMPONENTS: [(&str, &str, &[Role]); 5] = [
    ("kube-apiserver", "kube-apiserver-arg", &[Role::Server]),
    ("kube-controller-manager", "kube-controller-manager-arg", &[Role::Server]),
    ("kube-scheduler", "kube-scheduler-arg", &[Role::Server]),
    ("kubelet", "kubelet-arg", &[Role::Server, Role::Agent]),
    ("kube-proxy", "kube-proxy-arg", &[Role::Server, Role::Agent]),
];

/// Files that an argument of the API server names, and the flag that K3s does not give it beside one.
const LEFT_TO_A_FILE: [(&str, &str); 2] =
    [("authorization-config", "authorization-mode"), ("authentication-config", "anonymous-auth")];

/// What is in force.
#[derive(Debug, Clone, PartialEq)]
pub struct EffectiveConfig {
    /// The configuration files, in the order in which K3s reads them.
    pub files: Vec<RootedPath>,
    /// The command line, without the program.
    pub argv: Vec<String>,
    /// What K3s logs about it, and what it refuses.
    pub warnings: Vec<String>,
    /// What it refuses, with the place: it exits on the first.
    pub refusals: Vec<(String, Place)>,
    /// Every flag that is set, by its long name.
    pub values: BTreeMap<String, EffectiveValue>,
    /// The flags that each component gets, K3s' own included.
    pub components: BTreeMap<String, Vec<String>>,
}

/// The value of a flag, and where it comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EffectiveValue {
    /// The value; several for a flag that repeats.
    pub items: Vec<String>,
    /// Where each comes from.
    pub origins: Vec<String>,
    /// Whether the flag repeats.
    pub list: bool,
}

/// What is asked about a node.
#[derive(Debug, Clone, Copy)]
pub struct ConfigQuery<'a> {
    /// The role that K3s is started in.
    pub role: Role,
    /// The minor, for the flags that K3s adds.
    pub minor: KubernetesMinor,
    /// K3s' data directory.
    pub data_dir: &'a RootedPath,
    /// Words behind the service's command line, as if typed.
    pub words: &'a [String],
    /// Whether secrets are shown.
    pub show_secrets: bool,
}

impl EffectiveConfig {
    /// Reads everything that decides on a node.
    ///
    /// # Errors
    /// [`crate::ErrorKind::BadInput`] with the place where K3s would not start.
    pub fn of(root: &Root, question: ConfigQuery<'_>) -> Result<Self> {
        let role = question.role;
        let (service, service_path) = find_service(root, role)?;
        let environment = environment(root, &service)?;
        let mut words = vec![role.to_string()];
        let typed_by_service =
            service.words.iter().position(|word| *word == role.to_string()).map_or(0, |at| at + 1);
        let own = &service.words[typed_by_service.min(service.words.len())..];
        words.extend(own.iter().chain(question.words).cloned());

        let config = config_path(&environment, &words)?;
        let reading = MergedConfig::with(root, &words, question.minor, &config)?;
        let mut values: BTreeMap<String, EffectiveValue> = BTreeMap::new();
        let mut set = |name: &str, text: &str, origin: String| {
            let Some(flag) = flags::find(role, question.minor, name) else { return };
            let list = flag.kind == K3sFlagType::List;
            let value = values.entry(flag.names[0].clone()).or_default();
            if !list {
                *value = EffectiveValue::default();
            }
            value.list = list;
            value.items.push(text.to_owned());
            value.origins.push(origin);
        };
        for key in &reading.keys {
            for item in &key.items {
                set(&key.name, &item.text, item.place.to_string());
            }
        }
        for (index, (name, text)) in typed(role, &words[1..]) {
            let by_service = index < own.len();
            set(&name, &text, if by_service { service_path.clone() } else { "command line".to_owned() });
        }
        for flag in flags::of(role, question.minor) {
            let found = flag.env.iter().find_map(|name| environment.get(name).map(|value| (name, value)));
            if let (false, Some((name, (value, origin)))) = (values.contains_key(&flag.names[0]), found) {
                let value = EffectiveValue {
                    items: vec![value.clone()],
                    origins: vec![format!("{name} in {origin}")],
                    list: flag.kind == K3sFlagType::List,
                };
                values.insert(flag.names[0].clone(), value);
            }
        }
        let mut warnings = reading.warnings.clone();
        let refusals = reading.refusals(role);
        warnings.extend(refusals.iter().map(|(message, place)| format!("{place}: K3s exits: {message}")));
        warnings.extend(unknown_arguments(&values, question));
        let etcd = has_embedded_etcd(root, &values, question);
        let components = flags_of_components(&values, question, etcd);
        let mut effective =
            Self { files: reading.files, argv: reading.argv, warnings, refusals, values, components };
        if !question.show_secrets {
            effective.mask();
        }
        Ok(effective)
    }

    /// Puts stars in the place of every secret, also where it stands in the command line.
    fn mask(&mut self) {
        for name in SECRETS {
            if let Some(value) = self.values.get_mut(name) {
                value.items.iter_mut().for_each(|item| *item = MASK.to_owned());
            }
        }
        let mut secret_follows = false;
        for word in &mut self.argv {
            let name = word.trim_start_matches('-').split('=').next().unwrap_or_default().to_owned();
            let is_flag = word.starts_with('-') && SECRETS.contains(&name.as_str());
            if secret_follows {
                *word = MASK.to_owned();
            } else if is_flag && word.contains('=') {
                let dashes = &word[..word.len() - word.trim_start_matches('-').len()];
                *word = format!("{dashes}{name}={MASK}");
            }
            secret_follows = !secret_follows && is_flag && !word.contains('=');
        }
        let words = self.argv.iter_mut().chain(self.values.values_mut().flat_map(|value| &mut value.items));
        for word in words.chain(self.components.values_mut().flatten()) {
            mask_word(word);
        }
        self.warnings.retain(|warning| !SECRETS.iter().any(|name| warning.contains(&format!("-{name}:"))));
    }
}

/// Puts stars in the place of a password in an address, and of the value of an argument that is called a secret.
fn mask_word(word: &mut String) {
    if let Some((start, rest)) = word.clone().split_once("://")
        && let Some((_, host)) = rest.split('/').next().and_then(|authority| authority.rsplit_once('@'))
    {
        let behind = &rest[rest.find('/').unwrap_or(rest.len())..];
        *word = format!("{start}://{MASK}@{host}{behind}");
    }
    let at = word.rfind('=').map_or(0, |_| {
        word.match_indices('=').nth(usize::from(word.matches('=').count() > 1)).map_or(0, |(at, _)| at)
    });
    let name = word[..at].to_ascii_lowercase();
    let secret = ["secret", "password", "token"].iter().any(|part| name.ends_with(part));
    if at > 0 && secret {
        word.truncate(at);
        word.push('=');
        word.push_str(MASK);
    }
}

/// Returns what to say of arguments that their components do not know, ours included.
fn unknown_arguments(values: &BTreeMap<String, EffectiveValue>, question: ConfigQuery<'_>) -> Vec<String> {
    let keys = values.iter().filter(|(name, _)| name.ends_with("-arg"));
    let keys = keys.filter_map(|(name, value)| {
        Some((component_flags::of_key(present_name(name), question.role)?, value))
    });
    keys.flat_map(|(component, value)| {
        value.items.iter().zip(&value.origins).filter_map(move |(item, origin)| {
            Some(format!("{origin}: {}", component_flags::unknown(component, question.minor, item)?))
        })
    })
    .collect()
}

/// The command line of the service that starts K3s, as far as it sets flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceFlags {
    /// The file of the service, empty if there is none.
    pub path: String,
    /// The configuration file that this K3s reads.
    pub config: RootedPath,
    /// Names without dashes, and values, in their order.
    pub flags: Vec<(String, String)>,
}

impl ServiceFlags {
    /// Reads the service that starts K3s in `role`.
    ///
    /// # Errors
    /// Where a service cannot be read.
    pub fn read(root: &Root, role: Role) -> Result<Self> {
        let (service, path) = find_service(root, role)?;
        let config = config_path(&environment(root, &service)?, &service.words)?;
        let flags = typed(role, &service.words).into_iter().map(|(_, flag)| flag).collect();
        Ok(Self { path, config, flags })
    }
}

/// Returns the data directory that a service gives K3s, with where: the environment counts more than the command
/// line, and both more than the configuration files.
///
/// # Errors
/// Where a service cannot be read.
pub fn service_data_dir(root: &Root) -> Result<Option<(String, String)>> {
    for role in [Role::Server, Role::Agent] {
        let (service, path) = find_service(root, role)?;
        if let Some((value, origin)) = environment(root, &service)?.remove("K3S_DATA_DIR") {
            return Ok(Some((value, format!("K3S_DATA_DIR in {origin}"))));
        }
        let mut flags = typed(role, &service.words).into_iter().map(|(_, flag)| flag).rev();
        if let Some((_, value)) = flags.find(|(name, _)| matches!(name.as_str(), "data-dir" | "d")) {
            return Ok(Some((value, path)));
        }
    }
    Ok(None)
}

/// Finds the service that starts K3s in `role`, whatever its name.
fn find_service(root: &Root, role: Role) -> Result<(Service, String)> {
    let starts = |service: &Service| service.words.iter().any(|word| *word == role.to_string());
    for (name, path) in by_name(root, "")? {
        let Some(unit) = Some(name.as_str())
            .filter(|name| name.starts_with("k3s"))
            .and_then(|name| name.strip_suffix(".service"))
        else {
            continue;
        };
        let mut service = Service::default();
        service.add_unit(&text(root, &path)?, unit);
        for (name, drop_in) in by_name(root, &format!("/{unit}.service.d"))? {
            if name.ends_with(".conf") {
                service.add_unit(&text(root, &drop_in)?, unit);
            }
        }
        if service.has_variables() {
            let variables = environment(root, &service)?;
            service.expand(&|name| variables.get(name).map(|(value, _)| value.as_str()));
        }
        if starts(&service) {
            return Ok((service, path.to_string()));
        }
    }
    let folder = RootedPath::fixed("/etc/init.d");
    for name in root.list(&folder)? {
        let Some(name) = name.to_str().filter(|name| name.starts_with("k3s")) else { continue };
        let mut service = Service::default();
        service.add_init_script(&text(root, &folder.join(name))?);
        if starts(&service) {
            return Ok((service, folder.join(name).to_string()));
        }
    }
    Ok((Service::default(), String::new()))
}

/// Returns what is in systemd's folders of units, or in one below each, by name: of two with the same name that in the
/// first folder counts.
fn by_name(root: &Root, below: &str) -> Result<BTreeMap<String, RootedPath>> {
    let mut found = BTreeMap::new();
    for folder in UNITS {
        let folder: RootedPath = format!("{folder}{below}").parse()?;
        for name in root.list(&folder)? {
            if let Some(name) = name.to_str().filter(|name| !name.contains('\n')) {
                found.entry(name.to_owned()).or_insert_with(|| folder.join(name));
            }
        }
    }
    Ok(found)
}

fn text(root: &Root, path: &RootedPath) -> Result<String> {
    Ok(String::from_utf8_lossy(&root.read(path)?.unwrap_or_default()).into_owned())
}

/// Variables by name, with where each is set.
type Environment = BTreeMap<String, (String, String)>;

fn environment(root: &Root, service: &Service) -> Result<Environment> {
    let own = service
        .environment
        .iter()
        .map(|(name, value)| (name.clone(), (value.clone(), "the service".to_owned())));
    let mut variables: Environment = own.collect();
    for file in &service.environment_files {
        // A path with a specifier that we do not know is no path on the node.
        let Ok(path) = file.parse::<RootedPath>() else { continue };
        let found = service::environment(&text(root, &path)?);
        variables.extend(found.into_iter().map(|(name, value)| (name, (value, file.clone()))));
    }
    Ok(variables)
}

/// `K3S_CONFIG_FILE` counts more than `--config`.
fn config_path(environment: &Environment, words: &[String]) -> Result<RootedPath> {
    let from_words = words.iter().enumerate().find_map(|(index, word)| match word.as_str() {
        "--config" | "-c" => words.get(index + 1).cloned(),
        _ => word.strip_prefix("--config=").or_else(|| word.strip_prefix("-c=")).map(str::to_owned),
    });
    let named = environment.get("K3S_CONFIG_FILE").map(|(value, _)| value.clone()).or(from_words);
    named
        .as_deref()
        .unwrap_or(DEFAULT_CONFIG)
        .parse()
        .map_err(|error: Error| error.hint("it is K3s' configuration file"))
}

/// Returns the flags among the words of a command line: (position, (name, value)).
fn typed(role: Role, words: &[String]) -> Vec<(usize, (String, String))> {
    let mut found = Vec::new();
    let mut index = 0;
    while let Some(word) = words.get(index) {
        let at = index;
        index += 1;
        let Some(flag) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else { continue };
        if let Some((name, value)) = flag.split_once('=') {
            found.push((at, (name.to_owned(), value.to_owned())));
        } else if flags::is_boolean(role, flag) {
            found.push((at, (flag.to_owned(), "true".to_owned())));
        } else if let Some(value) = words.get(index) {
            found.push((at, (flag.to_owned(), value.clone())));
            index += 1;
        }
    }
    found
}

/// Tells whether a flag that is on or off is on.
fn is_on(values: &BTreeMap<String, EffectiveValue>, name: &str) -> bool {
    values.get(name).and_then(|value| value.items.last()).is_some_and(|text| flags::is_true(text))
}

/// Tells whether K3s will run etcd itself.
fn has_embedded_etcd(
    root: &Root,
    values: &BTreeMap<String, EffectiveValue>,
    question: ConfigQuery<'_>,
) -> bool {
    let given = |name: &str| {
        values.get(name).and_then(|value| value.items.last()).is_some_and(|text| !text.is_empty())
    };
    let begun = root.exists(&question.data_dir.join(Datastore::ETCD));
    question.role == Role::Server
        && Datastore::chosen(given, |name| is_on(values, name), begun) == Datastore::Etcd
}

/// Returns each component's flags: K3s' own for the minor, and the arguments merged in.
fn flags_of_components(
    values: &BTreeMap<String, EffectiveValue>,
    question: ConfigQuery<'_>,
    etcd: bool,
) -> BTreeMap<String, Vec<String>> {
    let is_on = |name: &str| is_on(values, name);
    let here = COMPONENTS.iter().filter(|(_, _, roles)| roles.contains(&question.role));
    here.map(|(component, key, _)| {
        let mut defaults = default_flags(question.minor, component);
        if etcd {
            change_for_etcd(&mut defaults, component);
        }
        for value in defaults.values_mut() {
            *value = value.replace("/var/lib/rancher/k3s", question.data_dir.as_str());
        }
        if *component == "kube-apiserver" && is_on("secrets-encryption") {
            let path = question.data_dir.join("server/cred/encryption-config.json").to_string();
            defaults.insert("encryption-provider-config".to_owned(), path);
            // From 1.26 on.
            let reload = "encryption-provider-config-automatic-reload";
            if component_flags::unknown(component, question.minor, reload).is_none() {
                defaults.insert(reload.to_owned(), "true".to_owned());
            }
        }
        // From 1.32 on it is in the kubelet's configuration directory.
        let in_a_flag = "1.32".parse().is_ok_and(|minor: KubernetesMinor| question.minor < minor);
        if *component == "kubelet" && is_on("protect-kernel-defaults") && in_a_flag {
            defaults.insert("protect-kernel-defaults".to_owned(), "true".to_owned());
        }
        // The old names of two of them give their components arguments too.
        let old = OLD_NAMES.iter().filter(|(_, new)| new == key).map(|(old, _)| *old);
        let given = old.chain([*key]).filter_map(|key| values.get(key));
        let extra: Vec<&String> = given.flat_map(|value| &value.items).collect();
        if *component == "kube-apiserver" {
            // Where a file says it instead, K3s leaves it to the file (pkg/daemons/control/server.go).
            for (file, flag) in LEFT_TO_A_FILE {
                if extra.iter().any(|text| component_flags::name_of(text) == file && is_not_empty(text)) {
                    defaults.remove(flag);
                }
            }
        }
        let mut extra: Vec<&str> = extra.into_iter().map(String::as_str).collect();
        if *component == "kubelet" && defaults.contains_key("config-dir") {
            extra = arguments::of_kubelet(extra).kept;
        }
        ((*component).to_owned(), arguments::merge(&defaults, extra))
    })
    .collect()
}

/// Tells whether an argument has a value.
fn is_not_empty(text: &str) -> bool {
    text.split_once('=').is_some_and(|(_, value)| !value.is_empty())
}

/// Makes K3s' own flags of a component with SQLite those with embedded etcd.
fn change_for_etcd(flags: &mut BTreeMap<String, String>, component: &str) {
    let changes: BTreeMap<String, BTreeMap<String, Option<String>>> = embedded::table("etcd-flags");
    for (name, value) in changes.get(component).into_iter().flatten() {
        match value {
            Some(value) => flags.insert(name.clone(), value.clone()),
            None => flags.remove(name),
        };
    }
}

/// Returns K3s' own flags of a component, from the newest generation that is not newer than `minor`.
fn default_flags(minor: KubernetesMinor, component: &str) -> BTreeMap<String, String> {
    type Components = BTreeMap<String, BTreeMap<String, String>>;
    static GENERATIONS: LazyLock<BTreeMap<KubernetesMinor, Components>> =
        LazyLock::new(|| embedded::table("default-flags"));
    let fitting = GENERATIONS.range(..=minor).next_back().or_else(|| GENERATIONS.first_key_value());
    fitting.and_then(|(_, components)| components.get(component)).cloned().unwrap_or_default()
}
