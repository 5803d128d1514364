//! The service that starts K3s on a node: its file is found, and its command line and environment are read.

use std::collections::BTreeMap;

use super::command_line;
use super::flags::{self, K3sFlag};
use super::node_paths::NodePaths;
use super::origin::{ValueOrigin, VariableSource};
use super::service_unit::{self, ServiceUnit};
use crate::Role;
use crate::error::Result;
use crate::node::{Root, RootedPath};

/// The service that starts K3s. Without one, the command line and the environment are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct NodeService {
    /// The file of the service.
    pub(super) path: Option<RootedPath>,
    /// The words of its command line after the program.
    pub(super) words: Vec<String>,
    environment: Environment,
}

/// Values of variables by name, with what sets each.
type Environment = BTreeMap<String, (String, VariableSource)>;

impl NodeService {
    /// Finds the service that starts K3s in `role`, whatever the name of the service.
    ///
    /// # Errors
    /// If a file of a service cannot be read.
    pub(super) fn find(root: &Root, role: Role) -> Result<Self> {
        let starts = |service: &ServiceUnit| service.words.iter().any(|word| *word == role.to_string());
        for (name, path) in by_name(root, "")? {
            let Some(unit) = Some(name.as_str())
                .filter(|name| name.starts_with("k3s"))
                .and_then(|name| name.strip_suffix(".service"))
            else {
                continue;
            };
            let service = read_unit(root, unit, &path)?;
            if starts(&service) {
                return Self::with_environment(root, service, path);
            }
        }
        let folder = &NodePaths::get().init_scripts;
        for name in root.list(folder)? {
            let Some(name) = name.to_str().filter(|name| name.starts_with("k3s")) else { continue };
            let path = folder.join(name);
            let mut service = ServiceUnit::default();
            service.add_init_script(&text(root, &path)?);
            if starts(&service) {
                return Self::with_environment(root, service, path);
            }
        }
        Ok(Self::default())
    }

    fn with_environment(root: &Root, service: ServiceUnit, path: RootedPath) -> Result<Self> {
        let environment = environment(root, &service)?;
        Ok(Self { path: Some(path), words: service.words, environment })
    }

    /// Returns the value that the environment gives a flag: that of the first of the flag's variables that is set.
    pub(super) fn variable(&self, flag: &K3sFlag) -> Option<(&str, ValueOrigin)> {
        flag.env.iter().find_map(|name| {
            let (value, source) = self.environment.get(name)?;
            let origin = ValueOrigin::Variable { name: name.clone(), source: source.clone() };
            Some((value.as_str(), origin))
        })
    }

    /// Returns the origin of a value on the command line of the service.
    pub(super) fn origin(&self) -> ValueOrigin {
        self.path.clone().map_or(ValueOrigin::CommandLine, ValueOrigin::Service)
    }

    /// Returns the value that the environment gives the flag `name` of any minor.
    pub(super) fn variable_of(&self, role: Role, name: &str) -> Option<(&str, ValueOrigin)> {
        self.variable(flags::of_any_minor(role, name)?)
    }

    /// Returns the value of a variable.
    pub(super) fn value_of(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(|(value, _)| value.as_str())
    }

    /// Returns the directory in which K3s is started: a relative path begins there.
    pub(super) fn working_directory(&self) -> RootedPath {
        RootedPath::fixed("/")
    }
}

/// The command line of the service that starts K3s, as far as it sets flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceFlags {
    /// The file of the service, empty if there is none.
    pub path: String,
    /// Names without dashes, and values, in their order.
    pub flags: Vec<(String, String)>,
}

impl ServiceFlags {
    /// Reads the service that starts K3s in `role`.
    ///
    /// # Errors
    /// If a service cannot be read.
    pub fn read(root: &Root, role: Role) -> Result<Self> {
        let service = NodeService::find(root, role)?;
        let flags = command_line::typed(role, &service.words);
        Ok(Self { path: service.path.map(|path| path.to_string()).unwrap_or_default(), flags })
    }
}

/// Returns the role of the command in a service's file, without what its drop-ins and variables change; none if the file
/// holds no command of K3s.
pub(super) fn role_in(text: &str, is_init_script: bool) -> Option<Role> {
    let mut service = ServiceUnit::default();
    if is_init_script {
        service.add_init_script(text);
    } else if text.lines().any(|line| line.trim() == "[Service]") {
        service.add_unit(text, "k3s");
    } else {
        // systemd ignores a command outside of the section; the file still says what the node is for.
        service.add_unit(&format!("[Service]\n{text}"), "k3s");
    }
    // A word holds several where a shell runs K3s.
    service.words.iter().flat_map(|word| word.split_whitespace()).find_map(|word| match word {
        "server" => Some(Role::Server),
        "agent" => Some(Role::Agent),
        _ => None,
    })
}

/// Reads a unit with its drop-ins, and puts in the values of its variables.
fn read_unit(root: &Root, unit: &str, path: &RootedPath) -> Result<ServiceUnit> {
    let mut service = ServiceUnit::default();
    service.add_unit(&text(root, path)?, unit);
    for (name, drop_in) in by_name(root, &format!("/{unit}.service.d"))? {
        if name.ends_with(".conf") {
            service.add_unit(&text(root, &drop_in)?, unit);
        }
    }
    if service.has_variables() {
        let variables = environment(root, &service)?;
        service.expand(&|name| variables.get(name).map(|(value, _)| value.as_str()));
    }
    Ok(service)
}

/// Returns the files in systemd's unit folders, or in a folder below each, by name. Of two files with the same name, the
/// one in the first folder has precedence.
fn by_name(root: &Root, below: &str) -> Result<BTreeMap<String, RootedPath>> {
    let mut found = BTreeMap::new();
    for folder in &NodePaths::get().unit_folders {
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

fn environment(root: &Root, service: &ServiceUnit) -> Result<Environment> {
    let own = service.environment.iter();
    let mut variables: Environment =
        own.map(|(name, value)| (name.clone(), (value.clone(), VariableSource::Service))).collect();
    for file in &service.environment_files {
        // A path with a specifier other than %n and %N is not known.
        let Ok(path) = file.parse::<RootedPath>() else { continue };
        let found = service_unit::environment(&text(root, &path)?);
        let source = || VariableSource::File(file.clone());
        variables.extend(found.into_iter().map(|(name, value)| (name, (value, source()))));
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_role_is_the_command_of_the_service() {
        let unit = |command: &str| role_in(&format!("[Unit]\n[Service]\nExecStart={command}\n"), false);
        assert_eq!(unit("/usr/local/bin/k3s \\\n    agent \\\n\t'--x=server'"), Some(Role::Agent));
        assert_eq!(unit("/usr/local/bin/k3s server --disable agent"), Some(Role::Server));
        assert_eq!(unit("/bin/sh -c 'exec k3s agent'"), Some(Role::Agent));
        assert_eq!(role_in("[Unit]\n", false), None);
        assert_eq!(role_in("ExecStart=/usr/local/bin/k3s server --disable agent", false), Some(Role::Server));
        assert_eq!(role_in("command_args=\"agent  >>/var/log/k3s.log\"\n", true), Some(Role::Agent));
        assert_eq!(role_in("command_args='server'\n", true), Some(Role::Server));
    }
}
