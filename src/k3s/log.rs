// SPDX-License-Identifier: Apache-2.0
//! K3s's log: the arguments with which it started its components.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::string::FromUtf8Error;
use std::sync::OnceLock;

use super::arguments;
use super::kubelet_log::{self, LoggedText};
use super::log_lines::lines_with;
use crate::error::Result;
use crate::kubernetes::kubelet_config::KubeletConfig;
use crate::node::{Root, RootedPath, program};
use crate::version::KubernetesMinor;

/// Where K3s writes its log on a machine without systemd.
const LOG_FILE: &str = "/var/log/k3s.log";
/// The longest log that is read from a file, in bytes. A longer one is not read in part: its last start may be in the rest.
pub const MAX_LOG_BYTES: usize = 512 << 20;
/// The beginning of K3s's message that it starts a component.
const MARK: &str = "Running ";
/// The beginning of K3s's message that it starts its network policy controller, and of that that it does not
/// (pkg/agent/netpol/netpol.go).
const POLICIES_START: &str = "Starting network policy controller version ";
const POLICIES_SKIPPED: &str = "Skipping network policy controller start";

/// The log of K3s, or a part of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct K3sLog {
    /// Its lines.
    pub text: String,
    /// The source of the lines, such as a file; none if there is no log.
    pub from: Option<String>,
    /// The last start of each component. A log is long, and many controls need it: it is searched once.
    starts: OnceLock<BTreeMap<String, Logged>>,
    /// The configuration that the kubelet logged at its last start.
    kubelet: OnceLock<Option<LoggedText>>,
}

/// The flags that a component was started with, in their order: names without dashes, and values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// Names and values.
    pub flags: Vec<(String, String)>,
    /// The number of the line.
    pub line: usize,
}

/// What K3s logged of its network policy controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PolicyStart {
    /// Whether it started it.
    pub(super) started: bool,
    /// The number of the line.
    pub(super) line: usize,
}

impl K3sLog {
    /// Takes the lines of a file.
    #[must_use]
    pub fn new(text: impl Into<String>, from: impl Into<String>) -> Self {
        Self { text: text.into(), from: Some(from.into()), ..Self::default() }
    }

    /// Takes the bytes of a file. They are copied only if they are not all text.
    #[must_use]
    pub fn of_bytes(bytes: Vec<u8>, from: impl Into<String>) -> Self {
        let lossy = |error: FromUtf8Error| String::from_utf8_lossy(error.as_bytes()).into_owned();
        Self::new(String::from_utf8(bytes).unwrap_or_else(lossy), from)
    }

    /// Reads the log of the running K3s; empty if there is none or if it cannot be read.
    ///
    /// The journal is read only for the root of the running system: for an image it would be that of another machine.
    #[must_use]
    pub fn read(root: &Root) -> Self {
        let file = || Some(Self::of_file(root)).filter(|log| log.from.is_some());
        let journalctl = || {
            let program = root.is_live().then(|| program::find("journalctl")).flatten()?;
            let units = ["-m", "-u", "k3s", "-u", "k3s-agent", "--no-pager", "-q"];
            // A journalctl without patterns returns all lines.
            let pattern = format!(
                "Starting k3s|Running kube|Managed etcd|{POLICIES_START}|{POLICIES_SKIPPED}|{}",
                kubelet_log::PATTERN
            );
            let lines = program::output(&program, units.into_iter().chain(["-g", pattern.as_str()]))
                .or_else(|_| program::output(&program, units))
                .ok()?;
            (!lines.is_empty()).then(|| Self::of_bytes(lines, "journalctl -u k3s -u k3s-agent"))
        };
        journalctl().or_else(file).unwrap_or_default()
    }

    /// Reads the file into which K3s logs on a machine without systemd; empty if there is none or if it cannot be read.
    #[must_use]
    pub fn of_file(root: &Root) -> Self {
        let bytes = root.read_within(&RootedPath::fixed(LOG_FILE), MAX_LOG_BYTES).ok().flatten();
        bytes.map(|bytes| Self::of_bytes(bytes, LOG_FILE)).unwrap_or_default()
    }

    /// Returns the lines that scanners see: they run journalctl, and read no file.
    #[must_use]
    pub fn of_journalctl(&self) -> &str {
        if self.from.as_deref() == Some(LOG_FILE) { "" } else { &self.text }
    }

    /// Returns the configuration that the kubelet of a minor logged at its last start; none if it logged none.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`](crate::ErrorKind::BadInput) with the line, if the lines are not exactly one configuration.
    #[must_use]
    pub fn kubelet_configuration(&self, minor: KubernetesMinor) -> Option<Result<KubeletConfig>> {
        let after = self.last("kubelet").map_or(0, |start| start.line);
        let found = self.kubelet.get_or_init(|| kubelet_log::find(&self.text, after)).as_ref()?;
        Some(found.read(self.from.as_deref().unwrap_or_default(), minor))
    }

    /// Returns what K3s last logged of its network policy controller; none if no line has it.
    #[must_use]
    pub(super) fn network_policy_start(&self) -> Option<PolicyStart> {
        let of = |line: &str, mark: &str| {
            line.split_once(mark).is_some_and(|(before, _)| begins_a_message(before))
        };
        let last = |mark| lines_with(&self.text, mark).filter(|(_, line)| of(line, mark)).last();
        let (index, line) = last(POLICIES_START).max(last(POLICIES_SKIPPED))?;
        Some(PolicyStart { started: of(line, POLICIES_START), line: index + 1 })
    }

