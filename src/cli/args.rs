// SPDX-License-Identifier: Apache-2.0
//! The command line. Every flag is also an environment variable.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueEnum};
use tracing::warn;

use super::generate_arguments::GenerateArguments;
use super::report_arguments::ReportArguments;
use super::settings_arguments::SettingsArguments;
use super::usage::{no_report, usage_error};
use crate::Role;
use crate::apply::ApplyOptions;
use crate::document::OnConflict;
use crate::error::{Result, exit};
use crate::mode::Owner;
use crate::node::Signals;
use crate::plan::OnForeign;
use crate::render::RenderFormat;
use crate::scanner::Scanner;
use crate::verify;

/// The variable that holds settings, several separated by semicolons or line breaks.
pub(super) const SET_VARIABLE: &str = "K3S_HARDEN_SET";
const PREFIX: &str = "K3S_HARDEN_";

/// Brings a node to the CIS Kubernetes Benchmark for K3s before K3s first starts.
#[derive(Debug, Parser)]
#[command(
    name = "k3s-harden",
    version,
    arg_required_else_help = true,
    after_help = after_help()
)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: GlobalArguments,
    #[command(subcommand)]
    pub(super) verb: CliVerb,
}

/// Returns the end of the help: what exit codes mean, and where more is told.
fn after_help() -> String {
    let meanings = exit::meanings().into_iter().map(|row| format!("{} {}", row.code, row.short));
    let codes = meanings.collect::<Vec<_>>().join(", ");
    format!("Exit codes: {codes}.\nManual pages: k3s-harden generate man [VERB] | man -l -")
}

impl Cli {
    /// Checks what clap cannot: flags that exclude one another by their values.
    pub(super) fn check(&self) -> Result<()> {
        let is_report = self.global.format.is_report();
        match &self.verb {
            CliVerb::Verify(arguments) => {
                let has_baseline = arguments.baseline.as_ref().is_some_and(|file| !file.is_empty());
                if is_report && (arguments.scanner.is_some() || has_baseline) {
                    return Err(usage_error("--as and --baseline are told as text or json")
                        .hint("write a report by a run of its own"));
                }
            }
            CliVerb::Report(_) if matches!(self.global.format, OutputFormat::Html) => {}
            CliVerb::Report(_) if is_report => {
                return Err(usage_error("reports of many nodes are merged as text, json or html")
                    .hint("take one of these three: --format html"));
            }
            _ if is_report => {
                return Err(no_report());
            }
            CliVerb::Generate(_) if self.global.format != OutputFormat::Text => {
                return Err(usage_error("generate writes documents, each in its own form")
                    .hint("leave --format (K3S_HARDEN_FORMAT) out"));
            }
            CliVerb::Render(arguments)
                if arguments.render_format.is_directory() && arguments.out.is_none() =>
            {
                return Err(usage_error("a tree of files needs a place").hint("name a directory: --out DIR"));
            }
            CliVerb::Render(arguments)
                if arguments.binary.is_some() && !arguments.render_format.runs_program() =>
            {
                return Err(usage_error("--binary is for --as systemd, systemd-gate and systemd-timer")
                    .hint("leave it out: the other forms run no k3s-harden on the node"));
            }
            _ => {}
        }
        Ok(())
    }
}

