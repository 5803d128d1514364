//! What a check looks at: the few things that the scanners' commands do, and what each prints.

use serde::Deserialize;

use super::table::{self, ScannerBenchmark};
use super::world::ScannerView;
use crate::error::Result;

/// One of the scanners' commands.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Audit {
    /// `{line: kube-apiserver, grep: profiling}`
    Line(AuditLine),
    /// `{when: Running kubelet, then: {line: kubelet}, else: --anonymous-auth=false}`
    When(AuditCondition),
    /// `{stat: server/cred/admin.kubeconfig, print: mode}`
    Stat(Stat),
    /// `{find: server/tls, files: true, name: "*.crt", print: mode}`
    Find(Find),
    /// `{cat: kubelet-config}`
    Cat(Cat),
    /// `{file: etcd-config, behind: client-transport-security, lines: 4, grep: [cert-file]}`
    Grep(Grep),
    /// `{encryption-provider-of: kube-apiserver}`
    EncryptionProvider(EncryptionProvider),
    /// `{processes: containerd}`
    Processes(Processes),
}

/// The line that K3s logs when it starts a component.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct AuditLine {
    /// The component.
    pub(super) line: String,
    /// Which of several.
    #[serde(default)]
    which: LineChoice,
    /// The only unit that is asked.
    unit: Option<Unit>,
    /// What it has to have.
    grep: Option<String>,
    /// What alone is printed of it.
    only: Option<String>,
    /// What it must not have.
    without: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum LineChoice {
    #[default]
    Last,
    First,
    /// The last two lines of all those that name the component and each one after such a line.
    LastAndNext,
}

/// A unit of K3s: an agent's is called otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Unit {
    /// The server's.
    K3s,
}

/// One of two, as the journal has something or not.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct AuditCondition {
    when: String,
    unit: Option<Unit>,
    then: Box<Audit>,
    /// Text of the scanner's own.
    #[serde(rename = "else")]
    otherwise: String,
}

/// Modes or owners of named files.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Stat {
    stat: Paths,
    print: PrintFormat,
    #[serde(default)]
    missing: OnMissingFile,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Paths {
    One(String),
    Several(Vec<String>),
}

/// Modes or owners of what is below a directory.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Find {
    find: String,
    /// Whether directories are left out.
    #[serde(default)]
    files: bool,
    name: Option<String>,
    except: Option<String>,
    print: PrintFormat,
    /// What it means that nothing is found.
    #[serde(default)]
    empty: OnMissingFile,
}

/// A whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Cat {
    cat: String,
    #[serde(default)]
    missing: OnMissingFile,
}

/// Lines of a file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Grep {
    file: String,
    /// Only lines that have this, and some after them.
    behind: Option<String>,
    #[serde(default)]
    lines: usize,
    /// One of these; `^` for the beginning of the line.
    grep: Vec<String>,
    /// Text of the scanner's own where there is no such line.
    #[serde(rename = "else")]
    otherwise: Option<String>,
}

/// The first provider in the file that a component's line names.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct EncryptionProvider {
    encryption_provider_of: String,
}

/// The command lines of running programs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Processes {
    processes: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PrintFormat {
    Mode,
    BareMode,
    Owner,
    Name,
}

/// What it means that a file is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum OnMissingFile {
    /// The command fails.
    #[default]
    Fails,
    /// The command prints nothing.
    Quiet,
}

/// What a command came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Output {
    /// What it printed.
    pub(super) text: String,
    /// Why it failed, if it did.
    pub(super) failed: Option<Failure>,
    /// What it looked at, in words; where the text is the scanner's own, why.
    pub(super) at: String,
    /// Whether the text is the scanner's own and nothing was looked at.
    pub(super) made_up: bool,
}

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// What was missing, as a sentence without its point.
    pub(super) reason: String,
    /// Whether it is a file that is not there; kube-bench forgives that of a configuration.
    pub(super) no_file: bool,
}

impl Output {
    fn of(text: impl Into<String>, at: impl Into<String>) -> Self {
        Self { text: text.into(), failed: None, at: at.into(), made_up: false }
    }

    fn failed(at: impl Into<String>, no_file: bool, reason: impl Into<String>) -> Self {
        let failure = Failure { reason: reason.into(), no_file };
        Self { text: String::new(), failed: Some(failure), at: at.into(), made_up: false }
    }

    fn made_up(text: &str, at: impl Into<String>) -> Self {
        Self { made_up: true, ..Self::of(text, at) }
    }
}

/// What a command is run on.
#[derive(Debug, Clone, Copy)]
pub(super) struct AuditContext<'a> {
    /// The node.
    pub(super) world: &'a ScannerView<'a>,
    /// The benchmark.
    pub(super) benchmark: ScannerBenchmark,
    /// Whether the journal is that on the disk.
    pub(super) on_disk: bool,
}

