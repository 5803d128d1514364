// SPDX-License-Identifier: Apache-2.0
//! Reports of nodes that nobody has, in the form that `verify --format json` writes, and a folder to merge them in.

use std::fs;
use std::path::Path;

use k3s_harden::verify::controls;
use serde_json::{Value, json};

use crate::support::{Output, binary, finish};

/// The report of a node on which every control passes but those that are named.
pub(crate) fn report(host: &str, benchmark: &str, others: &[(&str, &str)]) -> Value {
    let controls: Vec<Value> = controls(benchmark)
        .unwrap()
        .into_iter()
        .map(|control| {
            let status = others.iter().find(|(name, _)| *name == control.name).map_or("pass", |(_, status)| status);
            json!({
                "id": control.id.to_string(),
                "name": control.name,
                "title": control.title,
                "level": control.level,
                "automated": control.automated,
                "status": status,
                "expected": "set",
                "actual": if status == "fail" { "not set" } else { "seen" },
                "evidence": [{"text": "somewhere", "path": "/etc/rancher/k3s/config.yaml", "line": 3, "column": 1}],
                "remedy": "Set it.",
            })
        })
        .collect();
    json!({
        "format_version": "1.1",
        "host": host,
        "time": "2026-11-25T09:00:00Z",
        "tool_version": "0.2.0",
        "k3s_version": "v1.33.4+k3s1",
        "root": "/",
        "role": "server",
        "kubernetes": "1.33",
        "benchmark": benchmark,
        "started": true,
        "summary": {},
        "controls": controls,
        "findings": [],
    })
}

/// Returns the report with one more thing said.
pub(crate) fn with(mut report: Value, name: &str, value: impl Into<Value>) -> Value {
    report[name] = value.into();
    report
}

/// Returns the report with one more thing said of a control.
pub(crate) fn with_control(mut report: Value, control: &str, name: &str, value: impl Into<Value>) -> Value {
    let controls = report["controls"].as_array_mut().unwrap();
    controls.iter_mut().find(|one| one["name"] == control).unwrap()[name] = value.into();
    report
}

/// A folder with reports.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn file(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        fs::write(self.path().join(name), text).unwrap();
        self
    }

    pub(crate) fn report(self, name: &str, report: &Value) -> Self {
        self.file(name, report.to_string())
    }

    /// Runs `report merge` in the folder.
    pub(crate) fn merge(&self, words: &[&str]) -> Output {
        let mut command = binary();
        command.current_dir(self.path()).args(["report", "merge"]).args(words);
        finish(command, self.path())
    }

    /// Merges and returns the answer for programs.
    #[track_caller]
    pub(crate) fn merged(&self, words: &[&str]) -> Value {
        let done = self.merge(&[&["--format", "json"], words].concat());
        serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{}", done.stderr))
    }
}

/// A fleet with everything: two benchmarks, an older report, another machine, a broken file, waivers, a forecast.
pub(crate) fn fleet() -> Folder {
    let waiver = json!({"control": "pod-max-pids", "reason": "old", "who": "J. Doe", "until": "2999-12-31"});
    let web = |host: &str| report(host, "1.12", &[("audit-log-path", "fail"), ("pod-max-pids", "warn")]);
    Folder::new()
        .report("web-1.json", &with_control(web("web-1"), "audit-log-path", "actual", "off"))
        .report("web-2.json", &web("web-2"))
        .report("web-3.json", &with_control(web("web-3"), "pod-max-pids", "waiver", waiver))
        .report(
            "db-1.json",
            &with(report("db-1", "2.0", &[("event-rate-limit", "unknown")]), "started", false),
        )
        .report("db-1-old.json", &with(report("db-1", "2.0", &[]), "time", "2026-10-01T09:00:00Z"))
        .report("app-1.json", &with(report("app-1", "1.12", &[]), "machine_id_sha256", "a".repeat(64)))
        .report(
            "app-1-other.json",
            &with(
                with(
                    report("app-1", "1.12", &[("audit-log-path", "fail")]),
                    "machine_id_sha256",
                    "b".repeat(64),
                ),
                "time",
                "2026-11-24T09:00:00Z",
            ),
        )
        .file("cut.json", &report("cut", "1.12", &[]).to_string()[..1000])
}

/// The files of [`fleet`].
pub(crate) const FLEET: [&str; 8] = [
    "web-1.json",
    "web-2.json",
    "web-3.json",
    "db-1.json",
    "db-1-old.json",
    "app-1.json",
    "app-1-other.json",
    "cut.json",
];
