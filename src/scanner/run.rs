// SPDX-License-Identifier: Apache-2.0
//! Runs the audits: prints what the commands of the scanners print.

use std::fmt;

use super::audit::{
    Audit, AuditLine, Cat, EncryptionProvider, Find, Grep, LineChoice, OnMissingFile, Paths, PrintFormat,
    Stat, Unit,
};
use super::benchmark::ScannerBenchmark;
use super::path::{self, DATA_DIR, PathList, absolute, matches};
use super::view::{CatOutput, ScannerView};
use crate::error::Result;
use crate::node::EntryKind;

/// What a command looked at. It displays as the sentences of a prediction name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AuditSubject {
    /// Nothing: the check has no such command.
    Nothing,
    /// A line of a component in the journal.
    JournalLine { component: String, which: LineChoice },
    /// A property of a file, or of the files below a directory.
    Property { print: PrintFormat, files: String },
    /// A file.
    File(String),
    /// The file that a flag names, which is not in the journal.
    UnnamedFile { flag: &'static str },
    /// The command line of a program.
    CommandLine(String),
    /// Nothing: the scanner prints its own text, for this reason.
    OwnText { reason: String },
}

impl AuditSubject {
    /// Tells whether it is a line of the journal.
    pub(super) fn is_journal_line(&self) -> bool {
        matches!(self, Self::JournalLine { .. })
    }
}

impl fmt::Display for AuditSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::JournalLine { component, which } => match which {
                LineChoice::Last => write!(f, "the journal's last line of {component}"),
                LineChoice::First => write!(f, "the journal's first line of {component}"),
                LineChoice::LastAndNext => write!(f, "the journal's last line of {component} and the next"),
            },
            Self::Property { print, files } => write!(f, "the {} of {files}", print.property()),
            Self::File(path) => f.write_str(path),
            Self::UnnamedFile { flag } => {
                write!(f, "the file that --{flag} names, which the journal does not have")
            }
            Self::CommandLine(program) => {
                write!(f, "the command line of {program}, which has no flags of Kubernetes,")
            }
            Self::OwnText { reason } => f.write_str(reason),
        }
    }
}

/// The output of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Output {
    /// The text that it printed.
    pub(super) text: String,
    /// The reason if it failed.
    pub(super) failed: Option<Failure>,
    /// What it looked at.
    pub(super) subject: AuditSubject,
}

/// The reason why a command failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// What is missing, as a sentence without a full stop.
    pub(super) reason: String,
    /// Whether a file does not exist; kube-bench ignores that if the first audit printed text.
    pub(super) no_file: bool,
}

impl Output {
    fn printed(text: impl Into<String>, subject: AuditSubject) -> Self {
        Self { text: text.into(), failed: None, subject }
    }

    fn failed(subject: AuditSubject, no_file: bool, reason: impl Into<String>) -> Self {
        let failure = Failure { reason: reason.into(), no_file };
        Self { text: String::new(), failed: Some(failure), subject }
    }

    fn own_text(text: &str, reason: impl Into<String>) -> Self {
        Self::printed(text, AuditSubject::OwnText { reason: reason.into() })
    }
}

/// What a command runs on.
#[derive(Debug, Clone, Copy)]
pub(super) struct AuditContext<'a> {
    /// The node.
    pub(super) view: &'a ScannerView<'a>,
    /// The benchmark.
    pub(super) benchmark: ScannerBenchmark,
    /// The target, which has its own paths.
    pub(super) target: &'a str,
    /// Whether the command reads only a journal on the disk.
    pub(super) on_disk: bool,
}

impl AuditContext<'_> {
    fn journal(&self, unit: Option<Unit>) -> &str {
        self.view.journal(unit, self.on_disk)
    }

    /// Returns the list of a variable, which is written with a `$`.
    fn list(&self, name: &str) -> Option<&'static PathList> {
        let variable = name.strip_prefix('$')?;
        path::lists(self.target, self.benchmark).find(|list| list.variable == variable)
    }

    /// Returns the path for a name in a row: of a variable, the first of its paths that exists, or else what takes its place.
    fn place(&self, name: &str) -> String {
        match self.list(name) {
            Some(list) => {
                list.paths.iter().find(|path| self.view.exists(path)).unwrap_or(&list.otherwise).clone()
            }
            None => absolute(name),
        }
    }

    /// Returns the sentence that a file does not exist.
    fn absent(&self, name: &str) -> String {
        let place = self.place(name);
        match self.list(name).map_or(0, |list| list.paths.iter().filter(|path| **path != place).count()) {
            0 => format!("there is no {place}"),
            1 => format!("there is no {place}, and nothing at the other path of {name}"),
            others => format!("there is no {place}, and nothing at the {others} other paths of {name}"),
        }
    }
}

