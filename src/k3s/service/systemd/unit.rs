// SPDX-License-Identifier: Apache-2.0
//! What the assignments of a service and of its drop-ins mean (systemd v252, src/core/load-fragment.c and service_verify of
//! src/core/service.c).

use std::collections::BTreeMap;

use super::command::UnitCommand;
use super::lines::{UnitAssignment, UnitLines};
use super::specifiers::{MachineFacts, SpecifierFault, UnitName};
use super::words::{UnitWords, WordRules};
use crate::error::Place;
use crate::k3s::service::notes::{Hidden, NotUnderstood, ServiceFault, file_of, line_of};
use crate::node::RootedPath;

/// A service as its unit file and its drop-ins describe it.
#[derive(Debug, Clone)]
pub(in crate::k3s) struct ServiceUnit {
    pub(in crate::k3s) name: UnitName,
    /// The unit file.
    pub(in crate::k3s) fragment: RootedPath,
    /// The commands of `ExecStart=`.
    pub(in crate::k3s) commands: Vec<UnitCommand>,
    /// Commands outside of every section, which systemd ignores.
    pub(in crate::k3s) stray: Vec<UnitCommand>,
    /// Variables of `Environment=`.
    pub(in crate::k3s) environment: Vec<(String, String)>,
    /// Variables whose values only the running machine knows.
    pub(in crate::k3s) unknown: BTreeMap<String, NotUnderstood>,
    pub(in crate::k3s) environment_files: Vec<UnitEnvironmentFile>,
    /// `UnsetEnvironment=`: names, or names with values.
    pub(in crate::k3s) unset: Vec<String>,
    /// `WorkingDirectory=`; none for `/`.
    pub(in crate::k3s) working_directory: Option<UnitDirectory>,
    /// Why systemd does not start it.
    pub(in crate::k3s) faults: Vec<ServiceFault>,
    pub(in crate::k3s) not_understood: Vec<NotUnderstood>,
    kind: Option<String>,
    restarts: bool,
    passed: BTreeMap<String, NotUnderstood>,
    root: Option<NotUnderstood>,
    user: Option<String>,
    machine: MachineFacts,
}

/// A directory of `WorkingDirectory=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::k3s) struct UnitDirectory {
    pub(in crate::k3s) path: String,
    /// Whether it is written as the home directory of the user.
    is_home: bool,
    /// Whether it may be missing: then `/` takes its place.
    pub(in crate::k3s) optional: bool,
    pub(in crate::k3s) place: Place,
}

/// A file of `EnvironmentFile=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::k3s) struct UnitEnvironmentFile {
    /// Its path, which may be a pattern.
    pub(in crate::k3s) path: String,
    /// Whether it may be missing.
    pub(in crate::k3s) optional: bool,
    pub(in crate::k3s) place: Place,
}

/// Why an assignment ends the reading of its file.
pub(super) type LineRefusal = String;

impl ServiceUnit {
    /// Reads a unit file.
    pub(in crate::k3s) fn read(
        name: UnitName,
        fragment: &RootedPath,
        lines: &UnitLines,
        machine: MachineFacts,
    ) -> Self {
        let mut unit = Self {
            name,
            fragment: fragment.clone(),
            commands: Vec::new(),
            stray: Vec::new(),
            environment: Vec::new(),
            unknown: BTreeMap::new(),
            environment_files: Vec::new(),
            unset: Vec::new(),
            working_directory: None,
            faults: Vec::new(),
            not_understood: Vec::new(),
            kind: None,
            restarts: false,
            passed: BTreeMap::new(),
            root: None,
            user: None,
            machine,
        };
        for command in &lines.stray {
            unit.add_commands(command, fragment, &file_of(fragment)).unwrap_or_default();
        }
        unit.stray = std::mem::take(&mut unit.commands);
        let refused = unit.add(lines, fragment).err();
        let broken = lines.broken.as_ref().map(|(line, why)| (line_of(fragment, *line), why.clone()));
        if let Some((place, why)) = refused.or(broken) {
            let message = format!("systemd refuses the unit: {why}");
            unit.faults.push(ServiceFault::new(place.clone(), message, "correct this line"));
            unit.not_understood.push(NotUnderstood::new(place, format!("systemd refuses the unit: {why}")));
        }
        unit
    }

