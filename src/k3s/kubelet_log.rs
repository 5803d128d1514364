// SPDX-License-Identifier: Apache-2.0
//! The kubelet's configuration as the kubelet itself logs it at its start, from Kubernetes 1.37 on: its files, its drop-ins and
//! its arguments, merged, with every default (cmd/kubelet/app/server.go, `marshalKubeletConfigForLog`).
//!
//! klog writes a text of several lines as `"MESSAGE" config=<`, the lines, each behind a tab, and ` >`. The journal makes an
//! entry of each line. What is not exactly that is refused: another program may have written in between, and the journal may
//! have dropped lines.

use super::log_lines::lines_with;
use crate::error::{Error, ErrorKind, Place};
use crate::kubernetes::kubelet_config::KubeletConfig;
use crate::kubernetes::kubelet_documents::{self, DocumentRole};
use crate::kubernetes::kubelet_fields;
use crate::version::KubernetesMinor;

/// What the journal is searched for, beside K3s's own messages: the first line, those behind it, and the last.
pub(super) const PATTERN: &str = "\"Effective KubeletConfiguration\"|^\\t|^ >$";
/// The first minor whose kubelet logs it.
const FROM: KubernetesMinor = KubernetesMinor::new(37);
/// What each of these lines has.
const MESSAGE: &str = "Effective KubeletConfiguration";
/// The message, as klog writes it with a text of several lines.
const HEAD: &str = "] \"Effective KubeletConfiguration\" config=<";
/// The message with `logging-format=json`, which has everything in one line.
const JSON_HEAD: &str = "\"msg\":\"Effective KubeletConfiguration\"";
/// The last line.
const END: &str = " >";
/// The source file that logs it.
const SOURCE: &str = "server.go:";
/// Fields that the kubelet logs whatever they are, from all over the text. Without one of them lines are missing.
const ALWAYS_THERE: [&str; 12] = [
    "authentication.anonymous.enabled",
    "authorization.mode",
    "cpuManagerReconcilePeriod",
    "evictionPressureTransitionPeriod",
    "fileCheckFrequency",
    "httpCheckFrequency",
    "imageMinimumGCAge",
    "nodeStatusReportFrequency",
    "runtimeRequestTimeout",
    "shutdownGracePeriod",
    "streamingConnectionIdleTimeout",
    "volumeStatsAggPeriod",
];

/// The lines of a log that hold the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LoggedText {
    /// The number of the first line.
    line: usize,
    /// The document, or why the lines do not hold one.
    text: Result<String, &'static str>,
}

/// Returns the last configuration in the lines of a log behind the line number `after`; none if there is none.
pub(super) fn find(log: &str, after: usize) -> Option<LoggedText> {
    let heads = lines_with(log, MESSAGE).filter(|(at, _)| *at >= after);
    let (at, head) = heads.filter_map(|(at, line)| Some((at, head(line)?))).last()?;
    let text = match head {
        LogHead::Lines(tag) => text_below(log.lines().skip(at + 1), tag),
        LogHead::Json(text) => text.ok_or("the line is not whole"),
    };
    Some(LoggedText { line: at + 1, text })
}

impl LoggedText {
    /// Reads the configuration of a minor's kubelet; `file` is the source of the log.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] with the line if it is not whole, or no configuration of that kubelet.
    pub(super) fn read(&self, file: &str, minor: KubernetesMinor) -> Result<KubeletConfig, Error> {
        let place = |line: usize| Place { file: file.to_owned(), position: Some((self.line + line, 1)) };
        let refused = |why: &str, line: usize| {
            let message = format!("the configuration that the kubelet logged is not read: {why}");
            Error::new(ErrorKind::BadInput, message).at(place(line))
        };
        let text = self.text.as_ref().map_err(|why| refused(why, 0))?;
        if minor < FROM {
            return Err(refused(&format!("the kubelet of {minor} logs none"), 0));
        }
        let document = kubelet_documents::read(text.as_bytes(), DocumentRole::DropIn, minor)
            .map_err(|fault| refused(&fault.message, fault.position.0))?;
        let decoded = kubelet_fields::decode(&document.root, minor);
        // A newer kubelet may log fields that no known one has.
        let unknown = decoded.unknown.first().filter(|_| !minor.is_newer_than_known());
        if let Some(fault) = decoded.faults.first().or(unknown) {
            return Err(refused(&fault.message, fault.position.0));
        }
        let config = KubeletConfig::of_fields(&decoded.fields, &|(line, _)| Some(place(line)));
        match ALWAYS_THERE.iter().find(|field| config.get(field).is_none()) {
            Some(field) => Err(refused(&format!("it has no {field}, so lines of it are missing"), 0)),
            None => Ok(config),
        }
    }
}