/// Flags that every verb takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(super) struct GlobalArguments {
    /// The node's root directory; an image's, when it is not /
    #[arg(long, global = true, value_name = "DIR", default_value = "/", env = "K3S_HARDEN_ROOT")]
    pub(super) root: PathBuf,
    /// A profile: cis, a built-in name, or the path of a file; repeat it to lay one over the other
    #[arg(long, global = true, value_name = "PROFILE", value_delimiter = ',', env = "K3S_HARDEN_PROFILE")]
    pub(super) profile: Vec<String>,
    /// The K3s version (v1.33.4+k3s1 or 1.33), or auto: the installed binary's, else INSTALL_K3S_VERSION
    #[arg(long, global = true, value_name = "VERSION", env = "K3S_HARDEN_K3S_VERSION")]
    pub(super) k3s_version: Option<String>,
    /// For a node of a newer minor than this version knows: plan, apply and render take the files of the newest known minor, which is named here
    #[arg(long, global = true, value_name = "MINOR", env = "K3S_HARDEN_ASSUME_MINOR")]
    pub(super) assume_minor: Option<String>,
    /// The node's role; by default what the node looks like, else server
    #[arg(long, global = true, env = "K3S_HARDEN_ROLE")]
    pub(super) role: Option<Role>,
    /// A setting; K3S_HARDEN_SET holds several, separated by semicolons
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
    /// A file with settings; by default /etc/k3s-harden/settings.yaml of the node
    #[arg(long, global = true, value_name = "FILE", env = "K3S_HARDEN_SETTINGS")]
    pub(super) settings: Option<String>,
    /// Only what serves this control (1.2.16, a section such as 5.2, or a name)
    #[arg(long, global = true, value_name = "CONTROL", value_delimiter = ',', env = "K3S_HARDEN_ONLY")]
    pub(super) only: Vec<String>,
    /// Nothing that serves this control; later runs remember it, and none takes it back
    #[arg(long, global = true, value_name = "CONTROL", value_delimiter = ',', env = "K3S_HARDEN_SKIP")]
    pub(super) skip: Vec<String>,
    /// Owner of everything that is written, for image builds without root
    #[arg(long, global = true, value_name = "UID:GID", env = "K3S_HARDEN_OWNER")]
    pub(super) owner: Option<String>,
    /// K3s' data directory, where K3s' own configuration does not name it
    #[arg(long, global = true, value_name = "DIR", env = "K3S_HARDEN_DATA_DIR")]
    pub(super) data_dir: Option<String>,
    /// The node's name in reports and answers; by default its hostname
    #[arg(long, global = true, value_name = "NAME", env = "K3S_HARDEN_NODE")]
    pub(super) node: Option<String>,
    /// Output for people or for programs; the forms after json are reports, which `verify` writes, and html `report merge` too
    #[arg(long, global = true, value_enum, default_value = "text", env = "K3S_HARDEN_FORMAT")]
    pub(super) format: OutputFormat,
    /// Whether to colour the output
    #[arg(long, global = true, value_enum, default_value = "auto", env = "K3S_HARDEN_COLOR")]
    pub(super) color: Colour,
    /// Log more (twice: everything); with --version: what the binary is built from, and what it knows
    #[arg(short, long, global = true, action = ArgAction::Count, env = "K3S_HARDEN_VERBOSE")]
    pub(super) verbose: u8,
    /// Log errors only
    #[arg(short, long, global = true, conflicts_with = "verbose", value_parser = FalseyValueParser::new(), env = "K3S_HARDEN_QUIET")]
    pub(super) quiet: bool,
    /// Log lines for people or for programs
    #[arg(long, global = true, value_enum, default_value = "text", env = "K3S_HARDEN_LOG_FORMAT")]
    pub(super) log_format: LogFormat,
}

/// The output formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OutputFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// As kube-bench's JSON.
    KubeBench,
    /// JUnit XML, for CI servers.
    Junit,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// A page for auditors, which loads nothing.
    Html,
}

impl OutputFormat {
    /// Tells whether it is a report, which only `verify` writes.
    pub(super) fn is_report(self) -> bool {
        !matches!(self, Self::Text | Self::Json)
    }
}

