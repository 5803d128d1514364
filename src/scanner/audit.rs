// SPDX-License-Identifier: Apache-2.0
//! The audits: the commands that the scanners run, as data. run.rs runs them.

use serde::Deserialize;

/// A command that a scanner runs.
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

/// Prints the line that K3s logs when it starts a component.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct AuditLine {
    /// The component.
    pub(super) line: String,
    /// Which of its lines.
    #[serde(default)]
    pub(super) which: LineChoice,
    /// The only unit whose journal is read.
    pub(super) unit: Option<Unit>,
    /// The text that the line has to contain.
    pub(super) grep: Option<String>,
    /// The only part of the line that is printed.
    pub(super) only: Option<String>,
    /// The text that the line must not contain.
    pub(super) without: Option<String>,
}

/// Which line of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum LineChoice {
    /// The last line.
    #[default]
    Last,
    /// The first line.
    First,
    /// The last two lines that `grep -A1` prints: lines of the component, each with the line after it.
    LastAndNext,
}

/// A systemd unit of K3s. The unit of an agent has another name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Unit {
    /// The unit of a server.
    K3s,
}

/// Runs an audit if the journal contains a text; otherwise prints a text of the scanner.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct AuditCondition {
    pub(super) when: String,
    pub(super) unit: Option<Unit>,
    pub(super) then: Box<Audit>,
    /// The text of the scanner.
    #[serde(rename = "else")]
    pub(super) otherwise: String,
}

/// Prints modes, owners or names of files.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Stat {
    pub(super) stat: Paths,
    pub(super) print: PrintFormat,
    #[serde(default)]
    pub(super) missing: OnMissingFile,
}

/// One path or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Paths {
    One(String),
    Several(Vec<String>),
}

/// Prints modes, owners or names of the files below a directory.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Find {
    pub(super) find: String,
    /// Whether directories are left out.
    #[serde(default)]
    pub(super) files: bool,
    /// The pattern of the names that are included.
    pub(super) name: Option<String>,
    /// The pattern of the names that are left out.
    pub(super) except: Option<String>,
    pub(super) print: PrintFormat,
    /// The result if no file is found.
    #[serde(default)]
    pub(super) empty: OnMissingFile,
}

/// Prints a file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Cat {
    pub(super) cat: String,
    #[serde(default)]
    pub(super) missing: OnMissingFile,
}

/// Prints lines of a file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Grep {
    pub(super) file: String,
    /// Only a line that contains this text, and the `lines` after it, are searched.
    pub(super) behind: Option<String>,
    /// How many lines after it.
    #[serde(default)]
    pub(super) lines: usize,
    /// The texts of which the line has to contain one; `^` stands for the beginning of the line.
    pub(super) grep: Vec<String>,
    /// The text of the scanner that is printed if there is no such line.
    #[serde(rename = "else")]
    pub(super) otherwise: Option<String>,
}

/// Prints the first provider in the encryption configuration that a component's line names.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct EncryptionProvider {
    pub(super) encryption_provider_of: String,
}

/// Prints the command lines of running programs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Processes {
    pub(super) processes: String,
}

/// What is printed of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum PrintFormat {
    /// `permissions=600`
    Mode,
    /// `600`
    BareMode,
    /// `root:root`
    Owner,
    /// The path.
    Name,
}

/// The result of a command if the file does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OnMissingFile {
    /// The command fails.
    #[default]
    Fails,
    /// The command prints nothing.
    Quiet,
}
