// SPDX-License-Identifier: Apache-2.0
//! Forecasts the files that K3s creates, and the lines that it logs, at its first start (data/first-start.yaml).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::effective::EffectiveConfig;
use super::kubelet;
use super::node_paths::DEFAULT_DATA_DIR;
use super::running::{self, RunningComponents};
use crate::Role;
use crate::embedded;
use crate::mode::FileMode;
use crate::node::RootedPath;
use crate::version::KubernetesMinor;

/// The components in the order in which K3s starts them.
const COMPONENTS: [&str; 6] = [
    "kube-apiserver",
    "kube-scheduler",
    "kube-controller-manager",
    "cloud-controller-manager",
    "kube-proxy",
    "kubelet",
];

/// A file or directory that K3s creates.
#[derive(Debug, Clone)]
pub struct ForecastFile {
    /// Its mode.
    pub mode: FileMode,
    /// Whether it is a directory.
    pub directory: bool,
    /// Its text, if it matters.
    pub text: String,
}

/// A row of data/first-start.yaml.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct FirstStartRow {
    /// The only role in which K3s creates it.
    role: Option<Role>,
    /// The first minor that creates it.
    from: Option<KubernetesMinor>,
    /// The component without which K3s does not create it.
    needs: Option<String>,
    #[serde(default)]
    directory: bool,
    mode: String,
    paths: Vec<String>,
    #[serde(default)]
    text: String,
}

/// The node whose first start is forecast.
#[derive(Debug, Clone, Copy)]
pub struct FirstStart<'a> {
    /// The role that K3s is started in.
    pub role: Role,
    /// The Kubernetes minor.
    pub minor: KubernetesMinor,
    /// K3s's data directory.
    pub data_dir: &'a RootedPath,
    /// What runs on it.
    pub running: &'a RunningComponents,
    /// The provider with which K3s encrypts Secrets.
    pub provider: &'a str,
}

/// Returns the files that K3s creates, by path.
#[must_use]
pub fn forecast_files(node: FirstStart<'_>) -> BTreeMap<String, ForecastFile> {
    static ROWS: LazyLock<Vec<FirstStartRow>> = LazyLock::new(|| embedded::table("first-start"));
    let mut files = BTreeMap::new();
    let absolute = |path: &str| match path.strip_prefix('/') {
        Some(_) => path.to_owned(),
        None => node.data_dir.join(path).to_string(),
    };
    let rows = ROWS.iter().filter(|row| {
        row.role.is_none_or(|role| role == node.role)
            && node.minor.is_within(row.from, None)
            && row.needs.as_ref().is_none_or(|component| node.running.has(component))
    });
    for row in rows {
        // A test reads every mode.
        let Ok(mode) = row.mode.parse::<FileMode>() else { continue };
        let text =
            row.text.replace(DEFAULT_DATA_DIR, node.data_dir.as_str()).replace("{provider}", node.provider);
        let file = ForecastFile { mode, directory: row.directory, text };
        files.extend(row.paths.iter().map(|path| (absolute(path), file.clone())));
    }
    let drop_in = kubelet::default_config(node.minor, node.data_dir);
    if let Some(text) = drop_in.filter(|_| node.running.has("kubelet")) {
        let path = absolute(&format!("{}/{}", kubelet::DROP_INS, kubelet::DEFAULTS));
        files.insert(path, ForecastFile { mode: FileMode::PRIVATE_FILE, directory: false, text });
    }
    files
}

/// Returns the lines that K3s logs when it starts its components: each component with its flags, in the order of K3s. The
/// time of the lines is Go's zero time.
#[must_use]
pub fn forecast_journal(effective: &EffectiveConfig) -> String {
    let line = |message: &str| {
        let message = message.replace('\\', "\\\\").replace('"', "\\\"");
        format!("time=\"0001-01-01T00:00:00Z\" level=info msg=\"{message}\"\n")
    };
    let started = COMPONENTS.iter().filter_map(|name| Some((name, effective.components.get(*name)?)));
    let mut journal: String =
        started.map(|(name, flags)| line(&format!("Running {name} {}", flags.join(" ")))).collect();
    // K3s logs this line when it creates the first member (pkg/cluster/managed.go).
    if effective.running.has(running::ETCD) {
        journal.insert_str(0, &line("Managed etcd cluster initializing"));
    }
    journal
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::k3s::Datastore;

    #[test]
    fn every_mode_is_valid() {
        let rows: Vec<FirstStartRow> = embedded::table("first-start");
        assert!(rows.iter().all(|row| row.mode.parse::<FileMode>().is_ok()));
    }

    #[test]
    fn a_message_is_quoted_as_logrus_quotes_it() {
        let mut effective = EffectiveConfig {
            files: Vec::new(),
            argv: Vec::new(),
            warnings: Vec::new(),
            rest: Vec::new(),
            refusals: Vec::new(),
            skipped: Vec::new(),
            dangling: None,
            values: BTreeMap::new(),
            running: RunningComponents::of_role(Role::Server, Datastore::Sqlite),
            components: BTreeMap::new(),
        };
        let flags = vec!["--a=\"b\\".to_owned(), "--c=1".to_owned()];
        effective.components.insert("kubelet".to_owned(), flags);
        let line = "time=\"0001-01-01T00:00:00Z\" level=info msg=\"Running kubelet --a=\\\"b\\\\ --c=1\"\n";
        assert_eq!(forecast_journal(&effective), line);
    }
}