impl Audit {
    /// Runs the command.
    ///
    /// # Errors
    /// Any error of a file that exists and cannot be read.
    pub(super) fn run(&self, on: AuditContext<'_>) -> Result<Output> {
        match self {
            Self::Line(line) => Ok(line.run(on)),
            Self::When(when) if on.journal(when.unit).contains(&when.when) => when.then.run(on),
            Self::When(when) => {
                Ok(Output::own_text(&when.otherwise, format!("the journal has no {:?}", when.when)))
            }
            Self::Stat(stat) => stat.run(on),
            Self::Find(find) => find.run(on),
            Self::Cat(cat) => cat.run(on),
            Self::Grep(grep) => grep.run(on),
            Self::EncryptionProvider(provider) => provider.run(on),
            Self::Processes(processes) if !on.view.runs_containerd() => {
                let name = &processes.processes;
                let subject = AuditSubject::CommandLine(name.clone());
                Ok(Output::failed(subject, false, format!("{name} does not run")))
            }
            // K3s is one process without the flags of its components; containerd has none of them either.
            Self::Processes(processes) => {
                let name = &processes.processes;
                let text = format!(
                    "root 1 1 0 00:00 ? 00:00:00 {name} -c {DATA_DIR}/agent/etc/{name}/config.toml\n"
                );
                Ok(Output::printed(text, AuditSubject::CommandLine(name.clone())))
            }
        }
    }
}

impl AuditLine {
    fn run(&self, on: AuditContext<'_>) -> Output {
        let mark = format!("Running {}", self.line);
        let journal = on.journal(self.unit);
        let subject = AuditSubject::JournalLine { component: self.line.clone(), which: self.which };
        let mut marked = journal.lines().filter(|line| line.contains(&mark));
        let no_line = || format!("the journal has no line of {}", self.line);
        let found = match self.which {
            LineChoice::Last => marked.next_back(),
            LineChoice::First => match marked.next() {
                Some(first) => Some(first),
                None => return Output::failed(subject, false, no_line()),
            },
            LineChoice::LastAndNext => return Output::printed(last_two(journal, &mark), subject),
        };
        let text = found.map(|line| format!("{line}\n")).unwrap_or_default();
        let fails = |missing: &str| {
            let reason = if found.is_some() { format!("{subject} has no {missing:?}") } else { no_line() };
            Output::failed(subject.clone(), false, reason)
        };
        if let Some(only) = &self.only {
            return if text.contains(only) { Output::printed(only, subject) } else { fails(only) };
        }
        if let Some(grep) = self.grep.as_ref().filter(|grep| !text.contains(*grep)) {
            return fails(grep);
        }
        // `grep -v` prints nothing of an empty text.
        if let Some(without) =
            self.without.as_ref().filter(|without| text.is_empty() || text.contains(*without))
        {
            return fails(&format!("line without {without}"));
        }
        Output::printed(text, subject)
    }
}

/// Returns the last two lines that `grep -A1` prints: a line of dashes separates groups that do not touch.
fn last_two(journal: &str, mark: &str) -> String {
    let lines: Vec<&str> = journal.lines().collect();
    let mut printed: Vec<&str> = Vec::new();
    let mut end = 0;
    for (index, _) in lines.iter().enumerate().filter(|(_, line)| line.contains(mark)) {
        if index > end && !printed.is_empty() {
            printed.push("--");
        }
        let from = index.max(end);
        end = (index + 2).min(lines.len());
        printed.extend(&lines[from..end]);
    }
    printed[printed.len().saturating_sub(2)..].iter().map(|line| format!("{line}\n")).collect()
}