impl AuditContext<'_> {
    fn journal(&self, unit: Option<Unit>) -> &str {
        self.world.journal(unit, self.on_disk)
    }

    /// Returns the place that counts of those that a name has.
    fn place(&self, name: &str) -> String {
        let mut places = table::places(name, self.benchmark);
        let last = places.pop().unwrap_or_default();
        places.into_iter().find(|path| self.world.exists(path)).unwrap_or(last)
    }

    /// Says that a file is in none of its places.
    fn absent(&self, name: &str) -> String {
        format!("there is no {}", table::places(name, self.benchmark).join(" and no "))
    }
}

impl Audit {
    /// Looks.
    ///
    /// # Errors
    /// Where something is there and cannot be looked at.
    pub(super) fn run(&self, on: AuditContext<'_>) -> Result<Output> {
        match self {
            Self::Line(line) => Ok(line.run(on)),
            Self::When(when) if on.journal(when.unit).contains(&when.when) => when.then.run(on),
            Self::When(when) => {
                Ok(Output::made_up(&when.otherwise, format!("the journal has no {:?}", when.when)))
            }
            Self::Stat(stat) => stat.run(on),
            Self::Find(find) => find.run(on),
            Self::Cat(cat) => cat.run(on),
            Self::Grep(grep) => grep.run(on),
            Self::EncryptionProvider(provider) => provider.run(on),
            // K3s is one process and has no flags of its components; containerd has none either.
            Self::Processes(processes) => {
                let name = &processes.processes;
                let text = format!(
                    "root 1 1 0 00:00 ? 00:00:00 {name} -c {}/agent/etc/{name}/config.toml\n",
                    table::DATA_DIR
                );
                Ok(Output::of(text, format!("the command line of {name}, which has no flags of Kubernetes,")))
            }
        }
    }
}

impl AuditLine {
    fn run(&self, on: AuditContext<'_>) -> Output {
        let mark = format!("Running {}", self.line);
        let journal = on.journal(self.unit);
        let mut marked = journal.lines().filter(|line| line.contains(&mark));
        let (at, found) = match self.which {
            LineChoice::Last => (format!("the journal's last line of {}", self.line), marked.next_back()),
            LineChoice::First => {
                let at = format!("the journal's first line of {}", self.line);
                let Some(first) = marked.next() else {
                    return Output::failed(at, false, format!("the journal has no line of {}", self.line));
                };
                (at, Some(first))
            }
            LineChoice::LastAndNext => {
                let at = format!("the journal's last line of {} and the next", self.line);
                return Output::of(last_two(journal, &mark), at);
            }
        };
        let text = found.map(|line| format!("{line}\n")).unwrap_or_default();
        let fails = |what: &str| {
            let reason = match found {
                Some(_) => format!("{at} has no {what:?}"),
                None => format!("the journal has no line of {}", self.line),
            };
            Output::failed(at.clone(), false, reason)
        };
        if let Some(only) = &self.only {
            return if text.contains(only) { Output::of(only, at) } else { fails(only) };
        }
        if let Some(grep) = self.grep.as_ref().filter(|grep| !text.contains(*grep)) {
            return fails(grep);
        }
        // Whatever it is without, of nothing it picks nothing.
        if let Some(without) =
            self.without.as_ref().filter(|without| text.is_empty() || text.contains(*without))
        {
            return fails(&format!("line without {without}"));
        }
        Output::of(text, at)
    }
}

/// The last two lines of what `grep -A1` prints: groups that do not touch have a line of dashes between them.
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
    fn what(self) -> &'static str {
        match self {
            Self::Mode | Self::BareMode => "mode",
            Self::Owner => "owner",
            Self::Name => "name",
        }
    }

    /// Prints one line for each path that is there, and returns the first that is not.
    fn of(self, world: &ScannerView<'_>, paths: &[String]) -> Result<(String, Option<String>)> {
        let (mut text, mut missing) = (String::new(), None);
        for path in paths {
            let Some((mode, owner)) = world.permissions(path)? else {
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
            // A word that is no path is one to the shell, which looks where it stands.
            let path = if name.starts_with('%') { name.clone() } else { on.place(name) };
            paths.extend(on.world.glob(&path)?);
        }
        let at = format!("the {} of {}", self.print.what(), paths.last().map_or("", String::as_str));
        let (text, missing) = self.print.of(on.world, &paths)?;
        Ok(match (missing, self.missing) {
            (None, _) => Output::of(text, at),
            (Some(_), OnMissingFile::Quiet) => Output::of("", at),
            (Some(path), OnMissingFile::Fails) => {
                // Its places, where it has several; else what the shell made of it.
                let named = named.iter().find(|name| on.place(name) == path);
                let reason = named.map_or_else(|| format!("there is no {path}"), |name| on.absent(name));
                Output::failed(at, true, reason)
            }
        })
    }
}