    /// Adds a drop-in. Where systemd refuses a line it ignores the rest of the file.
    pub(in crate::k3s) fn add_drop_in(&mut self, lines: &UnitLines, path: &RootedPath) {
        self.add(lines, path).unwrap_or_default();
    }

    /// Checks the whole, as systemd does once all files are read.
    pub(in crate::k3s) fn verify(&mut self) {
        let mut refuse = |place: Place, message: &str, remedy: &str| {
            self.faults.push(ServiceFault::new(place.clone(), message, remedy));
            self.not_understood.push(NotUnderstood::new(place, message));
        };
        let is_oneshot = self.kind.as_deref() == Some("oneshot");
        match self.commands.as_slice() {
            [] => refuse(
                file_of(&self.fragment),
                "the unit has no ExecStart=: systemd does not start it",
                "write ExecStart= below [Service]",
            ),
            [_, second, ..] if !is_oneshot => refuse(
                second.place.clone(),
                "the unit has more than one ExecStart=: systemd refuses it",
                "write an empty ExecStart= before it, which resets the list",
            ),
            _ if is_oneshot && self.restarts => refuse(
                file_of(&self.fragment),
                "the unit has Type=oneshot and Restart=always or on-success: systemd refuses it",
                "write Type=notify",
            ),
            _ => {}
        }
        self.not_understood.extend(self.root.clone());
        for (name, why) in &self.passed {
            self.unknown.entry(name.clone()).or_insert_with(|| why.clone());
        }
        let known = self.environment.iter().map(|(name, _)| name);
        known.for_each(|name| {
            self.unknown.remove(name);
        });
    }

    /// Tells whether systemd sets `HOME`: it does for `User=`, and for a working directory that is the home directory
    /// (exec_child and acquire_home of src/core/execute.c).
    pub(in crate::k3s) fn has_home(&self) -> bool {
        let in_home = self.working_directory.as_ref().is_some_and(|directory| directory.is_home);
        (self.user.is_some() || in_home) && !self.unset.iter().any(|name| name == "HOME")
    }

    /// Tells whether it runs as somebody else than root.
    pub(in crate::k3s) fn is_of_other_user(&self) -> bool {
        self.user.as_deref().is_some_and(|user| !matches!(user, "root" | "0"))
    }

    fn add(&mut self, lines: &UnitLines, path: &RootedPath) -> Result<(), (Place, LineRefusal)> {
        for assignment in lines.assignments.iter().filter(|assignment| assignment.section == "Service") {
            let place = line_of(path, assignment.line);
            self.assign(assignment, path, &place).map_err(|why| (place, why))?;
        }
        Ok(())
    }

    fn assign(
        &mut self,
        assignment: &UnitAssignment,
        path: &RootedPath,
        place: &Place,
    ) -> Result<(), LineRefusal> {
        let value = assignment.value.as_str();
        match assignment.key.as_str() {
            "ExecStart" if value.is_empty() => self.commands.clear(),
            "ExecStart" => self.add_commands(value, path, place)?,
            "Environment" if value.is_empty() => {
                self.environment.clear();
                self.unknown.clear();
            }
            "Environment" => self.add_environment(value, place),
            "EnvironmentFile" if value.is_empty() => self.environment_files.clear(),
            "EnvironmentFile" => self.add_environment_file(value, place),
            "PassEnvironment" if value.is_empty() => self.passed.clear(),
            "PassEnvironment" => {
                let reason = "PassEnvironment= takes the value from the environment of systemd";
                let names = self.names(value, WordRules::NAMES);
                let why = NotUnderstood::new(place.clone(), reason);
                self.passed.extend(
                    names.into_iter().filter(|name| is_variable_name(name)).map(|name| (name, why.clone())),
                );
            }
            "UnsetEnvironment" if value.is_empty() => self.unset.clear(),
            "UnsetEnvironment" => {
                let names = self.names(value, WordRules::ASSIGNMENTS);
                let is_valid = |name: &String| is_variable_name(name.split('=').next().unwrap_or_default());
                self.unset.extend(names.into_iter().filter(is_valid));
            }
            "WorkingDirectory" => self.set_working_directory(value, place)?,
            "User" if value.is_empty() => self.user = None,
            "User" => {
                let user = self.expand(value, place)?;
                self.user = Some(user);
            }
            "RootDirectory" | "RootImage" if value.is_empty() => self.root = None,
            "RootDirectory" | "RootImage" => {
                let reason = format!("{}= gives K3s another root", assignment.key);
                self.root = Some(NotUnderstood::new(place.clone(), reason));
            }
            "Type"
                if matches!(
                    value,
                    "simple" | "exec" | "forking" | "oneshot" | "dbus" | "notify" | "notify-reload" | "idle"
                ) =>
            {
                self.kind = Some(value.to_owned());
            }
            "Restart" => self.restarts = matches!(value, "always" | "on-success"),
            _ => {}
        }
        Ok(())
    }