/// The formats of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    Text,
    Json,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Colour {
    Auto,
    Always,
    Never,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(super) enum CliVerb {
    /// Show every change as a unified diff, with the controls that it serves
    #[command(alias = "diff")]
    Plan(PlanArguments),
    /// Make the node so; a second run changes nothing
    Apply(ApplyArguments),
    /// Would this K3s start, now and after a reboot?
    Preflight(PreflightArguments),
    /// Is it hardened? A verdict for every control of the benchmark, with evidence and remedy
    Verify(VerifyArguments),
    /// What is this control or setting, why, and who sets it here?
    Explain(ExplainArguments),
    /// Undo a run: back to the bytes, modes and owners before it
    Rollback(RollbackArguments),
    /// List the runs that there were
    History,
    /// Back to the state before the first run, without a trace of k3s-harden
    Uninstall(UninstallArguments),
    /// Write the same settings for other hands
    Render(RenderArguments),
    /// Look at profiles
    Profile(ProfileArguments),
    /// Show K3s' configuration as K3s will read it, and where each value comes from
    EffectiveConfig(EffectiveConfigArguments),
    /// Show the settings in force, or write a settings file to begin with
    Settings(SettingsArguments),
    /// Look at the reports of many nodes
    Report(ReportArguments),
    /// Write manual pages, completions, JSON schemas and reference pages
    Generate(GenerateArguments),
}

#[derive(Debug, Args)]
pub(super) struct PlanArguments {
    #[command(flatten)]
    pub(super) planning: PlanningArguments,
    /// Leave the running kernel's parameters out
    #[arg(long, value_parser = FalseyValueParser::new(), env = "K3S_HARDEN_NO_LIVE_SYSCTL")]
    pub(super) no_live_sysctl: bool,
    /// Save the plan for `apply FILE`
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct ApplyArguments {
    /// A plan that `plan --out` has saved: exactly that is done, or nothing
    #[arg(value_name = "PLAN")]
    pub(super) plan: Option<String>,
    #[command(flatten)]
    pub(super) planning: PlanningArguments,
    #[command(flatten)]
    pub(super) locking: LockArguments,
    /// Apply it also where K3s would not start on the result
    #[arg(long, value_parser = FalseyValueParser::new(), env = "K3S_HARDEN_NO_PREFLIGHT")]
    pub(super) no_preflight: bool,
    /// Keep no history: nothing can be undone later, and nothing but our files is in an image
    #[arg(long, value_parser = FalseyValueParser::new(), env = "K3S_HARDEN_NO_HISTORY")]
    pub(super) no_history: bool,
    /// Do not set the running kernel's parameters
    #[arg(long, value_parser = FalseyValueParser::new(), env = "K3S_HARDEN_NO_LIVE_SYSCTL")]
    pub(super) no_live_sysctl: bool,
}

#[derive(Debug, Args)]
pub(super) struct PreflightArguments {
    /// What ends with a code other than 0
    #[arg(long, value_enum, default_value = "stops", env = "K3S_HARDEN_PREFLIGHT_FAIL_ON")]
    pub(super) fail_on: FailOnArgument,
    /// The configuration of the server that this one joins (of effective-config --format json): what K3s would refuse
    #[arg(long, value_name = "FILE", env = "K3S_HARDEN_SERVER_CONFIG")]
    pub(super) server_config: Option<String>,
}

/// What makes `preflight` exit with another code than 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOnArgument {
    /// K3s would not start: 2.
    Stops,
    /// It would not: 2; it cannot be told: 3.
    Unknown,
}

#[derive(Debug, Args)]
pub(super) struct VerifyArguments {
    /// Judge by another benchmark than the profile's, such as 1.11
    #[arg(long, value_name = "VERSION", env = "K3S_HARDEN_BENCHMARK")]
    pub(super) benchmark: Option<String>,
    /// A file with K3s' log lines, instead of the journal
    #[arg(long, value_name = "FILE", env = "K3S_HARDEN_JOURNAL")]
    pub(super) journal: Option<String>,
    /// Ask the running cluster too, by `k3s kubectl`: what section 5 is about. Reading only, and no Secrets
    #[arg(long, value_parser = FalseyValueParser::new(), env = "K3S_HARDEN_LIVE")]
    pub(super) live: bool,
    /// Which verdicts make it exit with 2; with unknown, 3 where only unknown ones do
    #[arg(long, value_enum, default_value = "fail", env = "K3S_HARDEN_FAIL_ON")]
    pub(super) fail_on: verify::FailOn,
    /// Say what this scanner will print of the node, its known defects included
    #[arg(
        long = "as",
        value_enum,
        value_name = "SCANNER",
        conflicts_with = "baseline",
        env = "K3S_HARDEN_AS"
    )]
    pub(super) scanner: Option<Scanner>,
    /// What has changed since this report (of --format json); exit with 2 only where something is worse
    #[arg(long, value_name = "FILE", conflicts_with = "fail_on", env = "K3S_HARDEN_BASELINE")]
    pub(super) baseline: Option<String>,
    /// Only how many controls there are of each status
    #[arg(long, value_parser = FalseyValueParser::new(), env = "K3S_HARDEN_SUMMARY")]
    pub(super) summary: bool,
    /// Only what is to be done
    #[arg(long, value_parser = FalseyValueParser::new(), env = "K3S_HARDEN_ONLY_FINDINGS")]
    pub(super) only_findings: bool,
}

