// SPDX-License-Identifier: Apache-2.0
//! The service that starts K3s on a node: which one it is, its command line and its environment.

use super::notes::{NotUnderstood, ServiceFault, file_of};
use super::search::{Environment, FoundService, ServiceHome, ServiceSearch};
use crate::Role;
use crate::error::Result;
use crate::k3s::flags::{self, K3sFlag};
use crate::k3s::origin::ValueOrigin;
use crate::node::{Root, RootedPath};

/// The home directory of the user that K3s runs as.
const ROOTS_HOME: &str = "/root";

/// The value of `HOME` in K3s's environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::k3s) enum HomeDirectory<'s> {
    /// A directory.
    Known(&'s str),
    /// It has none.
    Unset,
    /// That is not known.
    NotKnown,
}

/// The service that starts K3s. Without one, the command line and the environment are empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeService {
    /// The file of the service.
    pub path: Option<RootedPath>,
    /// The words of its command line after the program, as K3s gets them.
    pub words: Vec<String>,
    environment: Environment,
    /// The directory that K3s runs in: `/` unless the service says otherwise.
    pub working_directory: RootedPath,
    home: ServiceHome,
    /// What decides how K3s is started and is not understood: nothing is known of the command line and the environment.
    pub not_understood: Vec<NotUnderstood>,
    /// Why the service does not start K3s.
    pub faults: Vec<ServiceFault>,
    /// The file with the command line, which may be a drop-in.
    command_file: Option<RootedPath>,
    /// What is written of a command line and an environment that are known in part.
    written: Option<Box<NodeService>>,
}

impl Default for NodeService {
    fn default() -> Self {
        Self {
            path: None,
            words: Vec::new(),
            environment: Environment::new(),
            working_directory: RootedPath::fixed("/"),
            // K3s's installer writes User=root.
            home: ServiceHome::OfRoot,
            not_understood: Vec::new(),
            faults: Vec::new(),
            command_file: None,
            written: None,
        }
    }
}

impl NodeService {
    /// Finds the service that starts K3s in `role`, whatever the name of the service.
    ///
    /// # Errors
    /// If a file of a service cannot be read.
    pub fn find(root: &Root, role: Role) -> Result<Self> {
        let search = ServiceSearch::of(root)?;
        let running: Vec<&FoundService> =
            search.running.iter().filter(|service| service.role == Some(role)).collect();
        let speaks_of_role = |service: &&FoundService| service.spoken_role().is_none_or(|of| of == role);
        let suspects: Vec<&FoundService> = search.suspects.iter().filter(speaks_of_role).collect();
        let own_suspect = suspects.first().filter(|suspect| suspect.has_own_name());
        match (running.as_slice(), own_suspect) {
            ([], _) => {}
            ([only], None) => return Ok(Self::of(only)),
            (all, suspect) => {
                let mut enabled = Vec::new();
                for service in all {
                    if search.is_enabled(service)? {
                        enabled.push(*service);
                    }
                }
                if let Some(suspect) = suspect
                    && enabled.is_empty()
                    && search.is_enabled(suspect)?
                {
                    return Ok(Self::of(suspect));
                }
                return Ok(Self::of_several(if enabled.is_empty() { all } else { &enabled }, role));
            }
        }
        if let Some((first, others)) = suspects.split_first() {
            let mut service = Self::of(first);
            service.not_understood.extend(others.iter().flat_map(|other| other.not_understood.clone()));
            return Ok(service);
        }
        let masked = search.masked.iter().find(|service| speaks_of_role(service));
        let is_only = search.running.is_empty();
        Ok(masked
            .filter(|_| is_only)
            .map(|masked| Self { faults: masked.faults.clone(), ..Self::default() })
            .unwrap_or_default())
    }

    /// Chooses among services of one role: K3s's own name counts more than others, and then it is not known which starts.
    fn of_several(services: &[&FoundService], role: Role) -> Self {
        let (first, others) = match services {
            [only] => return Self::of(only),
            [first, others @ ..] => (first, others),
            [] => return Self::default(),
        };
        if let Some(own) = services.iter().find(|service| service.name == role.service()) {
            return Self::of(own);
        }
        let mut service = Self::of(first);
        let is_same =
            |other: &&FoundService| other.words == first.words && other.environment == first.environment;
        if !others.iter().all(is_same) {
            service.words.clear();
            service.environment.clear();
            service.written = None;
            let names: Vec<String> = others.iter().map(|other| other.path.to_string()).collect();
            let reason =
                format!("{} also starts K3s as {role}: unknown which service runs", names.join(", "));
            service.not_understood.push(NotUnderstood::new(file_of(&first.path), reason));
        }
        service
    }

