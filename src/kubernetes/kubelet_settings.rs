//! The kubelet's settings: what its files say, what its arguments say over them, and the defaults of what is left. A setting
//! is a field of KubeletConfiguration by its path, or an argument that has no field by its name.
//!
//! Source: cmd/kubelet/app/server.go of Kubernetes (`kubeletConfigFlagPrecedence`): gates of the argument add to those of
//! the files, and any other argument replaces the field.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::component_flags::{self, ComponentFlag};
use super::kubelet_fields::{self, DecodedFields};
use super::object::{self, Position};
use super::settings::{ComponentSettings, RefusedSetting, TypedValue};
use super::yaml::{YamlNode, YamlValue};
use super::{flag_values, kubelet_reserved, settings};
use crate::embedded;
use crate::version::KubernetesMinor;

const NAME: &str = "kubelet";
/// The field of the feature gates.
const GATES: &str = "featureGates";

/// A row of data/kubelet-defaults.yaml.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldDefault {
    default: Option<String>,
    #[serde(default)]
    zero: bool,
}

static DEFAULTS: LazyLock<BTreeMap<String, FieldDefault>> =
    LazyLock::new(|| embedded::table("kubelet-defaults"));

/// An argument of the kubelet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeletFlag {
    /// Its name.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Whether K3s gives it, and not the user.
    pub is_own: bool,
}

/// Where a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingOrigin {
    /// The last argument of this name.
    Flag(String),
    /// A value of the merged files.
    Field(Position),
}

/// The settings of a kubelet.
#[derive(Debug, Default)]
pub struct KubeletSettings {
    settings: ComponentSettings,
    origins: BTreeMap<String, SettingOrigin>,
}

impl KubeletSettings {
    /// Puts together what the files and the arguments say. `is_own` tells whether a value of the files is K3s' own.
    #[must_use]
    pub fn new(
        decoded: &DecodedFields,
        flags: &[KubeletFlag],
        minor: KubernetesMinor,
        is_own: &dyn Fn(Position) -> bool,
    ) -> Self {
        let mut found = Self::default();
        found.add_files(decoded, minor, is_own);
        found.add_flags(flags, minor);
        found.add_defaults(minor);
        kubelet_reserved::derive(&mut found.settings);
        found.derive_sysctls();
        found.settings.assume("minor.previous", TypedValue::Text(minor.previous().to_string()));
        found
    }

    /// Returns what the kubelet of a minor refuses, each with its origin.
    #[must_use]
    pub fn refused(&self, minor: KubernetesMinor) -> Vec<(RefusedSetting, SettingOrigin)> {
        let refused = settings::refused(NAME, &self.settings, minor);
        let placed = refused.into_iter().filter_map(|refused| {
            let part = refused.part.as_ref().and_then(|part| self.origins.get(part));
            let origin = part.or_else(|| self.origins.get(&refused.setting))?.clone();
            Some((refused, origin))
        });
        placed.collect()
    }

    /// Returns the settings.
    #[must_use]
    pub fn settings(&self) -> &ComponentSettings {
        &self.settings
    }

    fn add_files(
        &mut self,
        decoded: &DecodedFields,
        minor: KubernetesMinor,
        is_own: &dyn Fn(Position) -> bool,
    ) {
        // AddFlags of k8s.io/component-base/logs/api/v1 gives this field the default of its argument, whatever a file says.
        let is_lost = |path: &str| path == "logging.options.text.splitStream";
        for (path, node) in decoded.fields.iter().filter(|(path, _)| !is_lost(path)) {
            // An item of a list, or a value of a map, is a part of another setting.
            let Some(of) = kubelet_fields::type_of(path, minor) else {
                if !is_own(node.position) {
                    self.origins.insert(path.clone(), SettingOrigin::Field(node.position));
                }
                continue;
            };
            let value = typed(node, of);
            if value.is_zero() && DEFAULTS.get(path).is_some_and(|row| row.zero) {
                continue;
            }
            if path == "registerWithTaints"
                && let YamlValue::List(taints) = &node.value
            {
                let times = taints.iter().filter_map(|taint| object::field(taint, "timeAdded"));
                let times: Vec<_> = times.map(YamlNode::go_text).collect();
                self.give("registerWithTaints.timeAdded", TypedValue::List(times), node, is_own);
            }
            self.give(path, value, node, is_own);
        }
    }