#[derive(Debug, Args)]
pub(super) struct ExplainArguments {
    /// A control's number (1.2.16) or name (audit-log-path), or a setting (audit_log_maxage)
    pub(super) topic: String,
    /// Read the number in another benchmark than the profile's, such as 1.11
    #[arg(long, value_name = "VERSION", env = "K3S_HARDEN_BENCHMARK")]
    pub(super) benchmark: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct RollbackArguments {
    /// The number of a run, as `history` shows it; by default the newest apply that is not undone
    pub(super) id: Option<u32>,
    #[command(flatten)]
    pub(super) undoing: UndoArguments,
}

#[derive(Debug, Args)]
pub(super) struct UninstallArguments {
    #[command(flatten)]
    pub(super) undoing: UndoArguments,
}

/// Flags of the verbs that undo.
#[derive(Debug, Args)]
pub(super) struct UndoArguments {
    /// Also where somebody has changed a file since, or where K3s could no longer read its Secrets
    #[arg(long, value_parser = FalseyValueParser::new(), env = "K3S_HARDEN_FORCE")]
    pub(super) force: bool,
    /// Also where a part of the history is damaged: the rest is restored, and what is not is named (exit code 4)
    #[arg(long, value_parser = FalseyValueParser::new(), env = "K3S_HARDEN_SKIP_DAMAGED")]
    pub(super) skip_damaged: bool,
    #[command(flatten)]
    pub(super) locking: LockArguments,
}

/// Flags of the verbs that change something.
#[derive(Debug, Args)]
pub(super) struct LockArguments {
    /// How long to wait for another run, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 0, env = "K3S_HARDEN_LOCK_TIMEOUT")]
    pub(super) lock_timeout: u32,
}

impl LockArguments {
    /// Returns the options of a run; from here on signals no longer end the process by themselves.
    pub(super) fn options(&self, owner: Owner) -> Result<ApplyOptions> {
        let lock_timeout = Duration::from_secs(self.lock_timeout.into());
        Ok(ApplyOptions { owner, lock_timeout, signals: Signals::watch()?, skip_damaged: false })
    }
}

/// Flags of the verbs that make a plan.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct PlanningArguments {
    /// Exit with 2 where there are changes
    #[arg(long, value_parser = FalseyValueParser::new(), env = "K3S_HARDEN_DETAILED_EXITCODE")]
    pub(super) detailed_exitcode: bool,
    /// What happens to a file at one of our paths that is not ours [default: merge]
    #[arg(long, value_enum, env = "K3S_HARDEN_ON_FOREIGN")]
    pub(super) on_foreign: Option<OnForeign>,
    /// Who wins where K3s' configuration sets something else that does not satisfy the control [default: ours]
    #[arg(long, value_enum, env = "K3S_HARDEN_ON_CONFLICT")]
    pub(super) on_conflict: Option<OnConflict>,
    /// Only the modes and owners of files that K3s made when it started, such as certificates
    #[arg(long, value_parser = FalseyValueParser::new(), env = "K3S_HARDEN_AFTER_START")]
    pub(super) after_start: bool,
    /// Go back to an older minor also where K3s has started with the newer one
    #[arg(long, value_parser = FalseyValueParser::new(), env = "K3S_HARDEN_ALLOW_DOWNGRADE")]
    pub(super) allow_downgrade: bool,
    /// Turn the encryption of Secrets on also where K3s has started without it: the steps say what follows
    #[arg(long, value_parser = FalseyValueParser::new(), env = "K3S_HARDEN_LATE_ENCRYPTION")]
    pub(super) late_encryption: bool,
}

