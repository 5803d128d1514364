// SPDX-License-Identifier: Apache-2.0
//! Follows a script: which variables it sets, and which of them it exports.

use std::collections::BTreeSet;

use super::functions::ShellFunctions;
use super::lex;
use super::syntax::ShellCursor;
use super::value::{BLANKS, ShellVariable, ShellVariables};
use crate::error::{Error, Place, Result};
use crate::k3s::origin::VariableSource;
use crate::k3s::service::notes::{NotUnderstood, ServiceFault, line_of};
use crate::node::{Root, RootedPath};

/// Whether commands are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follow {
    /// They run.
    Yes,
    /// They may run: what they set is not known.
    Maybe,
    /// They do not run.
    No,
}

/// Whether a command succeeds; none if that is not known.
pub(super) type Status = Option<bool>;

/// A shell that reads scripts.
#[derive(Debug)]
pub(in crate::k3s) struct Shell<'r> {
    pub(super) root: &'r Root,
    pub(in crate::k3s) variables: ShellVariables,
    /// What is not understood, whatever variable it is about.
    pub(in crate::k3s) not_understood: Vec<NotUnderstood>,
    /// Why the script ends early.
    pub(in crate::k3s) faults: Vec<ServiceFault>,
    pub(in crate::k3s) functions: ShellFunctions,
    pub(super) exports_all: bool,
    /// Variables that are exported once they are set.
    pub(super) marked: BTreeSet<String>,
    pub(super) ended: bool,
    /// How many changes of variables were seen, in functions too.
    pub(super) changes: usize,
    pub(super) file: RootedPath,
    /// The script of the service itself.
    pub(super) script: RootedPath,
    pub(super) depth: usize,
    pub(super) error: Option<Error>,
}

impl<'r> Shell<'r> {
    /// Returns a shell for the service whose script is `script`.
    pub(in crate::k3s) fn new(root: &'r Root, script: &RootedPath) -> Self {
        Self {
            root,
            variables: ShellVariables::default(),
            not_understood: Vec::new(),
            faults: Vec::new(),
            functions: ShellFunctions::default(),
            exports_all: false,
            marked: BTreeSet::new(),
            ended: false,
            changes: 0,
            file: script.clone(),
            script: script.clone(),
            depth: 0,
            error: None,
        }
    }

    /// Sets a variable by hand.
    pub(in crate::k3s) fn set(&mut self, name: &str, value: &str, exported: bool) {
        let variable =
            ShellVariable { value: Ok(value.to_owned()), exported, source: VariableSource::Service };
        self.variables.values.insert(name.to_owned(), variable);
    }

    /// Returns the value of a variable, empty if it is not set.
    ///
    /// # Errors
    /// Why it is not known.
    pub(in crate::k3s) fn get(&self, name: &str) -> std::result::Result<String, NotUnderstood> {
        self.variables.values.get(name).map_or(Ok(String::new()), |variable| variable.value.clone())
    }

    /// Follows a script.
    ///
    /// # Errors
    /// If a file that it sources cannot be read.
    pub(in crate::k3s) fn run(&mut self, file: &RootedPath, text: &str) -> Result<()> {
        self.ended = false;
        self.follow(file, text, Follow::Yes);
        self.error.take().map_or(Ok(()), Err)
    }

    /// Returns the words that `eval` makes of a text.
    ///
    /// # Errors
    /// What is not understood.
    pub(in crate::k3s) fn eval(
        &self,
        text: &str,
        place: &Place,
    ) -> std::result::Result<Vec<String>, NotUnderstood> {
        let fields: Vec<&str> = text.split(BLANKS).filter(|field| !field.is_empty()).collect();
        let text = fields.join(" ");
        let unread = |(_, what): (usize, String)| {
            NotUnderstood::new(place.clone(), format!("the shell would read {what}"))
        };
        let tokens = lex::tokens(&text).map_err(unread)?;
        let mut cursor = ShellCursor::new(&tokens);
        // The first word is no assignment: a program stands in front of it.
        let mut words = Vec::new();
        let command = cursor.command();
        let assigned = command.assignments.into_iter().map(|(name, value)| {
            let mut word = vec![lex::ShellPiece::Text { text: format!("{name}="), quoted: false }];
            word.extend(value);
            word
        });
        for word in assigned.chain(command.words) {
            words.extend(self.variables.fields(&word, place)?);
        }
        Ok(words)
    }

