// SPDX-License-Identifier: Apache-2.0
//! Reads the value of `ExecStart=` (config_parse_exec of systemd v252, src/core/load-fragment.c).

use super::command::{ExecPrefix, UnitCommand};
use super::lines;
use super::unit::{LineRefusal, ServiceUnit};
use super::words::UnitWords;
use crate::error::Place;
use crate::node::RootedPath;

impl ServiceUnit {
    /// config_parse_exec.
    pub(super) fn add_commands(
        &mut self,
        value: &str,
        path: &RootedPath,
        place: &Place,
    ) -> Result<(), LineRefusal> {
        let mut words = UnitWords::of(value);
        loop {
            let first = match words.next_of_command() {
                // Such a line is ignored as a whole.
                Err(_) | Ok(None) => return Ok(()),
                Ok(Some(first)) => first,
            };
            if first == ";" {
                continue;
            }
            let prefix = ExecPrefix::of(&first);
            let ignored = |why: LineRefusal| if prefix.ignores_failure { Ok(()) } else { Err(why) };
            let program = match self.expand(&first[prefix.length..], place) {
                Ok(program) => program,
                Err(why) => return ignored(why),
            };
            let is_path =
                program.starts_with('/') || !program.contains('/') && !matches!(&*program, "." | "..");
            if program.is_empty() || !lines::is_safe(&program) || program.ends_with('/') || !is_path {
                return ignored(format!("{program:?} is no program"));
            }
            let mut arguments = Vec::new();
            let mut goes_on = false;
            loop {
                let rest = words.rest();
                let is_end = |at: usize| rest.get(at).is_none_or(|byte| b" \t\n\r".contains(byte));
                if rest.starts_with(b";") && is_end(1) {
                    words.skip(1);
                    goes_on = true;
                    break;
                }
                if rest.starts_with(b"\\;") && is_end(2) {
                    words.skip(2);
                    arguments.push(";".to_owned());
                    continue;
                }
                match words.next_of_command() {
                    Ok(None) => break,
                    Err(_) => return ignored("the quotes do not end".to_owned()),
                    Ok(Some(word)) => match self.expand(&word, place) {
                        Ok(word) => arguments.push(word),
                        Err(why) => return ignored(why),
                    },
                }
            }
            if prefix.names_itself {
                // The first argument is the name that the program gets.
                if arguments.is_empty() {
                    return ignored("there is no argument behind @".to_owned());
                }
                arguments.remove(0);
            }
            self.commands.push(UnitCommand {
                program,
                words: arguments,
                expands: prefix.expands,
                file: path.clone(),
                place: place.clone(),
            });
            if !goes_on {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::unit::tests::unit_of;

    fn commands(text: &str) -> Vec<(String, Vec<String>, bool)> {
        let commands = unit_of(text).commands.into_iter();
        commands.map(|command| (command.program, command.words, command.expands)).collect()
    }

    #[test]
    fn a_program_has_prefixes() {
        let of = |prefix: &str| commands(&format!("ExecStart={prefix}/k3s x y"));
        for prefix in ["", "-", "+", "!", "!!", "-+", "!!-"] {
            assert_eq!(
                of(prefix),
                [("/k3s".to_owned(), vec!["x".to_owned(), "y".to_owned()], true)],
                "{prefix}"
            );
        }
        assert_eq!(of("@:"), [("/k3s".to_owned(), vec!["y".to_owned()], false)]);
        assert!(of("--").is_empty() && of("!!!").is_empty());
    }

    #[test]
    fn a_semicolon_separates_commands() {
        let all = commands("ExecStart=/a x ; /b \\; ';' ; ; /c;\nType=oneshot\n");
        let words: Vec<_> = all.iter().map(|(program, words, _)| (program.as_str(), words.len())).collect();
        assert_eq!(words, [("/a", 1), ("/b", 2), ("/c;", 0)]);
    }
}
