// SPDX-License-Identifier: Apache-2.0
//! The services of a node that start K3s, and those of which that is not known.

use std::collections::{BTreeMap, BTreeSet};

use super::notes::{Hidden, NotUnderstood, ServiceFault, file_of};
use super::openrc::{self, InitScript};
use super::systemd::environment::UnitEnvironment;
use super::systemd::folders::UnitFolders;
use super::systemd::specifiers::UnitName;
use super::systemd::unit::ServiceUnit;
use super::systemd::{self, FoundUnit};
use super::wrapper::{self, K3sCommand, WrappedCommand};
use crate::Role;
use crate::error::{ErrorKind, Result};
use crate::k3s::flags;
use crate::k3s::node_paths::NodePaths;
use crate::k3s::origin::VariableSource;
use crate::node::{Root, RootedPath};

/// Values of variables by name, with what sets each.
pub(super) type Environment = BTreeMap<String, (String, VariableSource)>;

/// A service that starts K3s, or may start it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FoundService {
    /// Its name without a suffix.
    pub(super) name: String,
    /// The unit file or the init script.
    pub(super) path: RootedPath,
    /// The role; of a suspect the one that a command speaks of which systemd ignores.
    pub(in crate::k3s) role: Option<Role>,
    /// The file with the command line: the unit file, a drop-in of it, or the init script.
    pub(super) command_file: RootedPath,
    /// The words behind the program.
    pub(in crate::k3s) words: Vec<String>,
    pub(super) environment: Environment,
    /// Where it runs, as it is written; none for `/`.
    pub(super) directory: Option<String>,
    /// The home directory that it has before its own variables are set.
    pub(super) home: ServiceHome,
    pub(super) not_understood: Vec<NotUnderstood>,
    pub(super) faults: Vec<ServiceFault>,
}

/// What systemd or OpenRC sets `HOME` to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServiceHome {
    /// The home directory of root.
    OfRoot,
    /// It does not set it.
    Unset,
    /// That is not known.
    NotKnown,
}

/// The services of a node.
#[derive(Debug)]
pub(super) struct ServiceSearch<'r> {
    root: &'r Root,
    folders: UnitFolders<'r>,
    /// Services whose command line is K3s'.
    pub(super) running: Vec<FoundService>,
    /// Services of which that is not known, those that are named as K3s's own first.
    pub(super) suspects: Vec<FoundService>,
    /// Masked ones that are named as K3s's own.
    pub(super) masked: Vec<FoundService>,
}

/// Names of services that start K3s wherever they are.
const OWN_NAMES: [&str; 3] = ["k3s", "k3s-server", "k3s-agent"];

/// Tells whether the name of a program holds that of K3s.
fn is_named_after_k3s(program: &str) -> bool {
    program.rsplit('/').next().is_some_and(|name| name.contains("k3s"))
}

/// Tells whether a line of a script may start K3s as a server or an agent.
fn may_start_k3s(script: &str) -> bool {
    let mut lines = script.lines().filter(|line| !line.trim_start().starts_with('#'));
    let speaks = ["server", "agent", "$", "command="];
    lines.any(|line| wrapper::text_names_k3s(line) && speaks.iter().any(|word| line.contains(word)))
}