    /// Returns the flags of a component's last start; none if no line has them.
    #[must_use]
    pub fn last(&self, component: &str) -> Option<&Logged> {
        self.starts.get_or_init(|| starts(&self.text)).get(component)
    }
}

/// Finds the last line of each component.
fn starts(text: &str) -> BTreeMap<String, Logged> {
    let mut last = BTreeMap::new();
    for (index, line) in lines_with(text, MARK) {
        // A value after the component's name may hold the mark too.
        let Some((before, message)) = line.split_once(MARK) else { continue };
        let Some((component, flags)) = message.split_once(' ') else { continue };
        // So may a text of others in the log, such as the command of a probe.
        if begins_a_message(before) && flags.starts_with("--") {
            last.insert(component, (index + 1, flags));
        }
    }
    let logged = |(line, flags): (usize, &str)| Logged { flags: split(&unquoted(flags)), line };
    last.into_iter().map(|(component, at)| (component.to_owned(), logged(at))).collect()
}

/// Tells whether K3s's own message begins after a text: `msg="`, `INFO[0001] ` on a terminal, or nothing at all.
fn begins_a_message(before: &str) -> bool {
    let on_a_terminal = || {
        let (level, seconds) = before.strip_suffix("] ")?.rsplit_once('[')?;
        let level = level.strip_suffix("\u{1b}[0m").unwrap_or(level);
        let is_level = level.ends_with("INFO") || level.ends_with("WARN");
        Some(is_level && seconds.bytes().all(|byte| byte.is_ascii_digit()))
    };
    before.is_empty() || before.ends_with("msg=\"") || on_a_terminal() == Some(true)
}

/// Removes the quotes that logrus puts around a message, and the text after them.
fn unquoted(message: &str) -> Cow<'_, str> {
    let mut end = None;
    let mut escaped = false;
    for (at, letter) in message.char_indices() {
        if letter == '"' && !escaped {
            end = Some(at);
            break;
        }
        escaped = letter == '\\' && !escaped;
    }
    let message = &message[..end.unwrap_or(message.len())];
    if message.contains('\\') {
        message.replace("\\\"", "\"").replace("\\\\", "\\").into()
    } else {
        message.into()
    }
}

/// Splits flags that K3s has joined with spaces; a value may hold spaces too.
fn split(flags: &str) -> Vec<(String, String)> {
    let flags = flags.trim().strip_prefix("--").unwrap_or_default();
    let flags = flags.split(" --").filter(|flag| !flag.is_empty());
    flags.map(|flag| arguments::name_and_value(flag.trim_end())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(text: &str, component: &str) -> Option<String> {
        let journal = K3sLog::new(text, "");
        let logged = journal.last(component)?;
        Some(
            logged
                .flags
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect::<Vec<_>>()
                .join(" | "),
        )
    }

    #[test]
    fn the_last_start_counts() {
        let text = "Nov 23 n k3s[1]: time=\"x\" level=info msg=\"Running kubelet --a=1 --b=2\"\n\
                    Nov 24 n k3s[2]: time=\"x\" level=info msg=\"Running kubelet --a=3\"\n\
                    Nov 24 n k3s[2]: time=\"x\" level=info msg=\"Running kube-proxy --a=4\"\n";
        assert_eq!(flags(text, "kubelet").as_deref(), Some("a=3"));
        assert_eq!(K3sLog::new(text, "").last("kubelet").unwrap().line, 2);
        assert_eq!(flags(text, "kube-apiserver"), None);
        assert_eq!(flags("", "kubelet"), None);
        let quotes = "msg=\"Running kube-proxy --a=Running kubelet --b=2\"\n";
        assert_eq!(flags(quotes, "kube-proxy").as_deref(), Some("a=Running kubelet | b=2"));
        assert_eq!(flags(quotes, "kubelet"), None);
    }

    #[test]
    fn only_k3s_own_messages_count() {
        let own = "n k3s[1]: time=\"t\" level=info msg=\"Running kubelet --a=1\"\n";
        for other in [
            "n k3s[1]: E1123 1 remote.go:1] \"ExecSync failed\" cmd=[\"Running kubelet --a=2\"]",
            "n k3s[1]: time=\"t\" level=error msg=\"x: msg=\\\"Running kubelet --a=2\\\"\"",
            "n k3s[1]: I1123 1 x.go:1] Running kubelet --a=2",
            "n k3s[1]: time=\"t\" level=info msg=\"Running kubelet in a container\"",
        ] {
            assert_eq!(flags(&format!("{own}{other}\n"), "kubelet").as_deref(), Some("a=1"), "{other}");
        }
        for other in
            ["INFO[0001] Running kubelet --a=2", "\u{1b}[36mINFO\u{1b}[0m[0001] Running kubelet --a=2"]
        {
            assert_eq!(flags(&format!("{own}{other}\n"), "kubelet").as_deref(), Some("a=2"), "{other}");
        }
    }

    #[test]
    fn the_closing_quote_is_no_part_of_the_last_value() {
        assert_eq!(
            flags("msg=\"Running kubelet --x=a b --y=c\\\"d\\\\ --z\" more=\"1\"", "kubelet").as_deref(),
            Some("x=a b | y=c\"d\\ | z=true")
        );
        assert_eq!(flags("Running kubelet --x_y=1", "kubelet").as_deref(), Some("x-y=1"));
    }
}
