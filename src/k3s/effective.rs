// SPDX-License-Identifier: Apache-2.0
//! The configuration in force: K3s's command line, where each value comes from, and each component's flags.
//!
//! Sources in K3s's order: the environment (for flags that no other source sets), the configuration files, the command
//! line of the service, and the words that the caller adds to it. The command line is read in one place
//! (`command_line`), and all others ask for its values here.

use std::collections::BTreeMap;

use super::command_line::K3sRefusal;
use super::command_line::{CommandLine, CommandLineSources, SkippedKey};
use super::config_file::ConfigFile;
use super::config_values::{ConfigQuery, EffectiveValue};
use super::flags::K3sFlag;
use super::given;
use super::merged_config::MergedConfig;
use super::origin::ValueOrigin;
use super::running::RunningComponents;
use super::secrets;
use super::service::NodeService;
use crate::error::Result;
use crate::node::{Root, RootedPath};

/// The configuration in force.
#[derive(Debug, Clone, PartialEq)]
pub struct EffectiveConfig {
    /// The configuration files, in the order in which K3s reads them.
    pub files: Vec<RootedPath>,
    /// The command line, without the program.
    pub argv: Vec<String>,
    /// What K3s logs about it, and what it refuses.
    pub warnings: Vec<String>,
    /// The words that are no flags, and all that K3s does not read because of them.
    pub rest: Vec<String>,
    /// What it refuses: K3s exits on the first that is certain.
    pub refusals: Vec<K3sRefusal>,
    /// The keys that it skips.
    pub skipped: Vec<SkippedKey>,
    /// The drop-in that is a symlink to nothing, for which K3s ignores all of its configuration files.
    pub dangling: Option<RootedPath>,
    /// Every flag that is set, by its long name.
    pub values: BTreeMap<String, EffectiveValue>,
    /// What runs with it.
    pub running: RunningComponents,
    /// The flags that each component that runs gets, K3s's own included.
    pub components: BTreeMap<String, Vec<String>>,
}

impl EffectiveConfig {
    /// Reads every source of a node's configuration.
    ///
    /// # Errors
    /// [`crate::ErrorKind::BadInput`] with the place where K3s would not start.
    pub fn read(root: &Root, query: ConfigQuery<'_>) -> Result<Self> {
        let service = NodeService::find(root, query.role)?;
        let read = read_command_line(root, &service, query)?;
        Ok(Self::of_command_line(root, &service, read, query))
    }

    /// Returns the configuration that a command line makes.
    pub(super) fn of_command_line(
        root: &Root,
        service: &NodeService,
        read: ReadCommandLine,
        query: ConfigQuery<'_>,
    ) -> Self {
        let ReadCommandLine { merged: MergedConfig { files, dangling, .. }, line } = read;
        let CommandLine { argv, values, rest, refusals, skipped } = line;
        let mut warnings = service.warnings();
        warnings.extend(skipped.iter().map(|key| match query.release.minor().may_have() {
            Some(doubt) => format!("{} ({doubt})", key.message),
            None => key.message.clone(),
        }));
        warnings.extend(refusals.iter().map(|refusal| {
            let K3sRefusal { origin, message, .. } = refusal;
            let doubt = refusal.doubt.as_ref().map(|doubt| format!(" ({doubt})")).unwrap_or_default();
            format!("{origin}: K3s exits: {message}{doubt}")
        }));
        let running = RunningComponents::read(root, &values, query);
        warnings.extend(given::unknown_arguments(&values, &running, query));
        warnings.extend(given::differing_flags(&values, &running, query));
        let components = given::flags_of_components(&values, &running, query);
        let mut effective =
            Self { files, argv, rest, warnings, refusals, skipped, dangling, values, running, components };
        if !query.show_secrets {
            effective.mask();
        }
        effective
    }

    /// Replaces every secret by asterisks.
    fn mask(&mut self) {
        self.values.iter_mut().for_each(|(name, value)| secrets::mask_values(name, &mut value.items));
        secrets::mask_command_line(&mut self.argv);
        self.components.values_mut().flatten().for_each(secrets::mask_word);
        self.warnings.retain(|warning| !secrets::are_in(warning));
    }
}

/// K3s's command line, with the configuration files that it is made of.
#[derive(Debug, Clone)]
pub(super) struct ReadCommandLine {
    pub(super) merged: MergedConfig,
    pub(super) line: CommandLine,
}

/// Reads K3s's command line, with the configuration files that it is made of.
///
/// # Errors
/// As for [`EffectiveConfig::read`].
pub(super) fn read_command_line(
    root: &Root,
    service: &NodeService,
    query: ConfigQuery<'_>,
) -> Result<ReadCommandLine> {
    let words = words(service, query);
    let config = ConfigFile::with_words(root, service.as_written(), query.role, query.words)?;
    config.check(root, query.release)?;
    let read = config.path.as_ref().map(|path| MergedConfig::read(root, path, &config.text)).transpose()?;
    let merged = read.unwrap_or_default();
    let variable = |flag: &K3sFlag| service.variable(flag).map(|(text, origin)| (text.to_owned(), origin));
    let sources = CommandLineSources {
        role: query.role,
        release: query.release,
        words: &words,
        keys: &merged.keys,
        variable: &variable,
    };
    let line = sources.read();
    Ok(ReadCommandLine { merged, line })
}

/// Returns the words behind the program, each with its origin: those of the service, then those that the caller adds.
/// Without a service, or if its words are not known, the role itself is the first.
fn words(service: &NodeService, query: ConfigQuery<'_>) -> Vec<(String, ValueOrigin)> {
    let role = query.role.to_string();
    let of_service = service.words.iter().map(|word| (word.clone(), service.origin()));
    let mut words: Vec<_> = of_service.collect();
    if words.is_empty() && (service.path.is_none() || !service.not_understood.is_empty()) {
        words.push((role, ValueOrigin::CommandLine));
    }
    words.extend(query.words.iter().map(|word| (word.clone(), ValueOrigin::CommandLine)));
    words
}