    fn add_environment(&mut self, value: &str, place: &Place) {
        let mut words = UnitWords::of(value);
        while let Ok(Some(word)) = words.next(WordRules::ASSIGNMENTS) {
            let name = word.split('=').next().unwrap_or_default().to_owned();
            match self.name.expand(&word, self.fragment.as_str(), &self.machine) {
                Ok(word) => {
                    let Some((name, value)) = word.split_once('=').filter(|(name, _)| is_variable_name(name))
                    else {
                        continue;
                    };
                    self.unknown.remove(name);
                    self.environment.retain(|(known, _)| known != name);
                    self.environment.push((name.to_owned(), value.to_owned()));
                }
                Err(SpecifierFault::Refused(_)) => {}
                Err(SpecifierFault::OfTheMachine(letter)) => {
                    self.environment.retain(|(known, _)| *known != name);
                    self.unknown.insert(name, of_the_machine(letter, place));
                }
            }
        }
    }

    fn add_environment_file(&mut self, value: &str, place: &Place) {
        match self.name.expand(value, self.fragment.as_str(), &self.machine) {
            Ok(path) => {
                let (path, optional) = match path.strip_prefix('-') {
                    Some(path) => (path.to_owned(), true),
                    None => (path, false),
                };
                // systemd ignores one that is not absolute.
                if let Some(path) = simplified(&path) {
                    self.environment_files.push(UnitEnvironmentFile { path, optional, place: place.clone() });
                }
            }
            Err(SpecifierFault::Refused(_)) => {}
            Err(SpecifierFault::OfTheMachine(letter)) => {
                self.not_understood.push(of_the_machine(letter, place));
            }
        }
    }

    fn names(&self, value: &str, rules: WordRules) -> Vec<String> {
        let mut words = UnitWords::of(value);
        let mut names = Vec::new();
        while let Ok(Some(word)) = words.next(rules) {
            names.extend(self.name.expand(&word, self.fragment.as_str(), &self.machine));
        }
        names
    }

    fn set_working_directory(&mut self, value: &str, place: &Place) -> Result<(), LineRefusal> {
        let (path, optional) = match value.strip_prefix('-') {
            Some(path) => (path, true),
            None => (value, false),
        };
        if value.is_empty() {
            self.working_directory = None;
            return Ok(());
        }
        let is_home = path == "~";
        let path = if is_home {
            // The home of the user that the service runs as: K3s runs as root.
            "/root".to_owned()
        } else {
            match self.expand(path, place) {
                Ok(path) => match simplified(&path) {
                    Some(path) => path,
                    None if optional => return Ok(()),
                    None => return Err(format!("WorkingDirectory={path} is not absolute")),
                },
                Err(_) if optional => return Ok(()),
                Err(why) => return Err(why),
            }
        };
        self.working_directory = Some(UnitDirectory { path, is_home, optional, place: place.clone() });
        Ok(())
    }

    /// Puts in specifiers. Where a value belongs to the machine, the text stands for it, and that is noted.
    pub(super) fn expand(&mut self, text: &str, place: &Place) -> Result<String, LineRefusal> {
        match self.name.expand(text, self.fragment.as_str(), &self.machine) {
            Ok(text) => Ok(text),
            Err(SpecifierFault::Refused(letter)) => Err(format!("systemd knows no specifier %{letter}")),
            Err(SpecifierFault::OfTheMachine(letter)) => {
                let note = of_the_machine(letter, place).hiding(Hidden::Word(text.to_owned()));
                self.not_understood.push(note);
                Ok(text.to_owned())
            }
        }
    }
}

/// path_simplify_and_warn: an absolute path without empty parts and dots; none if it is not absolute, or goes back.
fn simplified(path: &str) -> Option<String> {
    let parts: Vec<&str> =
        path.strip_prefix('/')?.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    (!parts.contains(&"..")).then(|| format!("/{}", parts.join("/")))
}