    pub(super) fn follow(&mut self, file: &RootedPath, text: &str, follow: Follow) -> Status {
        let outer = std::mem::replace(&mut self.file, file.clone());
        self.depth += 1;
        let status = match lex::tokens(text) {
            Ok(tokens) => self.list(&mut ShellCursor::new(&tokens), follow, &[]),
            Err((line, what)) => {
                self.unread(line, &what, follow);
                None
            }
        };
        self.depth -= 1;
        self.file = outer;
        status
    }

    pub(super) fn place(&self, line: usize) -> Place {
        line_of(&self.file, line)
    }

    pub(super) fn unread(&mut self, line: usize, what: &str, follow: Follow) {
        if follow != Follow::No {
            let note =
                NotUnderstood::new(self.place(line), format!("{what}: this part of the script is not read"));
            self.not_understood.push(note);
        }
    }

    /// Takes the word or operator that ends a part of a command.
    fn expect(&mut self, cursor: &mut ShellCursor<'_>, ends: &[&str]) {
        let is_end = |text: Option<&str>| text.is_some_and(|text| ends.contains(&text));
        if !is_end(cursor.plain_word()) && !is_end(cursor.operator()) {
            // A shell refuses the whole file.
            self.unread(cursor.line(), "a command that does not end", Follow::Yes);
        }
        cursor.skip();
    }

    /// Follows commands up to one of the words or operators `ends`, at which the cursor stays.
    fn list(&mut self, cursor: &mut ShellCursor<'_>, follow: Follow, ends: &[&str]) -> Status {
        let mut status = Some(true);
        loop {
            cursor.skip_newlines();
            let is_end = |text: Option<&str>| text.is_some_and(|text| ends.contains(&text));
            if cursor.is_at_end() || is_end(cursor.operator()) || is_end(cursor.plain_word()) {
                return status;
            }
            let before = cursor.line();
            status = self.chain(cursor, follow);
            match cursor.operator() {
                Some("\n" | ";" | "&") => cursor.skip(),
                Some(operator) if !ends.contains(&operator) => {
                    self.unread(before, operator, follow);
                    cursor.skip();
                }
                _ => {}
            }
        }
    }

    /// Follows commands with `&&` and `||` between them.
    fn chain(&mut self, cursor: &mut ShellCursor<'_>, follow: Follow) -> Status {
        let mut status = self.pipeline(cursor, follow);
        while let Some(operator @ ("&&" | "||")) = cursor.operator() {
            cursor.skip();
            cursor.skip_newlines();
            let goes_on = status.map(|status| status == (operator == "&&"));
            let next = self.pipeline(cursor, branch(follow, goes_on));
            status = match goes_on {
                Some(true) => next,
                Some(false) => status,
                None => None,
            };
        }
        status
    }

    fn pipeline(&mut self, cursor: &mut ShellCursor<'_>, follow: Follow) -> Status {
        let negated = cursor.plain_word() == Some("!");
        if negated {
            cursor.skip();
        }
        let mut status = self.statement(cursor, follow);
        while cursor.operator() == Some("|") {
            cursor.skip();
            cursor.skip_newlines();
            // Each command of a pipeline has a shell of its own.
            self.statement(cursor, Follow::No);
            status = None;
        }
        if negated { status.map(|status| !status) } else { status }
    }

