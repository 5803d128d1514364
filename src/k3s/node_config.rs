// SPDX-License-Identifier: Apache-2.0
//! A node, with the configuration in force on it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use super::arguments;
use super::components;
use super::config_file::ConfigFile;
use super::config_values::ConfigQuery;
use super::data_dir::DataDir;
use super::datastore::Datastore;
use super::effective::EffectiveConfig;
use super::flags;
use super::given::{self, Given};
use super::node_paths::{self, DEFAULT_DATA_DIR, NodePaths};
use super::release_flags::{self, DifferingFlag};
use super::running::RunningComponents;
use super::service::NodeService;
use super::start::K3sStart;
use super::traces::Traces;
use crate::Role;
use crate::error::{Error, Place, Result};
use crate::kubernetes::component_flags;
use crate::kubernetes::settings::ComponentSettings;
use crate::node::{Root, RootedPath, commands, sysctl};
use crate::version::{K3sRelease, KubernetesMinor};

/// A node before K3s is started on it.
#[derive(Debug, Clone)]
pub struct NodeConfig<'a> {
    /// Its root.
    pub root: &'a Root,
    /// The role that K3s is started in.
    pub role: Role,
    /// The release of K3s.
    pub release: K3sRelease,
    /// The service that starts K3s.
    pub service: NodeService,
    /// The configuration file that K3s reads.
    pub config: ConfigFile,
    /// The data directory that K3s's configuration names, whatever the user does; the error if K3s cannot read it.
    pub own_data_dir: Result<DataDir>,
    /// K3s's data directory.
    pub data_dir: RootedPath,
    /// The configuration in force; the error if K3s cannot read it.
    pub effective: std::result::Result<EffectiveConfig, Error>,
    /// Why K3s will run on another machine than this one, if that is so.
    pub elsewhere: Option<String>,
    /// The flags of the components, which many ask for.
    flags: OnceLock<BTreeMap<String, Vec<(String, String)>>>,
}

/// An argument that the configuration gives a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentArgument {
    /// Its name, without K3s's own `+` or `-` at its end.
    pub name: String,
    /// Its value; `true` if it has none.
    pub value: String,
    /// As it is written.
    pub text: String,
    /// Where it is written.
    pub place: Place,
}