impl PrintFormat {
    /// Returns the name of the property that is printed.
    fn property(self) -> &'static str {
        match self {
            Self::Mode | Self::BareMode => "mode",
            Self::Owner => "owner",
            Self::Name => "name",
        }
    }

    /// Prints a line for each path that exists, and returns the first path that does not.
    fn print(self, view: &ScannerView<'_>, paths: &[String]) -> Result<(String, Option<String>)> {
        let (mut text, mut missing) = (String::new(), None);
        for path in paths {
            let Some(entry) = view.entry(path)? else {
                missing.get_or_insert_with(|| path.clone());
                continue;
            };
            match self {
                Self::Mode => text += &format!("permissions={}\n", entry.mode),
                Self::BareMode => text += &format!("{}\n", entry.mode),
                Self::Owner => text += &format!("{}\n", entry.owner),
                Self::Name => text += &format!("{path}\n"),
            }
        }
        Ok((text, missing))
    }
}

impl Stat {
    fn run(&self, on: AuditContext<'_>) -> Result<Output> {
        let named = match &self.stat {
            Paths::One(name) => std::slice::from_ref(name),
            Paths::Several(names) => names,
        };
        let mut paths = Vec::new();
        for name in named {
            paths.extend(on.view.glob(&on.place(name))?);
        }
        let files = paths.last().cloned().unwrap_or_default();
        let subject = AuditSubject::Property { print: self.print, files };
        // `test -e` follows a link, and `stat` does not.
        if self.missing == OnMissingFile::Quiet && paths.iter().any(|path| !on.view.exists(path)) {
            return Ok(Output::printed("", subject));
        }
        let (text, missing) = self.print.print(on.view, &paths)?;
        Ok(match missing {
            None => Output::printed(text, subject),
            Some(path) => {
                // The paths of a variable; else the path as the shell expanded it.
                let named = named.iter().find(|name| on.place(name) == path);
                let reason = named.map_or_else(|| format!("there is no {path}"), |name| on.absent(name));
                Output::failed(subject, true, reason)
            }
        })
    }
}

impl Find {
    fn run(&self, on: AuditContext<'_>) -> Result<Output> {
        let named = on.place(&self.find);
        // Only a slash behind the path makes `find` follow a link there.
        let directory = named.trim_end_matches('/');
        let is_followed = directory != named && on.view.leads_to_directory(directory)?;
        let files = format!("what is below {directory}");
        let subject = AuditSubject::Property { print: self.print, files };
        let mut paths = Vec::new();
        if is_followed {
            self.descend(on.view, directory, &mut paths)?;
        } else {
            self.walk(on.view, directory, &mut paths)?;
        }
        if paths.is_empty() && self.empty == OnMissingFile::Fails {
            return Ok(Output::failed(subject, true, format!("there is nothing to find below {directory}")));
        }
        // `xargs` makes several names of such a one.
        if let Some(path) = paths.iter().find(|path| path.contains([' ', '\t', '\n', '"', '\'', '\\'])) {
            return Ok(Output::failed(subject, false, format!("xargs cannot pass {path:?} on")));
        }
        let (text, _) = self.print.print(on.view, &paths)?;
        Ok(Output::printed(text, subject))
    }

    fn walk(&self, view: &ScannerView<'_>, path: &str, paths: &mut Vec<String>) -> Result<()> {
        let Some(entry) = view.entry(path)? else { return Ok(()) };
        let name = path.rsplit('/').next().unwrap_or_default();
        let is_included = self.name.as_ref().is_none_or(|pattern| matches(pattern, name));
        let is_excepted = self.except.as_ref().is_some_and(|pattern| matches(pattern, name));
        if (!self.files || entry.kind == EntryKind::File) && is_included && !is_excepted {
            paths.push(path.to_owned());
        }
        match entry.kind {
            EntryKind::Directory => self.descend(view, path, paths),
            _ => Ok(()),
        }
    }

    fn descend(&self, view: &ScannerView<'_>, path: &str, paths: &mut Vec<String>) -> Result<()> {
        view.list(path)?.iter().try_for_each(|name| self.walk(view, &format!("{path}/{name}"), paths))
    }
}