    fn statement(&mut self, cursor: &mut ShellCursor<'_>, follow: Follow) -> Status {
        let line = cursor.line();
        let follow = if self.ended { Follow::No } else { follow };
        if cursor.is_at_function() {
            let name = cursor.plain_word().unwrap_or_default().to_owned();
            (0..3).for_each(|_| cursor.skip());
            cursor.skip_newlines();
            let changes = self.changes;
            let outer = self.functions.begin();
            self.statement(cursor, Follow::No);
            self.functions.end(name, outer, changes != self.changes);
            return Some(true);
        }
        if cursor.operator() == Some("(") {
            cursor.skip();
            self.list(cursor, Follow::No, &[")"]);
            self.expect(cursor, &[")"]);
            return None;
        }
        let maybe = branch(follow, None);
        match cursor.plain_word() {
            Some("if") => return self.condition(cursor, follow),
            Some("{") => {
                cursor.skip();
                let status = self.list(cursor, follow, &["}"]);
                self.expect(cursor, &["}"]);
                return status;
            }
            Some("while" | "until") => {
                cursor.skip();
                self.list(cursor, maybe, &["do"]);
                self.body(cursor, maybe);
                return None;
            }
            Some("for") => {
                cursor.skip();
                if let Some(name) = cursor.plain_word() {
                    self.assign(name, &Vec::new(), line, maybe, false);
                }
                while !cursor.is_at_end() && cursor.plain_word() != Some("do") {
                    cursor.skip();
                }
                self.body(cursor, maybe);
                return None;
            }
            Some("case") => {
                self.cases(cursor, maybe);
                return None;
            }
            _ => {}
        }
        let command = cursor.command();
        // A command in the background, or in a pipeline, has a shell of its own.
        let is_apart = matches!(cursor.operator(), Some("|" | "&"));
        self.simple(&command, if is_apart { Follow::No } else { follow })
    }

    fn condition(&mut self, cursor: &mut ShellCursor<'_>, follow: Follow) -> Status {
        let (mut left, mut result) = (follow, Some(true));
        loop {
            // At `if` or `elif`.
            cursor.skip();
            let status = self.list(cursor, left, &["then"]);
            self.expect(cursor, &["then"]);
            let done = self.list(cursor, branch(left, status), &["elif", "else", "fi"]);
            if left != Follow::No {
                result = if status == Some(true) { done } else { None };
            }
            left = branch(left, status.map(|status| !status));
            match cursor.plain_word() {
                Some("elif") => {}
                Some("else") => {
                    cursor.skip();
                    self.list(cursor, left, &["fi"]);
                    self.expect(cursor, &["fi"]);
                    return result;
                }
                _ => {
                    self.expect(cursor, &["fi"]);
                    return result;
                }
            }
        }
    }

    fn body(&mut self, cursor: &mut ShellCursor<'_>, follow: Follow) {
        self.expect(cursor, &["do"]);
        self.list(cursor, follow, &["done"]);
        self.expect(cursor, &["done"]);
    }

    fn cases(&mut self, cursor: &mut ShellCursor<'_>, follow: Follow) {
        while !cursor.is_at_end() && cursor.plain_word() != Some("in") {
            cursor.skip();
        }
        cursor.skip();
        loop {
            cursor.skip_newlines();
            if cursor.is_at_end() || cursor.plain_word() == Some("esac") {
                self.expect(cursor, &["esac"]);
                return;
            }
            while !cursor.is_at_end() && cursor.operator() != Some(")") {
                cursor.skip();
            }
            cursor.skip();
            self.list(cursor, follow, &[";;", "esac"]);
            if cursor.operator() == Some(";;") {
                cursor.skip();
            }
        }
    }
}

