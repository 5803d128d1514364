//! The configuration in force: K3s' command line, where each value comes from, and each component's flags.
//!
//! Sources in K3s' order: the environment (for flags that no other source sets), the configuration files, the command
//! line of the service, and the words that the caller adds to it. Of a flag with one value the last counts; of a flag that
//! repeats, all count.

use std::collections::BTreeMap;

use super::command_line::{self, RefusedKey};
use super::config_file::ConfigFile;
use super::flags::{self, K3sFlagType};
use super::given;
use super::merged_config::MergedConfig;
use super::origin::ValueOrigin;
use super::running::RunningComponents;
use super::secrets;
use super::service::NodeService;
use crate::Role;
use crate::error::Result;
use crate::node::{Root, RootedPath};
use crate::version::{Availability, K3sRelease};

/// The configuration in force.
#[derive(Debug, Clone, PartialEq)]
pub struct EffectiveConfig {
    /// The configuration files, in the order in which K3s reads them.
    pub files: Vec<RootedPath>,
    /// The command line, without the program.
    pub argv: Vec<String>,
    /// What K3s logs about it, and what it refuses.
    pub warnings: Vec<String>,
    /// The keys that it refuses: it exits on the first.
    pub refused_keys: Vec<RefusedKey>,
    /// Every flag that is set, by its long name.
    pub values: BTreeMap<String, EffectiveValue>,
    /// What runs with it.
    pub running: RunningComponents,
    /// The flags that each component that runs gets, K3s' own included.
    pub components: BTreeMap<String, Vec<String>>,
}

/// The value of a flag, and where it comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EffectiveValue {
    /// The value; several for a flag that repeats.
    pub items: Vec<String>,
    /// Where each item comes from.
    pub origins: Vec<ValueOrigin>,
    /// Whether the flag repeats.
    pub list: bool,
}

type Values = BTreeMap<String, EffectiveValue>;

/// Which configuration of a node is read.
#[derive(Debug, Clone, Copy)]
pub struct ConfigQuery<'a> {
    /// The role that K3s is started in.
    pub role: Role,
    /// The release: which flags K3s has, and which it adds.
    pub release: K3sRelease,
    /// K3s' data directory.
    pub data_dir: &'a RootedPath,
    /// Words behind the service's command line, as if typed.
    pub words: &'a [String],
    /// Whether secrets are shown.
    pub show_secrets: bool,
}

impl EffectiveConfig {
    /// Reads every source of a node's configuration.
    ///
    /// # Errors
    /// [`crate::ErrorKind::BadInput`] with the place where K3s would not start.
    pub fn read(root: &Root, query: ConfigQuery<'_>) -> Result<Self> {
        let role = query.role;
        let service = NodeService::find(root, role)?;
        let (values, merged) = read_values(root, &service, query)?;
        let mut warnings = merged.warnings.clone();
        let refused_keys = merged.refused_keys(role);
        let exits = |refused: &RefusedKey| format!("{}: K3s exits: {}", refused.place, refused.message);
        warnings.extend(refused_keys.iter().map(exits));
        let running = RunningComponents::read(root, &values, query);
        warnings.extend(given::unknown_arguments(&values, &merged.argv, &running, query));
        let components = given::flags_of_components(&values, &merged.argv, &running, query);
        let mut effective = Self {
            files: merged.files,
            argv: merged.argv,
            warnings,
            refused_keys,
            values,
            running,
            components,
        };
        if !query.show_secrets {
            effective.mask();
        }
        Ok(effective)
    }

    /// Replaces every secret by asterisks.
    fn mask(&mut self) {
        self.values.iter_mut().for_each(|(name, value)| secrets::mask_values(name, &mut value.items));
        secrets::mask_command_line(&mut self.argv);
        self.components.values_mut().flatten().for_each(secrets::mask_word);
        self.warnings.retain(|warning| !secrets::are_in(warning));
    }
}

/// Reads every flag that is set, and the configuration files, merged.
///
/// # Errors
/// As for [`EffectiveConfig::read`].
pub(super) fn read_values(
    root: &Root,
    service: &NodeService,
    query: ConfigQuery<'_>,
) -> Result<(Values, MergedConfig)> {
    let role = query.role;
    let own = service.words_after(role);
    let mut words = vec![role.to_string()];
    words.extend(own.iter().chain(query.words).cloned());

    let config = ConfigFile::of_service(root, service, role, query.words)?;
    config.check(root, query.release)?;
    let merged = MergedConfig::read_from(root, &words, query.release.minor(), config.path.as_ref())?;
    let mut values = Values::new();
    let mut set = |name: &str, text: &str, origin: ValueOrigin| {
        let Some(flag) = flags::find(role, query.release.minor(), name) else { return };
        let list = flag.kind == K3sFlagType::List;
        let value = values.entry(flag.names[0].clone()).or_default();
        if !list {
            *value = EffectiveValue::default();
        }
        value.list = list;
        value.items.push(text.to_owned());
        value.origins.push(origin);
    };
    for key in &merged.keys {
        for item in &key.items {
            set(&key.name, &item.text, ValueOrigin::File(item.place.clone()));
        }
    }
    for (index, (name, text)) in command_line::typed(role, &words[1..]) {
        let of_service = index < own.len();
        set(&name, &text, if of_service { service.origin() } else { ValueOrigin::CommandLine });
    }
    for flag in flags::of_minor(role, query.release.minor()) {
        let is_set = values.contains_key(&flag.names[0]);
        if is_set || flag.availability_of_variables(query.release) == Availability::Absent {
            continue;
        }
        if let Some((value, origin)) = service.variable(flag) {
            let list = flag.kind == K3sFlagType::List;
            let value = EffectiveValue { items: vec![value.to_owned()], origins: vec![origin], list };
            values.insert(flag.names[0].clone(), value);
        }
    }
    Ok((values, merged))
}