#[derive(Debug, Args)]
pub(super) struct RenderArguments {
    /// The form
    #[arg(long = "as", value_enum, value_name = "FORMAT")]
    pub(super) render_format: RenderFormat,
    /// Where to write it: a directory for several files, a file for one; by default stdout
    #[arg(long, value_name = "PATH")]
    pub(super) out: Option<PathBuf>,
    /// Where k3s-harden is on the node, for systemd, systemd-gate and systemd-timer [default: where the running program is]
    #[arg(long, value_name = "PATH")]
    pub(super) binary: Option<PathBuf>,
    /// Leave the running kernel alone: its parameters come from their file at the next boot
    #[arg(long, value_parser = FalseyValueParser::new(), env = "K3S_HARDEN_NO_LIVE_SYSCTL")]
    pub(super) no_live_sysctl: bool,
}

#[derive(Debug, Args)]
pub(super) struct EffectiveConfigArguments {
    /// Show tokens, passwords and keys
    #[arg(long)]
    pub(super) show_secrets: bool,
    /// Words of K3s' command line, as if typed behind the role
    #[arg(last = true, value_name = "ARGS")]
    pub(super) words: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct ProfileArguments {
    #[command(subcommand)]
    pub(super) verb: ProfileVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum ProfileVerb {
    /// List the built-in profiles
    List,
    /// Show a profile resolved, each value with where it came from
    Show {
        /// The profile, or several to lay over one another
        #[arg(value_name = "PROFILE", required = true)]
        names: Vec<String>,
    },
    /// Show what differs between two profiles
    Diff {
        /// The first profile; cis@1.28 names the minor for which it is resolved
        a: String,
        /// The second profile
        b: String,
    },
    /// Check profiles of your own
    Validate {
        /// Their files
        #[arg(value_name = "FILE", required = true)]
        files: Vec<String>,
    },
}

/// Warns of unknown variables with our prefix: a misspelt one is a flag that is silently not set.
pub(super) fn warn_of_unknown_variables() {
    let ours =
        |name: &std::ffi::OsString| name.to_str().filter(|name| name.starts_with(PREFIX)).map(str::to_owned);
    let set: Vec<String> = std::env::vars_os().filter_map(|(name, _)| ours(&name)).collect();
    if set.is_empty() {
        return;
    }
    let mut known = vec![SET_VARIABLE.to_owned()];
    add_variables(&Cli::command(), &mut known);
    for name in set.iter().filter(|name| !known.contains(name)) {
        warn!("the environment variable {name} means nothing to k3s-harden");
    }
}

/// Adds the variables of a command and of the verbs below it.
fn add_variables(command: &clap::Command, known: &mut Vec<String>) {
    let variables =
        command.get_arguments().filter_map(|argument| argument.get_env()?.to_str().map(str::to_owned));
    known.extend(variables);
    command.get_subcommands().for_each(|verb| add_variables(verb, known));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
