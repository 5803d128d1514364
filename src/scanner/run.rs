//! Runs the audits: prints what the commands of the scanners print.

use std::fmt;

use super::audit::{
    Audit, AuditLine, Cat, EncryptionProvider, Find, Grep, LineChoice, OnMissingFile, Paths, PrintFormat,
    Stat, Unit,
};
use super::benchmark::ScannerBenchmark;
use super::path::{DATA_DIR, matches, places};
use super::view::ScannerView;
use crate::error::Result;

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
    /// Whether the command reads only a journal on the disk.
    pub(super) on_disk: bool,
}

impl AuditContext<'_> {
    fn journal(&self, unit: Option<Unit>) -> &str {
        self.view.journal(unit, self.on_disk)
    }

    /// Returns the first place of a name that exists, or else its last place.
    fn place(&self, name: &str) -> String {
        let mut places = places(name, self.benchmark);
        let last = places.pop().unwrap_or_default();
        places.into_iter().find(|path| self.view.exists(path)).unwrap_or(last)
    }

    /// Returns the sentence that a file is in none of its places.
    fn absent(&self, name: &str) -> String {
        format!("there is no {}", places(name, self.benchmark).join(" and no "))
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
            let Some((mode, owner)) = view.permissions(path)? else {
                missing.get_or_insert_with(|| path.clone());
                continue;
            };
            match self {
                Self::Mode => text += &format!("permissions={mode}\n"),
                Self::BareMode => text += &format!("{mode}\n"),
                Self::Owner => text += &format!("{owner}\n"),
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
            // `%a` is a file name to the shell, in its working directory.
            let path = if name.starts_with('%') { name.clone() } else { on.place(name) };
            paths.extend(on.view.glob(&path)?);
        }
        let files = paths.last().cloned().unwrap_or_default();
        let subject = AuditSubject::Property { print: self.print, files };
        let (text, missing) = self.print.print(on.view, &paths)?;
        Ok(match (missing, self.missing) {
            (None, _) => Output::printed(text, subject),
            (Some(_), OnMissingFile::Quiet) => Output::printed("", subject),
            (Some(path), OnMissingFile::Fails) => {
                // The places of a variable; else the path as the shell expanded it.
                let named = named.iter().find(|name| on.place(name) == path);
                let reason = named.map_or_else(|| format!("there is no {path}"), |name| on.absent(name));
                Output::failed(subject, true, reason)
            }
        })
    }
}

impl Find {
    fn run(&self, on: AuditContext<'_>) -> Result<Output> {
        let directory = on.place(&self.find);
        let files = format!("what is below {directory}");
        let subject = AuditSubject::Property { print: self.print, files };
        let mut paths = Vec::new();
        self.walk(on.view, &directory, &mut paths)?;
        if paths.is_empty() && self.empty == OnMissingFile::Fails {
            return Ok(Output::failed(subject, true, format!("there is nothing to find below {directory}")));
        }
        let (text, _) = self.print.print(on.view, &paths)?;
        Ok(Output::printed(text, subject))
    }

    fn walk(&self, view: &ScannerView<'_>, path: &str, paths: &mut Vec<String>) -> Result<()> {
        let directory = view.is_directory(path);
        let name = path.rsplit('/').next().unwrap_or_default();
        let is_included = self.name.as_ref().is_none_or(|pattern| matches(pattern, name));
        let is_excepted = self.except.as_ref().is_some_and(|pattern| matches(pattern, name));
        if (directory && !self.files || !directory && view.exists(path)) && is_included && !is_excepted {
            paths.push(path.to_owned());
        }
        if directory {
            for name in view.list(path)? {
                self.walk(view, &format!("{path}/{name}"), paths)?;
            }
        }
        Ok(())
    }
}

impl Cat {
    fn run(&self, on: AuditContext<'_>) -> Result<Output> {
        let path = on.place(&self.cat);
        Ok(match (on.view.read(&path)?, self.missing) {
            (Some(text), _) => Output::printed(text, AuditSubject::File(path)),
            (None, OnMissingFile::Quiet) => Output::printed("", AuditSubject::File(path)),
            (None, OnMissingFile::Fails) => {
                Output::failed(AuditSubject::File(path), true, on.absent(&self.cat))
            }
        })
    }
}

impl Grep {
    fn run(&self, on: AuditContext<'_>) -> Result<Output> {
        let path = on.place(&self.file);
        let text = on.view.read(&path)?;
        let lines: Vec<&str> = text.iter().flat_map(|text| text.lines()).collect();
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
        Ok(match (found.is_empty(), &self.otherwise, text.is_some()) {
            (false, ..) => Output::printed(found, subject),
            (true, Some(otherwise), true) => Output::own_text(otherwise, format!("{path} has no {sought}")),
            (true, Some(otherwise), false) => Output::own_text(otherwise, on.absent(&self.file)),
            (true, None, true) => Output::failed(subject, false, format!("{path} has no {sought}")),
            (true, None, false) => Output::failed(subject, true, on.absent(&self.file)),
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
        let text = on.view.read(path)?.unwrap_or_default();
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
