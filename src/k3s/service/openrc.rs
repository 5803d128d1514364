// SPDX-License-Identifier: Apache-2.0
//! The init script of a service as OpenRC reads it (OpenRC 0.60, sh/openrc-run.sh, sh/supervise-daemon.sh and
//! sh/start-stop-daemon.sh): /etc/conf.d and /etc/rc.conf come first, then the script; the words of the command are then
//! read by `eval`.

use std::collections::BTreeMap;

use super::notes::{NotUnderstood, ServiceFault, file_of};
use super::shell::run::Shell;
use super::shell::value::ShellVariable;
use super::wrapper::{self, WrappedCommand};
use crate::error::{Place, Result};
use crate::node::{Root, RootedPath};

/// A service of OpenRC.
#[derive(Debug)]
pub(super) struct InitScript {
    /// What it runs.
    pub(super) command: WrappedCommand,
    /// Every variable of its shell.
    pub(super) variables: BTreeMap<String, ShellVariable>,
    /// The directory that it runs in; none for `/`.
    pub(super) directory: Option<String>,
    /// What is not understood.
    pub(super) not_understood: Vec<NotUnderstood>,
    /// Why it does not start.
    pub(super) faults: Vec<ServiceFault>,
}

/// The runlevel that services are started in.
const RUNLEVEL: &str = "default";

/// Reads the script `name` of the folder of init scripts.
///
/// # Errors
/// If a file of it cannot be read.
pub(super) fn read(root: &Root, path: &RootedPath, text: &str) -> Result<InitScript> {
    let place = file_of(path);
    let first = text.lines().next().unwrap_or_default();
    let is_openrc =
        !first.starts_with("#!") || ["openrc-run", "runscript"].iter().any(|name| first.contains(name));
    let mut script = InitScript {
        command: WrappedCommand::Other,
        variables: BTreeMap::new(),
        directory: None,
        not_understood: Vec::new(),
        faults: Vec::new(),
    };
    if !is_openrc {
        script.command = WrappedCommand::NotUnderstood("this is no script of OpenRC".to_owned());
        return Ok(script);
    }
    let mut shell = Shell::new(root, path);
    let name = path.name();
    shell.set("RC_SVCNAME", name, true);
    shell.set("SVCNAME", name, true);
    shell.set("RC_SERVICE", path.as_str(), true);
    for file in before(root, name)? {
        if let Some(bytes) = root.read(&file)? {
            shell.run(&file, &String::from_utf8_lossy(&bytes))?;
        }
    }
    shell.run(path, text)?;
    match script.settle(&mut shell, &place) {
        Ok(command) => script.command = command,
        Err(why) => script.not_understood.push(why),
    }
    script.not_understood.append(&mut shell.not_understood);
    script.faults.append(&mut shell.faults);
    script.variables = shell.variables.values;
    Ok(script)
}

/// Returns the files that OpenRC reads before the script.
fn before(root: &Root, name: &str) -> Result<Vec<RootedPath>> {
    let mut files = Vec::new();
    let mut add = |name: &str| {
        let folder = RootedPath::fixed("/etc/conf.d");
        let of_runlevel = folder.join(&format!("{name}.{RUNLEVEL}"));
        files.push(if root.exists(&of_runlevel) { of_runlevel } else { folder.join(name) });
    };
    if let Some((first, _)) = name.split_once('.').filter(|(first, _)| !first.is_empty()) {
        add(first);
    }
    add(name);
    files.push(RootedPath::fixed("/etc/rc.conf"));
    let folder = RootedPath::fixed("/etc/rc.conf.d");
    let names = root.names(&folder)?.into_iter();
    files.extend(names.filter(|name| name.ends_with(".conf")).map(|name| folder.join(&name)));
    Ok(files)
}

impl InitScript {
    /// Puts together what the variables of the script say.
    fn settle(
        &mut self,
        shell: &mut Shell<'_>,
        place: &Place,
    ) -> std::result::Result<WrappedCommand, NotUnderstood> {
        let unread = |reason: &str| Err(NotUnderstood::new(place.clone(), reason));
        if shell.functions.has("start") {
            return unread("the script has a start function of its own");
        }
        if shell.functions.change_variables("start_pre") {
            return unread("the function start_pre changes variables");
        }
        let supervisor = shell.get("supervisor")?;
        let supervised = match supervisor.as_str() {
            "supervise-daemon" => true,
            "" | "start-stop-daemon" => false,
            _ => return unread("this supervisor is not read"),
        };
        let program = shell.get("command")?;
        let mut program = shell.eval(&program, place)?.into_iter();
        let Some(first) = program.next() else {
            let message = "the script sets no command: OpenRC starts nothing";
            self.faults.push(ServiceFault::new(place.clone(), message, "write command=/usr/local/bin/k3s"));
            return Ok(WrappedCommand::Other);
        };
        if program.next().is_some() {
            return unread("the command has words of its own");
        }
        if !shell.get("chroot")?.is_empty() {
            return unread("chroot gives K3s another root");
        }
        let options = match (supervised, shell.get("supervise_daemon_args")?) {
            (true, options) if shell.variables.values.contains_key("supervise_daemon_args") => options,
            _ => shell.get("start_stop_daemon_args")?,
        };
        let directory = shell.get("directory")?;
        self.directory = Some(directory).filter(|directory| !directory.is_empty());
        let mut options = shell.eval(&options, place)?.into_iter();
        while let Some(option) = options.next() {
            let (option, value) = match option.split_once('=') {
                Some((option, value)) if option.starts_with("--") => {
                    (option.to_owned(), Some(value.to_owned()))
                }
                _ => (option, None),
            };
            let mut value = || value.clone().or_else(|| options.next()).unwrap_or_default();
            match option.as_str() {
                "-e" | "--env" => {
                    if let Some((name, value)) = value().split_once('=') {
                        shell.set(name, value, true);
                    }
                }
                "-d" | "--chdir" => self.directory = Some(value()),
                "-r" | "--chroot" => return unread("chroot gives K3s another root"),
                _ => {}
            }
        }
        let more = if supervised { "command_args_foreground" } else { "command_args_background" };
        let arguments = format!("{} {}", shell.get("command_args")?, shell.get(more)?);
        Ok(wrapper::understand(&first, &shell.eval(&arguments, place)?))
    }
}
