// SPDX-License-Identifier: Apache-2.0
//! Simple commands of a shell: assignments, and what it runs itself as far as that changes or asks for variables and files.

use super::lex::{self, ShellWord};
use super::run::{Follow, Shell, Status, branch};
use super::syntax::{SimpleCommand, assignment, plain};
use super::value::ShellVariable;
use crate::error::Place;
use crate::k3s::origin::VariableSource;
use crate::k3s::service::notes::{NotUnderstood, ServiceFault};
use crate::node::RootedPath;

/// How many files source one another at most.
const MAX_DEPTH: usize = 8;

impl Shell<'_> {
    pub(super) fn simple(&mut self, command: &SimpleCommand, follow: Follow) -> Status {
        let line = command.line;
        let Some((first, arguments)) = command.words.split_first() else {
            for (name, value) in &command.assignments {
                self.assign(name, value, line, follow, false);
            }
            return Some(true);
        };
        let place = self.place(line);
        let program = self.variables.text(first, &place);
        let special = [".", "source", ":", "export", "readonly", "set", "unset"];
        if program.as_deref().is_ok_and(|program| special.contains(&program)) {
            // In front of these, assignments stay (XCU 2.14 of POSIX).
            for (name, value) in &command.assignments {
                self.assign(name, value, line, follow, false);
            }
        }
        if let Ok(program) = &program {
            self.functions.call(program);
        }
        match program.as_deref().unwrap_or_default() {
            "." | "source" => self.source(arguments, line, follow),
            "export" | "readonly" | "local" | "declare" | "typeset" => {
                self.declare(first, arguments, line, follow);
                Some(true)
            }
            "unset" => {
                self.changes += 1;
                for name in arguments.iter().filter_map(plain) {
                    match follow {
                        Follow::Yes => {
                            // With allexport the shells of Debian and Alpine (setvareq of dash and busybox) mark
                            // a variable for export even where they unset it.
                            if self.exports_all {
                                self.marked.insert(name.to_owned());
                            } else {
                                self.marked.remove(name);
                            }
                            self.variables.values.remove(name);
                        }
                        Follow::Maybe => self.assign(name, &Vec::new(), line, follow, false),
                        Follow::No => {}
                    }
                }
                Some(true)
            }
            "set" => {
                self.options(arguments, line, follow);
                Some(true)
            }
            ":" => {
                for piece in arguments.iter().flatten() {
                    let lex::ShellPiece::Variable { name, other: Some((form @ (":=" | "="), _)), .. } = piece
                    else {
                        continue;
                    };
                    // A variable that has a value is not touched.
                    let has_value = match self.variables.get(name, &place) {
                        Ok(value) => Some(value.is_some_and(|value| *form == "=" || !value.is_empty())),
                        Err(_) => None,
                    };
                    let follow = branch(follow, has_value.map(|has_value| !has_value));
                    self.assign(name, &vec![piece.clone()], line, follow, false);
                }
                Some(true)
            }
            "true" => Some(true),
            "false" => Some(false),
            "[" | "[[" | "test" => self.test(arguments, &place),
            "exit" | "return" => {
                match follow {
                    Follow::Yes => self.ended = true,
                    Follow::Maybe => self.unread(line, "the script may end here", follow),
                    Follow::No => {}
                }
                None
            }
            name @ ("eval" | "read" | "alias") => {
                self.changes += 1;
                self.unread(line, name, follow);
                None
            }
            name if self.functions.change_variables(name) => {
                let what = format!("the function {name}");
                self.unread(line, &what, follow);
                None
            }
            // Another program changes no variable of the shell.
            _ => None,
        }
    }

    pub(super) fn assign(
        &mut self,
        name: &str,
        value: &ShellWord,
        line: usize,
        follow: Follow,
        exports: bool,
    ) {
        self.changes += 1;
        if follow == Follow::No {
            return;
        }
        let place = self.place(line);
        let value = self.variables.text(value, &place);
        let before = self.variables.values.get(name);
        let exported = exports
            || self.exports_all
            || self.marked.contains(name)
            || before.is_some_and(|before| before.exported);
        let is_same = before.is_some_and(|before| before.value == value && before.exported == exported);
        let value = match follow {
            Follow::Maybe if !is_same => {
                Err(NotUnderstood::new(place, format!("whether the script sets {name} here is not known")))
            }
            _ => value,
        };
        let source = if self.file == self.script {
            VariableSource::Service
        } else {
            VariableSource::File(self.file.to_string())
        };
        self.variables.values.insert(name.to_owned(), ShellVariable { value, exported, source });
    }

    /// `export` and what declares variables in other ways.
    pub(super) fn declare(
        &mut self,
        first: &ShellWord,
        arguments: &[ShellWord],
        line: usize,
        follow: Follow,
    ) {
        let exports = plain(first) == Some("export");
        for argument in arguments {
            if let Some((name, value)) = assignment(argument) {
                self.assign(&name, &value, line, follow, exports);
                continue;
            }
            match plain(argument) {
                Some(option) if option.starts_with('-') => {}
                Some(name) => {
                    self.changes += 1;
                    let known = self.variables.values.get_mut(name);
                    match (follow, known) {
                        (Follow::Yes, Some(variable)) => variable.exported |= exports,
                        (Follow::Yes, None) if exports => drop(self.marked.insert(name.to_owned())),
                        (Follow::Maybe, None) if exports => {
                            self.unread(line, "export under a condition", follow);
                        }
                        (Follow::Maybe, Some(variable)) if exports && !variable.exported => {
                            self.unread(line, "export under a condition", follow);
                        }
                        _ => {}
                    }
                }
                None => {
                    self.changes += 1;
                    self.unread(line, "a variable whose name the script computes", follow);
                }
            }
        }
    }

    /// `set`: whether every variable is exported.
    pub(super) fn options(&mut self, arguments: &[ShellWord], line: usize, follow: Follow) {
        let mut words = arguments.iter().filter_map(plain);
        while let Some(word) = words.next() {
            let on = match word.chars().next() {
                Some('-') if word != "--" => true,
                Some('+') => false,
                _ => return,
            };
            let letters = &word[1..];
            let named = letters.contains('o') && words.next() == Some("allexport");
            if named || letters.contains('a') {
                self.changes += 1;
                match follow {
                    Follow::Yes => self.exports_all = on,
                    Follow::Maybe => self.unread(line, "set under a condition", follow),
                    Follow::No => {}
                }
            }
        }
    }

    pub(super) fn source(&mut self, arguments: &[ShellWord], line: usize, follow: Follow) -> Status {
        self.changes += 1;
        if follow == Follow::No {
            return None;
        }
        let place = self.place(line);
        let named = arguments.first().map(|word| self.variables.text(word, &place));
        let path = match named {
            Some(Ok(text)) => text.parse::<RootedPath>().ok(),
            Some(Err(why)) => {
                self.not_understood.push(why);
                return None;
            }
            None => None,
        };
        let Some(path) = path.filter(|_| self.depth < MAX_DEPTH) else {
            self.unread(line, "a file whose path is not known", follow);
            return None;
        };
        match self.root.read(&path) {
            Ok(Some(bytes)) => self.follow(&path, &String::from_utf8_lossy(&bytes), follow),
            Ok(None) if follow == Follow::Yes => {
                let message = format!("{path} does not exist: the script ends here, and K3s is not started");
                self.faults.push(ServiceFault::new(
                    place,
                    message,
                    "write the file, or ask for it with [ -f … ]",
                ));
                self.ended = true;
                None
            }
            Ok(None) => {
                self.unread(line, &format!("{path}, which does not exist"), follow);
                None
            }
            Err(error) => {
                self.error.get_or_insert(error);
                None
            }
        }
    }

    /// `[`: conditions on files and texts.
    pub(super) fn test(&self, arguments: &[ShellWord], place: &Place) -> Status {
        let mut words = Vec::new();
        for argument in arguments {
            words.extend(self.variables.fields(argument, place).ok()?);
        }
        if matches!(words.last().map(String::as_str), Some("]" | "]]")) {
            words.pop();
        }
        let mut words = words.iter().map(String::as_str).collect::<Vec<_>>();
        let negated = words.len() > 1 && words.first() == Some(&"!");
        if negated {
            words.remove(0);
        }
        let exists = |path: &str| path.parse().is_ok_and(|path: RootedPath| self.root.exists(&path));
        let is_directory =
            |path: &str| path.parse().is_ok_and(|path: RootedPath| self.root.is_directory(&path));
        let result = match words.as_slice() {
            [] => false,
            [text] | ["-n", text] => !text.is_empty(),
            ["-z", text] => text.is_empty(),
            ["-e" | "-r", path] => exists(path),
            ["-d", path] => is_directory(path),
            ["-f", path] => exists(path) && !is_directory(path),
            [left, "=" | "==", right] => left == right,
            [left, "!=", right] => left != right,
            _ => return None,
        };
        Some(result != negated)
    }
}