impl Cat {
    fn run(&self, on: AuditContext<'_>) -> Result<Output> {
        let path = on.place(&self.cat);
        if self.missing == OnMissingFile::Quiet && !on.view.exists(&path) {
            return Ok(Output::printed("", AuditSubject::File(path)));
        }
        Ok(match on.view.read(&path)? {
            CatOutput::Text(text) => Output::printed(text, AuditSubject::File(path)),
            CatOutput::Missing => Output::failed(AuditSubject::File(path), true, on.absent(&self.cat)),
            CatOutput::Unreadable(why) => {
                let reason = format!("{path} {why}");
                Output::failed(AuditSubject::File(path), false, reason)
            }
        })
    }
}

impl Grep {
    fn run(&self, on: AuditContext<'_>) -> Result<Output> {
        let path = on.place(&self.file);
        let file = on.view.read(&path)?;
        let text = if let CatOutput::Text(text) = &file { text } else { "" };
        let lines: Vec<&str> = text.lines().collect();
        let is_near = |index: usize| {
            self.behind.as_ref().is_none_or(|behind| {
                lines[index.saturating_sub(self.lines)..=index].iter().any(|line| line.contains(behind))
            })
        };
        let is_match = |line: &str| {
            self.grep.iter().any(|pattern| match pattern.strip_prefix('^') {
                Some(beginning) => line.starts_with(beginning),
                None => line.contains(pattern),
            })
        };
        let hits = lines.iter().enumerate().filter(|(index, line)| is_near(*index) && is_match(line));
        let sought = self.grep.join(" or ").replace('^', "");
        let found: String = hits.map(|(_, line)| format!("{line}\n")).collect();
        let subject = AuditSubject::File(path.clone());
        let reason = match file {
            CatOutput::Text(_) => format!("{path} has no {sought}"),
            CatOutput::Missing => on.absent(&self.file),
            CatOutput::Unreadable(why) => format!("{path} {why}"),
        };
        Ok(match (found.is_empty(), &self.otherwise) {
            (false, _) => Output::printed(found, subject),
            (true, Some(otherwise)) => Output::own_text(otherwise, reason),
            (true, None) => Output::failed(subject, false, reason),
        })
    }
}

impl EncryptionProvider {
    fn run(&self, on: AuditContext<'_>) -> Result<Output> {
        const FLAG: &str = "encryption-provider-config";
        let mark = format!("Running {}", self.encryption_provider_of);
        let line = on.journal(None).lines().rfind(|line| line.contains(&mark));
        let named = line.filter(|line| line.contains(&format!("--{FLAG}"))).map(|line| {
            // The longest match of sed: the text behind the last occurrence that a value follows.
            let mut values = line.rmatch_indices(FLAG).map(|(at, _)| &line[at + FLAG.len()..]);
            let value = values.find_map(|rest| rest.strip_prefix(['=', ' ']));
            value.map_or(line, |rest| rest.split(' ').next().unwrap_or_default())
        });
        let Some(path) = named else {
            return Ok(Output::printed("", AuditSubject::UnnamedFile { flag: FLAG }));
        };
        let file = on.view.read(path)?;
        let text = if let CatOutput::Text(text) = &file { text } else { "" };
        let mut words = Vec::new();
        for line in text.lines() {
            let Some(start) = line.find("providers\":[") else { continue };
            let Some(end) = line.rfind(']').filter(|end| *end > start) else { continue };
            words.extend(line[start..end].split(|letter: char| !letter.is_ascii_alphabetic()));
        }
        let words = words.into_iter().filter(|word| !word.is_empty()).take(2);
        let provider = words.last().map(|word| format!("provider={word}\n")).unwrap_or_default();
        Ok(Output::printed(provider, AuditSubject::File(path.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_two_lines_are_those_of_grep() {
        let two = |journal: &str| last_two(journal, "X").replace('\n', "|");
        assert_eq!(two(""), "");
        assert_eq!(two("a\nX1\nb\nc\n"), "X1|b|");
        assert_eq!(two("a\nX1\n"), "X1|");
        assert_eq!(two("X1\nX2\nb\n"), "X2|b|");
        assert_eq!(two("X1\nb\nX2\n"), "b|X2|");
        assert_eq!(two("X1\nb\nc\nX2\n"), "--|X2|", "the separator is a line too");
    }
}