    fn give(&mut self, path: &str, value: TypedValue, node: &YamlNode, is_own: &dyn Fn(Position) -> bool) {
        // A map may have entries of several files.
        let mut positions = vec![node.position];
        if let YamlValue::Map(pairs) = &node.value {
            positions = pairs.iter().map(|(_, value)| value.position).collect();
        }
        match positions.into_iter().find(|position| !is_own(*position)) {
            Some(position) => {
                self.settings.set(path, value);
                self.origins.insert(path.to_owned(), SettingOrigin::Field(position));
            }
            None => self.settings.assume(path, value),
        }
    }

    fn add_flags(&mut self, flags: &[KubeletFlag], minor: KubernetesMinor) {
        let Some(known) = component_flags::all().get(NAME) else { return };
        let mut gates = match self.settings.value(GATES) {
            Some(TypedValue::Map(gates)) => gates.clone(),
            _ => Vec::new(),
        };
        let mut seen: Vec<&str> = Vec::new();
        for given in flags {
            let Some(flag) = known.get(&given.name).filter(|flag| flag.is_of(minor)) else { continue };
            let Ok(value) = flag.kind.read(&given.text, minor) else { continue };
            let setting = name_of(&given.name, flag);
            if let (GATES, TypedValue::Map(more)) = (setting, &value) {
                gates.extend(more.clone());
                if !given.is_own {
                    self.origins.insert(GATES.to_owned(), SettingOrigin::Flag(given.name.clone()));
                }
                continue;
            }
            let is_again = seen.contains(&setting);
            seen.push(setting);
            self.origins.retain(|path, _| path != setting && !is_below(path, setting));
            match (given.is_own, is_again) {
                (true, _) => self.settings.assume(setting, value),
                (false, true) => self.settings.give(setting, value),
                (false, false) => self.settings.set(setting, value),
            }
            if !given.is_own {
                self.origins.insert(setting.to_owned(), SettingOrigin::Flag(given.name.clone()));
            }
        }
        match self.origins.contains_key(GATES) {
            true => self.settings.set(GATES, TypedValue::Map(gates)),
            false => self.settings.assume(GATES, TypedValue::Map(gates)),
        }
    }

    fn add_defaults(&mut self, minor: KubernetesMinor) {
        if matches!(self.settings.value("maxParallelImagePulls"), Some(TypedValue::Whole(pulls)) if *pulls > 1)
        {
            self.settings.default_to("serializeImagePulls", TypedValue::Bool(false));
        }
        // A gate that is on by itself has the default set before anybody can switch it off.
        for (gate, path, value) in [
            (
                "KubeletEnsureSecretPulledImages",
                "imagePullCredentialsVerificationPolicy",
                TypedValue::Text("NeverVerifyPreloadedImages".to_owned()),
            ),
            (
                "KubeletCrashLoopBackOffMax",
                "crashLoopBackOff.maxContainerRestartPeriod",
                TypedValue::Duration(300_000_000_000),
            ),
        ] {
            let is_on = |settings: &ComponentSettings| settings.gate(gate, minor) == Some(true);
            if is_on(&ComponentSettings::default()) || is_on(&self.settings) {
                self.settings.default_to(path, value);
            }
        }
        for (name, flag) in component_flags::all().get(NAME).into_iter().flatten() {
            if flag.is_of(minor) {
                self.settings.default_to(name_of(name, flag), flag.unset_in(minor));
            }
        }
        for (path, row) in DEFAULTS.iter() {
            if let (Some(of), Some(text)) = (kubelet_fields::type_of(path, minor), &row.default) {
                self.settings.default_to(path, typed_text(text, of));
            }
        }
    }