/// The first line of a configuration.
enum LogHead<'a> {
    /// Lines follow. With the host, the program and its process, which stand before each line in the journal; empty in a file.
    Lines(&'a str),
    /// The document is in the line; none if it is not whole.
    Json(Option<String>),
}

fn head(line: &str) -> Option<LogHead<'_>> {
    if let Some(before) = line.strip_suffix(HEAD) {
        // `I1129 21:15:25.645613    6915 server.go:256`
        let (before, source) = before.rsplit_once(' ')?;
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        source.strip_prefix(SOURCE).filter(|number| is_number(number))?;
        let (before, process) = before.rsplit_once(' ')?;
        let (before, time) = before.trim_end_matches(' ').rsplit_once(' ')?;
        let (before, day) = before.rsplit_once(' ').map_or(("", before), |(before, day)| (before, day));
        let is_time =
            time.len() == 15 && time.bytes().all(|byte| byte.is_ascii_digit() || b":.".contains(&byte));
        let is_day = day.strip_prefix('I').is_some_and(|day| day.len() == 4 && is_number(day));
        if !is_number(process) || !is_time || !is_day {
            return None;
        }
        return Some(LogHead::Lines(if before.is_empty() { "" } else { tag(before)? }));
    }
    let (before, after) = line.split_once('{')?;
    if !after.contains(JSON_HEAD) || !(before.is_empty() || tag(before.strip_suffix(' ')?).is_some()) {
        return None;
    }
    let json = serde_json::from_str::<serde_json::Value>(&line[before.len()..]).ok();
    let is_message = |json: &serde_json::Value| json["msg"] == MESSAGE;
    match json {
        Some(json) if !is_message(&json) => None,
        json => Some(LogHead::Json(json.and_then(|json| Some(json["config"].as_str()?.to_owned())))),
    }
}

/// Returns the host, the program and its process, `node k3s[1]:`, which end what the journal puts before a message.
fn tag(before: &str) -> Option<&str> {
    let program = before.strip_suffix("]:")?.rsplit_once(' ')?;
    let (name, process) = program.1.rsplit_once('[')?;
    let is_process = !process.is_empty() && process.bytes().all(|byte| byte.is_ascii_digit());
    if name.is_empty() || !is_process || before.contains('\t') {
        return None;
    }
    let host = program.0.rsplit_once(' ').map_or(0, |(time, _)| time.len() + 1);
    Some(&before[host..])
}

/// Joins the lines below the first until the last; each is behind the same tag, and has a tab before it.
fn text_below<'a>(lines: impl Iterator<Item = &'a str>, of: &str) -> Result<String, &'static str> {
    let mut text = String::new();
    for line in lines {
        let message = match of {
            "" => line,
            _ => {
                // The time before the tag goes on while the lines are logged.
                let (before, message) = line.split_once(": ").ok_or("a line in it is not from K3s")?;
                let is_same = tag(&line[..=before.len()]) == Some(of);
                if !is_same {
                    return Err("a line in it is not from K3s");
                }
                message
            }
        };
        if message == END {
            return Ok(text);
        }
        let row = message.strip_prefix('\t').ok_or("a line in it is another message")?;
        text.push_str(row);
        text.push('\n');
    }
    Err("its end is missing")
}