impl FoundService {
    fn new(name: &str, path: &RootedPath) -> Self {
        Self {
            name: name.to_owned(),
            path: path.clone(),
            role: None,
            command_file: path.clone(),
            words: Vec::new(),
            environment: Environment::new(),
            directory: None,
            home: ServiceHome::NotKnown,
            not_understood: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Tells whether its name says that it starts K3s.
    pub(super) fn has_own_name(&self) -> bool {
        OWN_NAMES.contains(&self.name.as_str())
    }

    /// Returns the role that the command or the name speaks of; K3s's own name is that of both roles.
    pub(super) fn spoken_role(&self) -> Option<Role> {
        match self.name.as_str() {
            _ if self.role.is_some() => self.role,
            "k3s-server" => Some(Role::Server),
            "k3s-agent" => Some(Role::Agent),
            _ => None,
        }
    }

    /// Adds what wrappers do, and what of the variables is not known.
    fn settle(&mut self, command: K3sCommand, unknown: &BTreeMap<String, NotUnderstood>) {
        let mut unknown = unknown.clone();
        if command.is_cleared {
            self.environment.clear();
            self.home = ServiceHome::Unset;
            unknown.clear();
        }
        self.role = command.role();
        for (name, value) in command.environment {
            unknown.remove(&name);
            match value {
                Some(value) => drop(self.environment.insert(name, (value, VariableSource::Service))),
                None => {
                    self.environment.remove(&name);
                    if name == "HOME" {
                        self.home = ServiceHome::Unset;
                    }
                }
            }
        }
        self.directory = command.directory.or(self.directory.take());
        self.words = command.words;
        let role = self.role;
        let is_read = |name: &str| role.is_some_and(|role| flags::reads_variable(role, name));
        let unknown = unknown.into_iter().filter(|(name, _)| is_read(name));
        self.not_understood.extend(unknown.map(|(name, why)| {
            let note = NotUnderstood::new(why.place, format!("the value of {name}: {}", why.reason));
            note.hiding(Hidden::Variable(name))
        }));
    }
}

impl<'r> ServiceSearch<'r> {
    /// Looks for services: units whose names hold `k3s` first, then all others, then init scripts.
    ///
    /// # Errors
    /// If a file of a service cannot be read.
    pub(super) fn of(root: &'r Root) -> Result<Self> {
        let folders = UnitFolders::list(root)?;
        let is_there = |paths: &[RootedPath]| paths.iter().any(|path| root.exists(path));
        let is_openrc = is_there(&NodePaths::get().openrc) && !is_there(&NodePaths::get().systemd);
        // Nobody reads the units of a node that has OpenRC and no systemd.
        let names = if is_openrc { Vec::new() } else { folders.services()? };
        let mut search =
            Self { root, folders, running: Vec::new(), suspects: Vec::new(), masked: Vec::new() };
        let (own, others): (Vec<UnitName>, Vec<UnitName>) =
            names.into_iter().partition(|name| name.as_str().contains("k3s"));
        let mut seen = BTreeSet::new();
        search.add_units(&own, &mut seen)?;
        if search.running.is_empty() {
            search.add_units(&others, &mut seen)?;
        }
        if search.running.is_empty() {
            search.add_init_scripts()?;
        }
        search.suspects.sort_by_key(|suspect| !suspect.has_own_name());
        Ok(search)
    }

    /// Tells whether a service starts with the machine.
    ///
    /// # Errors
    /// If a folder exists and cannot be listed.
    pub(super) fn is_enabled(&self, service: &FoundService) -> Result<bool> {
        if service.path.as_str().starts_with(NodePaths::get().init_scripts.as_str()) {
            let link = RootedPath::fixed("/etc/runlevels/default").join(&service.name);
            return Ok(self.root.exists(&link));
        }
        Ok(self.folders.wanted()?.contains(&format!("{}.service", service.name)))
    }

    fn add_units(&mut self, names: &[UnitName], seen: &mut BTreeSet<String>) -> Result<()> {
        for name in names {
            let has_instance = || {
                names
                    .iter()
                    .any(|other| other != name && other.prefix() == name.prefix() && !other.is_template())
            };
            if name.is_template() && has_instance() {
                continue;
            }
            match systemd::load(self.root, &self.folders, name)? {
                Some(FoundUnit::Service(unit)) if seen.insert(unit.name.as_str().to_owned()) => {
                    self.add_unit(&unit)?;
                }
                Some(FoundUnit::Masked(name, path)) => {
                    let mut service = FoundService::new(name.stem(), &path);
                    if service.has_own_name() && seen.insert(name.as_str().to_owned()) {
                        let message = "the unit is masked: systemd does not start it";
                        let remedy = format!("systemctl unmask {}", name.as_str());
                        service.faults.push(ServiceFault::new(file_of(&path), message, remedy));
                        self.masked.push(service);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn add_unit(&mut self, unit: &ServiceUnit) -> Result<()> {
        let mut service = FoundService::new(unit.name.stem(), &unit.fragment);
        service.not_understood.clone_from(&unit.not_understood);
        service.faults.clone_from(&unit.faults);
        service.home = match unit.has_home() {
            true if unit.is_of_other_user() => ServiceHome::NotKnown,
            true => ServiceHome::OfRoot,
            false => ServiceHome::Unset,
        };
        if let Some(directory) = &unit.working_directory {
            let is_there = directory.path.parse().is_ok_and(|path| self.root.is_directory(&path));
            if is_there {
                service.directory = Some(directory.path.clone());
            } else if !directory.optional {
                let message =
                    format!("{} is no directory: systemd does not start the service", directory.path);
                let remedy = "make the directory, or write a dash in front of it";
                service.faults.push(ServiceFault::new(directory.place.clone(), message, remedy));
            }
        }
        if unit.commands.is_empty() {
            let strays =
                unit.stray.iter().map(|command| wrapper::understand(&command.program, &command.words));
            service.role = strays.fold(None, |role, command| match command {
                WrappedCommand::K3s(command) => role.or(command.role()),
                _ => role,
            });
            if service.has_own_name() || service.role.is_some() {
                self.suspects.push(service);
            }
            return Ok(());
        }
        let may_start = |text: &str| wrapper::text_names_k3s(text) || text.contains('$');
        let asks = unit.commands.iter().any(|command| {
            may_start(&command.program)
                || is_named_after_k3s(&command.program)
                || command.words.iter().any(|word| may_start(word))
        });
        if !asks && !service.name.contains("k3s") {
            return Ok(());
        }
        let environment = UnitEnvironment::of(self.root, unit)?;
        let (mut suspicion, mut other) = (None, None);
        for command in &unit.commands {
            let (words, unknown) = systemd::words_of(command, &environment);
            match wrapper::understand(&command.program, &words) {
                WrappedCommand::K3s(k3s) => {
                    let is_service = k3s.role().is_some();
                    let script = self.script(&k3s.program)?.filter(|text| !wrapper::passes_words(text));
                    let script = script.map(|_| {
                        let program = &k3s.program;
                        let why = format!("{program} is a script, which may change K3s's command line");
                        NotUnderstood::new(command.place.clone(), why).hiding(Hidden::Script)
                    });
                    if !is_service && unknown.is_empty() && script.is_none() {
                        other.get_or_insert((k3s, command.file.clone()));
                        continue;
                    }
                    service.command_file = command.file.clone();
                    service.environment.clone_from(&environment.values);
                    service.faults.extend(environment.faults.iter().cloned());
                    service.settle(k3s, &environment.unknown);
                    service.not_understood.extend(unknown.into_iter().chain(script));
                    if unit.name.is_template() {
                        let reason = "this is a template, and no instance of it is enabled";
                        service.not_understood.push(NotUnderstood::new(command.place.clone(), reason));
                    }
                    if is_service {
                        self.running.push(service);
                    } else {
                        self.suspects.push(service);
                    }
                    return Ok(());
                }
                WrappedCommand::NotUnderstood(why) => {
                    suspicion.get_or_insert(NotUnderstood::new(command.place.clone(), why));
                }
                WrappedCommand::Other
                    if service.has_own_name() || self.is_script_of_k3s(&service, &command.program)? =>
                {
                    let why = format!("{} is not read: it may start K3s", command.program);
                    suspicion.get_or_insert(NotUnderstood::new(command.place.clone(), why));
                }
                WrappedCommand::Other => {}
            }
        }
        if let Some(why) = suspicion {
            service.not_understood.push(why);
            self.suspects.push(service);
        } else if let Some((command, file)) = other.filter(|_| service.has_own_name()) {
            // K3s's own service runs another command of K3s, or a word that is none: K3s says what it is.
            service.command_file = file;
            service.environment.clone_from(&environment.values);
            service.settle(command, &environment.unknown);
            self.suspects.push(service);
        }
        Ok(())
    }

    /// Tells whether the program of a service is a script that may start K3s. One of the two is named after K3s.
    fn is_script_of_k3s(&self, service: &FoundService, program: &str) -> Result<bool> {
        if !service.name.contains("k3s") && !is_named_after_k3s(program) {
            return Ok(false);
        }
        Ok(self.script(program)?.is_some_and(|text| may_start_k3s(&text)))
    }

    /// Returns the text of a program that is a script.
    fn script(&self, program: &str) -> Result<Option<String>> {
        let Ok(path) = program.parse::<RootedPath>() else { return Ok(None) };
        let bytes = match self.root.read(&path) {
            // A program is larger than a script.
            Err(error) if error.kind() == ErrorKind::BadInput => None,
            other => other?,
        };
        let bytes = bytes.filter(|bytes| bytes.starts_with(b"#!"));
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn add_init_scripts(&mut self) -> Result<()> {
        let folder = &NodePaths::get().init_scripts;
        for name in self.root.names(folder)? {
            let path = folder.join(&name);
            let bytes = match self.root.read(&path) {
                Err(error) if error.kind() == ErrorKind::BadInput => None,
                other => other?,
            };
            let Some(bytes) = bytes else { continue };
            let text = String::from_utf8_lossy(&bytes);
            if name.contains("k3s") || may_start_k3s(&text) {
                let script = openrc::read(self.root, &path, &text)?;
                self.add_init_script(&name, &path, script);
            }
        }
        Ok(())
    }

    fn add_init_script(&mut self, name: &str, path: &RootedPath, script: InitScript) {
        let mut service = FoundService::new(name, path);
        service.directory = script.directory;
        service.not_understood = script.not_understood;
        service.faults = script.faults;
        let mut unknown = BTreeMap::new();
        for (name, variable) in script.variables.into_iter().filter(|(_, variable)| variable.exported) {
            match variable.value {
                Ok(value) => drop(service.environment.insert(name, (value, variable.source))),
                Err(why) => drop(unknown.insert(name, why)),
            }
        }
        match script.command {
            WrappedCommand::K3s(command) if command.role().is_some() => {
                service.settle(command, &unknown);
                self.running.push(service);
            }
            WrappedCommand::NotUnderstood(why) => {
                service.not_understood.push(NotUnderstood::new(file_of(path), why));
                self.suspects.push(service);
            }
            // Something else that is named after K3s.
            WrappedCommand::K3s(_) | WrappedCommand::Other
                if service.not_understood.is_empty() && !service.has_own_name() => {}
            WrappedCommand::K3s(_) | WrappedCommand::Other => {
                if service.not_understood.is_empty() && service.faults.is_empty() {
                    let why = "the command of the script is neither k3s server nor k3s agent";
                    service.not_understood.push(NotUnderstood::new(file_of(path), why));
                }
                self.suspects.push(service);
            }
        }
    }
}