impl Find {
    fn run(&self, on: AuditContext<'_>) -> Result<Output> {
        let directory = on.place(&self.find);
        let at = format!("the {} of what is below {directory}", self.print.what());
        let mut paths = Vec::new();
        self.walk(on.world, &directory, &mut paths)?;
        if paths.is_empty() && self.empty == OnMissingFile::Fails {
            return Ok(Output::failed(at, true, format!("there is nothing to find below {directory}")));
        }
        let (text, _) = self.print.of(on.world, &paths)?;
        Ok(Output::of(text, at))
    }

    fn walk(&self, world: &ScannerView<'_>, path: &str, paths: &mut Vec<String>) -> Result<()> {
        let directory = world.is_directory(path);
        let name = path.rsplit('/').next().unwrap_or_default();
        let named = self.name.as_ref().is_none_or(|pattern| fits(pattern, name));
        let excepted = self.except.as_ref().is_some_and(|pattern| fits(pattern, name));
        if (directory && !self.files || !directory && world.exists(path)) && named && !excepted {
            paths.push(path.to_owned());
        }
        if directory {
            for name in world.list(path)? {
                self.walk(world, &format!("{path}/{name}"), paths)?;
            }
        }
        Ok(())
    }
}

/// Tells whether a name fits a pattern with at most one `*`.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => {
            name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after)
        }
    }
}

impl Cat {
    fn run(&self, on: AuditContext<'_>) -> Result<Output> {
        let path = on.place(&self.cat);
        Ok(match (on.world.read(&path)?, self.missing) {
            (Some(text), _) => Output::of(text, path),
            (None, OnMissingFile::Quiet) => Output::of("", path),
            (None, OnMissingFile::Fails) => Output::failed(path, true, on.absent(&self.cat)),
        })
    }
}

impl Grep {
    fn run(&self, on: AuditContext<'_>) -> Result<Output> {
        let path = on.place(&self.file);
        let text = on.world.read(&path)?;
        let lines: Vec<&str> = text.iter().flat_map(|text| text.lines()).collect();
        let near = |index: usize| {
            self.behind.as_ref().is_none_or(|behind| {
                lines[index.saturating_sub(self.lines)..=index].iter().any(|line| line.contains(behind))
            })
        };
        let wanted = |line: &str| {
            self.grep.iter().any(|pattern| match pattern.strip_prefix('^') {
                Some(beginning) => line.starts_with(beginning),
                None => line.contains(pattern),
            })
        };
        let hits = lines.iter().enumerate().filter(|(index, line)| near(*index) && wanted(line));
        let sought = self.grep.join(" or ").replace('^', "");
        let found: String = hits.map(|(_, line)| format!("{line}\n")).collect();
        Ok(match (found.is_empty(), &self.otherwise, text.is_some()) {
            (false, ..) => Output::of(found, path),
            (true, Some(otherwise), true) => Output::made_up(otherwise, format!("{path} has no {sought}")),
            (true, Some(otherwise), false) => Output::made_up(otherwise, on.absent(&self.file)),
            (true, None, true) => Output::failed(path.clone(), false, format!("{path} has no {sought}")),
            (true, None, false) => Output::failed(path, true, on.absent(&self.file)),
        })
    }
}

impl EncryptionProvider {
    fn run(&self, on: AuditContext<'_>) -> Result<Output> {
        const FLAG: &str = "encryption-provider-config";
        let mark = format!("Running {}", self.encryption_provider_of);
        let line = on.journal(None).lines().rfind(|line| line.contains(&mark));
        let named = line.filter(|line| line.contains(&format!("--{FLAG}"))).map(|line| {
            // The longest match of sed: what stands behind the last place where a value follows.
            let mut places = line.rmatch_indices(FLAG).map(|(at, _)| &line[at + FLAG.len()..]);
            let value = places.find_map(|rest| rest.strip_prefix(['=', ' ']));
            value.map_or(line, |rest| rest.split(' ').next().unwrap_or_default())
        });
        let Some(path) = named else {
            return Ok(Output::of(
                "",
                format!("the file that --{FLAG} names, which the journal does not have"),
            ));
        };
        let text = on.world.read(path)?.unwrap_or_default();
        let mut words = Vec::new();
        for line in text.lines() {
            let Some(start) = line.find("providers\":[") else { continue };
            let Some(end) = line.rfind(']').filter(|end| *end > start) else { continue };
            words.extend(line[start..end].split(|letter: char| !letter.is_ascii_alphabetic()));
        }
        let words = words.into_iter().filter(|word| !word.is_empty()).take(2);
        let provider = words.last().map(|word| format!("provider={word}\n")).unwrap_or_default();
        Ok(Output::of(provider, path))
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

    #[test]
    fn a_pattern_fits_whole_names() {
        assert!(fits("*.crt", "a.crt"));
        assert!(!fits("*.crt", "a.crt.old"));
        assert!(!fits("a*a", "a"));
        assert!(fits("lock", "lock") && !fits("lock", "locks"));
    }
}