    fn of(found: &FoundService) -> Self {
        let directory = found.directory.as_deref().unwrap_or("/");
        let parts: Vec<&str> = directory.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        let working_directory = format!("/{}", parts.join("/")).parse();
        let written = Self {
            path: Some(found.path.clone()),
            words: found.words.clone(),
            environment: found.environment.clone(),
            working_directory: working_directory.unwrap_or_else(|_| RootedPath::fixed("/")),
            home: found.home,
            not_understood: found.not_understood.clone(),
            faults: found.faults.clone(),
            command_file: Some(found.command_file.clone()),
            written: None,
        };
        if found.not_understood.is_empty() {
            return written;
        }
        // What is known in part is not judged: a word that stands for another one would be refused.
        Self {
            words: Vec::new(),
            environment: Environment::new(),
            home: ServiceHome::NotKnown,
            written: Some(Box::new(written.clone())),
            ..written
        }
    }

    /// Returns the service with all that is written of its command line and its environment, also where that is not the
    /// whole of it. It says where K3s's files are unless a note hides that, and is not judged.
    pub(in crate::k3s) fn as_written(&self) -> &Self {
        self.written.as_deref().unwrap_or(self)
    }

    /// Returns the environment that the service gives K3s, beside what systemd or OpenRC itself sets.
    pub fn environment(&self) -> impl Iterator<Item = (&str, &str)> {
        self.environment.iter().map(|(name, (value, _))| (name.as_str(), value.as_str()))
    }

    /// Returns what is to be known of it before anything that follows from it.
    pub(in crate::k3s) fn warnings(&self) -> Vec<String> {
        let faults = self.faults.iter().map(|fault| format!("{}: {}", fault.place, fault.message));
        let unread = self.not_understood.iter().map(|note| {
            format!(
                "{}: {}: the service's command line and environment are not known",
                note.place, note.reason
            )
        });
        faults.chain(unread).collect()
    }

    /// Returns the value that the environment gives a flag: that of the first of the flag's variables that is set.
    pub(in crate::k3s) fn variable(&self, flag: &K3sFlag) -> Option<(&str, ValueOrigin)> {
        flag.env.iter().find_map(|name| {
            let (value, source) = self.environment.get(name)?;
            let origin = ValueOrigin::Variable { name: name.clone(), source: source.clone() };
            Some((value.as_str(), origin))
        })
    }

    /// Returns the origin of a value on the command line of the service.
    pub(in crate::k3s) fn origin(&self) -> ValueOrigin {
        self.command_file.clone().map_or(ValueOrigin::CommandLine, ValueOrigin::Service)
    }

    /// Returns the value that the environment gives the flag `name` of any minor.
    pub(in crate::k3s) fn variable_of(&self, role: Role, name: &str) -> Option<(&str, ValueOrigin)> {
        self.variable(flags::of_any_minor(role, name)?)
    }

    /// Returns the value of `HOME`, which Go takes for the home directory of the user, whoever that is.
    pub(in crate::k3s) fn home(&self) -> HomeDirectory<'_> {
        match (self.environment.get("HOME"), self.home) {
            (Some((home, _)), _) if home.is_empty() => HomeDirectory::Unset,
            (Some((home, _)), _) => HomeDirectory::Known(home),
            (None, ServiceHome::OfRoot) => HomeDirectory::Known(ROOTS_HOME),
            (None, ServiceHome::Unset) => HomeDirectory::Unset,
            (None, ServiceHome::NotKnown) => HomeDirectory::NotKnown,
        }
    }
}

/// Returns the roles that the services of a node start K3s in; if none does for certain, those that names of services
/// speak of. A service that is not enabled does not count beside one that is.
///
/// # Errors
/// If a service cannot be read.
pub(in crate::k3s) fn roles(root: &Root) -> Result<Vec<Role>> {
    let search = ServiceSearch::of(root)?;
    let mut roles = Vec::new();
    let mut add = |role: Option<Role>| {
        if let Some(role) = role.filter(|role| !roles.contains(role)) {
            roles.push(role);
        }
    };
    if search.running.is_empty() {
        for service in &search.suspects {
            let of_name = [Role::Server, Role::Agent].into_iter().find(|role| role.service() == service.name);
            add(service.spoken_role().or(of_name));
        }
        return Ok(roles);
    }
    search.running.iter().for_each(|service| add(service.role));
    if roles.len() > 1 {
        let mut enabled = Vec::new();
        for service in &search.running {
            if search.is_enabled(service)? {
                enabled.extend(service.role);
            }
        }
        enabled.dedup();
        if !enabled.is_empty() {
            return Ok(enabled);
        }
    }
    Ok(roles)
}