impl<'a> NodeConfig<'a> {
    /// Reads the configuration of a node.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn read(
        root: &'a Root,
        role: Role,
        release: impl Into<K3sRelease>,
        data_dir: &RootedPath,
    ) -> Result<Self> {
        Ok(Self::of_start(root, K3sStart::read(root, role, release.into())?, data_dir))
    }

    /// Returns the configuration of a node on which it is known how K3s is started.
    #[must_use]
    pub fn of_start(root: &'a Root, start: K3sStart, data_dir: &RootedPath) -> Self {
        let own_data_dir = start.data_dir();
        let K3sStart { role, release, service, config, command_line, .. } = start;
        let query = ConfigQuery { role, release, data_dir, words: &[], show_secrets: true };
        // A name that is no path is an error of the configuration below.
        let config = config.unwrap_or_default();
        let effective =
            command_line.map(|read| EffectiveConfig::of_command_line(root, &service, read, query));
        let elsewhere = match root.chroot() {
            Some(sign) => Some(format!("this is a chroot ({sign})")),
            None if root.is_live() => {
                sysctl::container(root).map(|sign| format!("this is a container ({sign})"))
            }
            None => Some("this is the root of an image".to_owned()),
        };
        let data_dir = data_dir.clone();
        Self {
            root,
            role,
            release,
            service,
            config,
            own_data_dir,
            data_dir,
            effective,
            elsewhere,
            flags: OnceLock::new(),
        }
    }

    /// Returns the Kubernetes minor of the release.
    #[must_use]
    pub fn minor(&self) -> KubernetesMinor {
        self.release.minor()
    }

    /// Returns a text of a table with its commands made for this node: for its root and its data directory.
    #[must_use]
    pub fn with_commands(&self, text: &str) -> String {
        commands::with_commands(self.root.path(), &text.replace(DEFAULT_DATA_DIR, self.data_dir.as_str()))
    }

    /// Marks this machine as another one than that on which K3s will run.
    #[must_use]
    pub fn elsewhere(mut self, reason: &str) -> Self {
        self.elsewhere.get_or_insert_with(|| reason.to_owned());
        self
    }

    /// Returns the arguments that the configuration gives a component, in their order, as far as they reach it: K3s keeps
    /// some of the kubelet's for itself, and drops others.
    #[must_use]
    pub fn arguments(&self, component: &str) -> Vec<ComponentArgument> {
        self.given(component, |given| given::passed_on(self.minor(), component, &given))
    }

    /// Returns the arguments that the configuration gives a component, in their order, all of them.
    #[must_use]
    pub fn written_arguments(&self, component: &str) -> Vec<ComponentArgument> {
        self.given(component, |given| given)
    }

    fn given<'v>(
        &'v self,
        component: &str,
        choose: impl FnOnce(Vec<Given<'v>>) -> Vec<Given<'v>>,
    ) -> Vec<ComponentArgument> {
        let (Ok(effective), Some(known)) = (&self.effective, components::find(component)) else {
            return Vec::new();
        };
        let argument = |(text, origin): Given<'_>| {
            let plain = text.strip_prefix("--").unwrap_or(text);
            let (name, value) = plain.split_once('=').unwrap_or((plain, "true"));
            ComponentArgument {
                name: name.trim_end_matches(['+', '-']).to_owned(),
                value: value.to_owned(),
                text: text.to_owned(),
                place: origin.place(),
            }
        };
        let written = given::written(&effective.values, known);
        choose(written).into_iter().map(argument).collect()
    }

    /// Returns the names of the flags that K3s itself gives a component, whatever the configuration says.
    #[must_use]
    pub fn own_flags(&self, component: &str) -> BTreeSet<String> {
        let Self { role, release, data_dir, .. } = self;
        let query = ConfigQuery { role: *role, release: *release, data_dir, words: &[], show_secrets: false };
        given::own_flag_names(component, &self.running(), query)
    }

    /// Returns K3s's own flags of a component on which the releases of the minor differ.
    #[must_use]
    pub fn differing_flags(&self, component: &str) -> Vec<DifferingFlag> {
        let arguments = self.arguments(component);
        let extra: Vec<&str> = arguments.iter().map(|argument| argument.text.as_str()).collect();
        match self.effective.is_ok() && self.runs(component) {
            true => release_flags::differing(component, self.release, &extra),
            false => Vec::new(),
        }
    }

    /// Takes the configuration for one that nobody can tell.
    pub fn forget(&mut self, why: Error) {
        self.effective = Err(why);
        self.flags = OnceLock::new();
    }

    /// Returns the flags that a component gets, K3s's own included, by the names that it knows them by; none if it does not
    /// run, or if K3s cannot read its configuration.
    #[must_use]
    pub fn flags(&self, component: &str) -> &[(String, String)] {
        let read = || {
            let components = self.effective.iter().flat_map(|effective| &effective.components);
            let taken = components.map(|(component, flags)| {
                let flags = flags.iter().map(|flag| arguments::as_component_takes(component, flag));
                (component.clone(), flags.collect())
            });
            taken.collect()
        };
        self.flags.get_or_init(read).get(component).map_or(&[], Vec::as_slice)
    }

    /// Returns the settings that the flags of a component make, with the defaults of the minor.
    #[must_use]
    pub fn settings(&self, component: &str) -> ComponentSettings {
        let flags = self.flags(component);
        let flags = flags.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        component_flags::settings(component, self.minor(), flags)
    }

    /// Returns the last value that a component gets for a flag, K3s's own defaults included.
    #[must_use]
    pub fn flag(&self, component: &str, name: &str) -> Option<String> {
        let flags = self.effective.as_ref().ok()?.components.get(component)?;
        let of =
            |flag: &String| flag.strip_prefix("--")?.strip_prefix(name)?.strip_prefix('=').map(str::to_owned);
        flags.iter().rev().find_map(of)
    }

    /// Returns where an argument is set; none if only K3s itself sets it.
    #[must_use]
    pub fn place_of(&self, component: &str, name: &str) -> Option<Place> {
        let takes = |text: &str| arguments::as_component_takes(component, text).0;
        let mut arguments = self.arguments(component).into_iter().rev();
        arguments.find(|argument| takes(&argument.text) == name).map(|argument| argument.place)
    }

    /// Returns the value of one of K3s's own keys.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<(&str, Place)> {
        let value = self.effective.as_ref().ok()?.values.get(key)?;
        Some((value.items.last()?.as_str(), value.origins.last()?.place()))
    }

    /// Tells whether one of K3s's own keys is true.
    #[must_use]
    pub fn is_on(&self, key: &str) -> bool {
        self.value(key).is_some_and(|(text, _)| flags::is_true(text))
    }

    /// Tells whether a component runs on the node; where K3s cannot read the configuration, whether its role runs it.
    #[must_use]
    pub fn runs(&self, component: &str) -> bool {
        self.running().has(component)
    }

    /// Returns what runs on the node.
    #[must_use]
    pub fn running(&self) -> Cow<'_, RunningComponents> {
        match &self.effective {
            Ok(effective) => Cow::Borrowed(&effective.running),
            Err(_) => {
                let begun = self.root.is_directory(&self.data_dir.join(Datastore::ETCD_LOG));
                let datastore = if begun { Datastore::Etcd } else { Datastore::Sqlite };
                Cow::Owned(RunningComponents::of_role(self.role, datastore))
            }
        }
    }

    /// Returns the provider with which K3s encrypts Secrets from its first start on, and where it is set.
    #[must_use]
    pub fn encryption_provider(&self) -> (&str, Option<Place>) {
        let (provider, place) = self.value(flags::PROVIDER_KEY).unzip();
        (
            provider.or_else(|| flags::default_text(flags::PROVIDER_KEY, self.release)).unwrap_or_default(),
            place,
        )
    }

    /// Returns what K3s has written on the node.
    #[must_use]
    pub fn traces(&self) -> Traces {
        Traces::observe(self.root, &self.data_dir)
    }

    /// Tells whether a path is in a folder whose files K3s creates before it starts its components.
    #[must_use]
    pub fn creates(&self, path: &RootedPath) -> bool {
        let folders = NodePaths::get().created_folders.iter();
        folders
            .map(|folder| self.data_dir.join(folder))
            .any(|folder| path.as_str().starts_with(&format!("{folder}/")))
    }

    /// Returns a path that an argument names: K3s runs in its `server` directory (pkg/cli/server).
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] if it is no path.
    pub fn path(&self, text: &str) -> Result<RootedPath> {
        node_paths::of_argument(&self.data_dir, text)
    }
}