/// Returns how what stands under a condition is followed.
pub(super) fn branch(follow: Follow, status: Status) -> Follow {
    match (follow, status) {
        (Follow::No, _) | (_, Some(false)) => Follow::No,
        (_, Some(true)) => follow,
        (_, None) => Follow::Maybe,
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests lay their roots by hand")]
mod tests {
    use std::fs;

    use super::*;

    fn run<T>(script: &str, see: impl FnOnce(&Shell<'_>) -> T) -> T {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("etc/d")).unwrap();
        fs::write(folder.path().join("etc/env"), "A=1\nexport B='b c'\n").unwrap();
        let root = Root::open(folder.path()).unwrap();
        let path = RootedPath::fixed("/etc/init.d/k3s");
        let mut shell = Shell::new(&root, &path);
        shell.run(&path, script).unwrap();
        see(&shell)
    }

    /// The variables as text: `?` if the value is not known, `export` in front of those that are exported.
    fn variables(script: &str) -> Vec<String> {
        run(script, |shell| {
            assert_eq!(shell.not_understood, [], "{script}");
            let text = |(name, variable): (&String, &ShellVariable)| {
                let value = variable.value.clone().unwrap_or_else(|_| "?".to_owned());
                format!("{}{name}={value}", if variable.exported { "export " } else { "" })
            };
            shell.variables.values.iter().map(text).collect()
        })
    }

    #[test]
    fn assignments_are_followed() {
        assert_eq!(variables("A=1; B=\"$A 2\"; C=${X:-d}; D=${A:+e}$F"), ["A=1", "B=1 2", "C=d", "D=e"]);
        assert_eq!(variables("A=$(hostname); B=x$A; C=`x`"), ["A=?", "B=?", "C=?"]);
        assert_eq!(
            variables("A=1 program; export B=2 C; C=3; D=4; export D; E=5 :"),
            ["export B=2", "export C=3", "export D=4", "E=5"]
        );
        assert_eq!(
            variables("set -a\nA=1\nset +o allexport\nB=2; unset B; : ${C:=3}"),
            ["export A=1", "C=3"]
        );
    }

    #[test]
    fn files_are_sourced_behind_conditions() {
        let sourced = ["A=1", "export B=b c"];
        for script in [
            ". /etc/env",
            "if [ -f /etc/env ]; then . /etc/env; fi",
            "[ -r /etc/env ] && source /etc/env",
            "[ ! -f /etc/env ] || . /etc/env",
            "test -d /etc/env || { . /etc/env; }",
            "if false; then A=x; elif [ -n \"\" ]; then A=y; else . /etc/env; fi",
        ] {
            assert_eq!(variables(script), sourced, "{script}");
        }
        for script in ["if [ -f /etc/no ]; then . /etc/no; fi", "[ -s /etc/d ] && :", "f() { . /etc/env; }"] {
            assert_eq!(variables(script), [""; 0], "{script}");
        }
        assert_eq!(
            run(". /etc/no; A=1", |shell| (shell.faults.len(), shell.get("A"))),
            (1, Ok(String::new()))
        );
    }

    #[test]
    fn what_may_be_set_is_not_known() {
        assert_eq!(variables("A=1\nif program; then A=2; B=3; fi"), ["A=?", "B=?"]);
        assert_eq!(variables("A=1; program || A=1"), ["A=1"]);
        assert_eq!(
            variables("for a in b; do C=1; done\ncase $x in a|b) D=1;; *) E=2 ;; esac\nF=1"),
            ["C=?", "D=?", "E=?", "F=1", "a=?"]
        );
        assert_eq!(variables("echo a | while read b; do C=1; done; (D=1)"), [""; 0]);
        for script in [
            "eval A=1",
            "while read a; do export \"$a\"; done < x",
            "f() { A=1; }; f",
            "f() { g; }; g() { A=1; f; }; f",
            ". $X",
            "A='b",
        ] {
            assert!(run(script, |shell| !shell.not_understood.is_empty()), "{script}");
        }
    }

    #[test]
    fn eval_reads_its_words_once_more() {
        let words = |text: &str| {
            run("A='x y'; B=\"\"", |shell| shell.eval(text, &shell.place(1)).map_err(|why| why.reason))
        };
        assert_eq!(
            words("server '--a=b' \n\t\"--c=\\\"d\\\"\" \n >>/var/log/k3s.log 2>&1").unwrap(),
            ["server", "--a=b", "--c=\"d\""]
        );
        assert_eq!(words("$A \"$A\" $B \"$B\" a=$A").unwrap(), ["x", "y", "x y", "", "a=x", "y"]);
        assert_eq!(words("a > b c; d").unwrap(), ["a", "c"]);
        assert!(words("a $(b)").unwrap_err().contains("$(b)"));
    }
}
