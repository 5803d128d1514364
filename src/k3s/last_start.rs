// SPDX-License-Identifier: Apache-2.0
//! The last start of K3s on a node: when it was, and with which version.

use super::log::K3sLog;
use super::log_lines::lines_with;
use super::log_time::seconds;
use super::node_paths::NodePaths;
use super::{installed, traces};
use crate::node::{Root, RootedPath};
use crate::version::{K3sVersion, KubernetesMinor};

/// When K3s last started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastStart {
    /// The time, in seconds since 1970.
    pub at: i64,
    /// What says so.
    pub from: String,
}

/// A minor with which K3s has started on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartedWith {
    /// The minor.
    pub minor: KubernetesMinor,
    /// What says so.
    pub why: String,
}

impl LastStart {
    /// Finds the last start: in the log, else by the newest of the files that K3s writes at every start. None if nothing tells.
    #[must_use]
    pub fn find(root: &Root, data_dir: &RootedPath, log: &K3sLog) -> Option<Self> {
        let files = Self::by_files(root, data_dir);
        // A log that was cut, or that the journal no longer has, may lack the last start.
        files.into_iter().chain(log.last_start()).max_by_key(|start| start.at)
    }

    /// Finds it by the files alone.
    #[must_use]
    pub fn by_files(root: &Root, data_dir: &RootedPath) -> Option<Self> {
        let paths = NodePaths::get().written_at_start.iter().map(|path| data_dir.join(path));
        let times = paths.filter_map(|path| Some((root.entry(&path).ok().flatten()?.modified, path)));
        let (at, path) = times.max_by_key(|(at, _)| *at)?;
        Some(Self { at, from: format!("the time of {path}, which K3s writes when it starts") })
    }
}

impl StartedWith {
    /// Finds the minor of the last start: that which the log names, else that of the installed binary, if K3s has started since
    /// it is there. None if nothing tells. Without `with_binary` the binary is not searched, which takes a while.
    #[must_use]
    pub fn find(root: &Root, data_dir: &RootedPath, log: &K3sLog, with_binary: bool) -> Option<Self> {
        let version = |text: &str| text.parse::<K3sVersion>().ok();
        if let Some((text, line)) = log.version() {
            let from = log.from.clone().unwrap_or_default();
            let minor = version(text)?.minor();
            return Some(Self { minor, why: format!("its log says so: {from}:{line}: Starting k3s {text}") });
        }
        with_binary.then_some(())?;
        traces::Traces::observe(root, data_dir).started?;
        let start = LastStart::by_files(root, data_dir)?;
        let (version, path) = installed::version(root).ok().flatten()?;
        let is_since = root.entry(&path).ok().flatten()?.modified <= start.at;
        is_since.then(|| Self {
            minor: version.minor(),
            why: format!("{path} is {version}, and K3s has started since it is there ({})", start.from),
        })
    }
}

/// What stands before a message of K3s.
const MESSAGE: &str = "msg=\"";
/// The beginning of the message with which K3s starts, and of those with which it starts its components.
const STARTING: &str = "msg=\"Starting k3s ";
const RUNNING: &str = "msg=\"Running kube";

impl K3sLog {
    /// Returns the version of the last start, with the number of its line.
    #[must_use]
    pub fn version(&self) -> Option<(&str, usize)> {
        let found = lines_with(&self.text, STARTING).filter_map(|(index, line)| {
            let (_, message) = line.split_once(STARTING)?;
            Some((message.split([' ', '"']).next()?, index + 1))
        });
        found.last()
    }

    /// Returns the time of the last line that K3s logs at a start.
    #[must_use]
    pub fn last_start(&self) -> Option<LastStart> {
        let last = |mark| {
            let times = lines_with(&self.text, mark).filter_map(|(index, line)| {
                // A later message in the line is a text of somebody else.
                let (before, _) = line.split_once(mark).filter(|(before, _)| !before.contains(MESSAGE))?;
                let (_, time) = before.split_once("time=\"")?;
                Some((index + 1, seconds(time.split('"').next()?)?))
            });
            times.last()
        };
        let (line, at) = last(STARTING).max(last(RUNNING))?;
        Some(LastStart { at, from: format!("{}:{line}", self.from.as_deref().unwrap_or("the log")) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "n k3s[1]: time=\"2026-11-25T08:00:00Z\" level=info msg=\"Starting k3s v1.33.4+k3s1 (abc)\"\n\
                       n k3s[1]: time=\"2026-11-25T08:00:01Z\" level=info msg=\"Running kubelet --a=1\"\n\
                       n k3s[2]: time=\"2026-11-25T09:00:00Z\" level=info msg=\"Starting k3s v1.34.1+k3s1 (def)\"\n";

    #[test]
    fn the_log_names_the_last_start() {
        let log = K3sLog::new(LOG, "k3s.log");
        assert_eq!(log.version(), Some(("v1.34.1+k3s1", 3)));
        let start = log.last_start().unwrap();
        assert_eq!((start.at, start.from.as_str()), (1_795_597_200, "k3s.log:3"));
        assert_eq!(K3sLog::default().last_start(), None);
    }
}