fn of_the_machine(letter: char, place: &Place) -> NotUnderstood {
    NotUnderstood::new(place.clone(), format!("only the running machine knows the value of %{letter}"))
}

/// Tells whether systemd takes a text for the name of a variable (env_name_is_valid).
pub(in crate::k3s) fn is_variable_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::lines;
    use super::*;

    pub(in crate::k3s::service::systemd) fn unit_of(text: &str) -> ServiceUnit {
        let path = RootedPath::fixed("/etc/systemd/system/k3s.service");
        let name = UnitName::of("k3s.service").unwrap();
        let lines = lines::read(format!("[Service]\n{text}").as_bytes());
        let mut unit = ServiceUnit::read(name, &path, &lines, MachineFacts::default());
        unit.verify();
        unit
    }

    #[test]
    fn what_systemd_refuses_is_a_fault() {
        let message = |text: &str| unit_of(text).faults.first().map(|fault| fault.message.clone());
        for (text, expected) in [
            ("ExecStart=/a\nExecStart=/b\n", "more than one ExecStart="),
            ("Environment=A=1\n", "no ExecStart="),
            ("ExecStart='/a\n", "no ExecStart="),
            ("ExecStart=/a 'b\n", "the quotes do not end"),
            ("ExecStart=/a %z\n", "no specifier %z"),
            ("ExecStart=a/b\n", "is no program"),
            ("ExecStart=/a\nWorkingDirectory=a\n", "not absolute"),
            ("ExecStart=/a\nType=oneshot\nRestart=always\n", "Type=oneshot"),
        ] {
            assert!(message(text).unwrap().contains(expected), "{text}");
        }
        for text in [
            "ExecStart=/a\nExecStart=\nExecStart=/b\n",
            "ExecStart=/a\nExecStart=/b\nType=oneshot\n",
            "ExecStart=/a\nExecStart=-/a 'b\n",
            "ExecStart=/a\nWorkingDirectory=-a\n",
            "ExecStart=/a\nType=no\n",
        ] {
            assert_eq!(message(text), None, "{text}");
        }
    }

    #[test]
    fn a_refused_drop_in_ends_where_it_is_refused() {
        let mut unit = unit_of("ExecStart=/a\n");
        let path = RootedPath::fixed("/etc/systemd/system/k3s.service.d/10.conf");
        let text = b"[Service]\nEnvironment=A=1\nExecStart=/b %z\nEnvironment=B=1\n";
        unit.add_drop_in(&lines::read(text), &path);
        assert_eq!((unit.environment.len(), unit.commands.len(), unit.faults.len()), (1, 1, 0));
    }

    #[test]
    fn assignments_are_words_and_the_last_of_a_name_counts() {
        let unit = unit_of(
            "ExecStart=/a\nEnvironment=A=1 \"B=2 3\" 1C=x no D=%N E=%z 'F=\\x41'\nEnvironment=A=4 G=%b \"unbalanced\nPassEnvironment=H B\nUnsetEnvironment=A=4 'B' 1\n",
        );
        let environment: Vec<_> =
            unit.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(environment, ["B=2 3", "D=k3s", "F=A", "A=4"]);
        assert_eq!(unit.unknown.keys().collect::<Vec<_>>(), ["G", "H"]);
        assert_eq!(unit.unset, ["A=4", "B"]);
    }

    #[test]
    fn only_a_user_has_a_home() {
        for (text, has) in [
            ("", false),
            ("User=\n", false),
            ("User=root\n", true),
            ("User=root\nUser=\n", false),
            ("User=%N\n", true),
            ("WorkingDirectory=~\n", true),
            ("WorkingDirectory=-/root\n", false),
            ("User=0\nUnsetEnvironment=HOME\n", false),
        ] {
            let unit = unit_of(&format!("ExecStart=/a\n{text}"));
            assert_eq!(unit.has_home(), has, "{text}");
            assert_eq!(unit.is_of_other_user(), text.contains("%N"), "{text}");
        }
    }

    #[test]
    fn environment_files_are_absolute() {
        let unit = unit_of(
            "ExecStart=/a\nEnvironmentFile=-/etc/default/%N\nEnvironmentFile=x\nEnvironmentFile=//y/.\nEnvironmentFile=/z/../y\n",
        );
        let files: Vec<_> = unit.environment_files.iter().map(|file| (&*file.path, file.optional)).collect();
        assert_eq!(files, [("/etc/default/k3s", true), ("/y", false)]);
    }
}