    /// The names of sysctls as the kubelet looks them up: with dots, and without what a star stands for (`GetNamespace` of
    /// k8s.io/component-helpers/node/util/sysctl).
    fn derive_sysctls(&mut self) {
        let Some(TypedValue::List(patterns)) = self.settings.value("allowedUnsafeSysctls") else { return };
        let names = patterns.iter().map(|pattern| {
            let name = dotted(pattern);
            name.split('*').next().unwrap_or_default().to_owned()
        });
        let names = TypedValue::List(names.collect());
        self.settings.assume("allowedUnsafeSysctls.names", names);
    }
}

/// `NormalizeName`: where a slash is the first separator, slashes and dots change places.
fn dotted(name: &str) -> String {
    match name.find(['.', '/']) {
        Some(at) if name[at..].starts_with('/') => {
            let other = |letter| match letter {
                '.' => '/',
                '/' => '.',
                _ => letter,
            };
            name.chars().map(other).collect()
        }
        _ => name.to_owned(),
    }
}

fn is_below(path: &str, setting: &str) -> bool {
    path.strip_prefix(setting).is_some_and(|rest| rest.starts_with(['.', '[']))
}

/// Returns the setting of an argument.
fn name_of<'a>(name: &'a str, flag: &'a ComponentFlag) -> &'a str {
    flag.field.as_deref().unwrap_or(name)
}

/// Reads a decoded value of a type.
fn typed(node: &YamlNode, of: &str) -> TypedValue {
    match &node.value {
        YamlValue::Map(pairs) => {
            let pairs = pairs.iter().filter(|(_, value)| !value.is_null());
            TypedValue::Map(pairs.map(|(name, value)| (name.go_text(), value.go_text())).collect())
        }
        YamlValue::List(items) => TypedValue::List(items.iter().map(|item| item_text(item, of)).collect()),
        YamlValue::Scalar(_) => match object::whole_number(&node.value, false) {
            Some(number) if of == "float64" => typed_text(&number.to_string(), of),
            // A frequency may be a number of nanoseconds.
            Some(number) if of == "TimeOrMetaDuration" => TypedValue::Duration(number.into()),
            Some(number) if !matches!(of, "Quantity" | "QuantityValue") => TypedValue::Whole(number.into()),
            _ => typed_text(&node.go_text(), of),
        },
    }
}

/// Writes an item of a list as its argument has it.
fn item_text(item: &YamlNode, of: &str) -> String {
    let number = |name: &str| object::number(item, name);
    match of {
        "[]Taint" => {
            let text = |name: &str| object::text(item, name);
            format!("{}={}:{}", text("key"), text("value"), text("effect"))
        }
        "[]MemoryReservation" => {
            let limits = match object::field(item, "limits").map(|limits| &limits.value) {
                Some(YamlValue::Map(limits)) => limits.as_slice(),
                _ => &[],
            };
            let limits: Vec<String> = limits
                .iter()
                .map(|(name, value)| format!("{}={}", name.go_text(), value.go_text()))
                .collect();
            format!("{}:{}", number("numaNode"), limits.join(","))
        }
        "[]VModuleItem" => format!("{}={}", object::text(item, "filePattern"), number("verbosity")),
        _ => item.go_text(),
    }
}

fn typed_text(text: &str, of: &str) -> TypedValue {
    match of {
        "bool" => TypedValue::Bool(text == "true"),
        "int32" | "int64" | "uint32" => TypedValue::Whole(flag_values::integer(text).unwrap_or_default()),
        "float64" => TypedValue::Number(flag_values::number(text).unwrap_or_default()),
        "Duration" | "TimeOrMetaDuration" => {
            TypedValue::Duration(flag_values::duration(text).unwrap_or_default())
        }
        _ if of.starts_with("[]") => TypedValue::List(Vec::new()),
        _ if of.starts_with("{}") => TypedValue::Map(Vec::new()),
        _ => TypedValue::Text(text.to_owned()),
    }
}
