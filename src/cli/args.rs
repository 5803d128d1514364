// SPDX-License-Identifier: Apache-2.0
//! The command line. Every flag is also an environment variable.

use std::path::PathBuf;

use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueEnum};
use tracing::warn;

use super::generate_arguments::GenerateArguments;
use super::report_arguments::ReportArguments;
use super::settings_arguments::SettingsArguments;
use super::usage::{no_report, usage_error};
use crate::Role;
use crate::document::OnConflict;
use crate::error::Result;
use crate::nearest::nearest;
use crate::plan::OnForeign;
use crate::render::RenderFormat;
use crate::scanner::Scanner;
use crate::verify;

/// The variable that holds settings, several separated by semicolons or line breaks.
pub(super) const SET_VARIABLE: &str = "K3S_HARDEN_SET";
const PREFIX: &str = "K3S_HARDEN_";
/// The variable that says which node a run is about, without the prefix.
const ROOT: &str = "ROOT";
/// The headings of the flags that every verb accepts.
const NODE: &str = "Node";
const PROFILE: &str = "Profile and settings";
const OUTPUT: &str = "Output";

/// Hardens a K3s node to the CIS Kubernetes Benchmark before K3s first starts
#[derive(Debug, Parser)]
#[command(name = "k3s-harden", version, arg_required_else_help = true, max_term_width = 100)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: GlobalArguments,
    #[command(subcommand)]
    pub(super) verb: CliVerb,
}

impl Cli {
    /// Checks what clap cannot: flags that exclude one another by their values.
    pub(super) fn check(&self) -> Result<()> {
        let is_report = self.global.format.is_report();
        match &self.verb {
            CliVerb::Verify(arguments) => {
                let has_baseline = arguments.baseline.as_ref().is_some_and(|file| !file.is_empty());
                if is_report && (arguments.scanner.is_some() || has_baseline) {
                    return Err(usage_error("--as and --baseline support text and json only")
                        .hint("run verify again for the report"));
                }
            }
            CliVerb::Report(_) if matches!(self.global.format, OutputFormat::Html) => {}
            CliVerb::Report(_) if is_report => {
                return Err(usage_error("report merge supports text, json and html")
                    .hint("use --format text, json or html"));
            }
            _ if is_report => {
                return Err(no_report());
            }
            CliVerb::Generate(_) if self.global.format != OutputFormat::Text => {
                return Err(usage_error("generate does not support --format")
                    .hint("remove --format, or unset K3S_HARDEN_FORMAT"));
            }
            CliVerb::Render(arguments)
                if arguments.render_format.is_directory() && arguments.out.is_none() =>
            {
                return Err(usage_error("--as dir requires --out DIR").hint("add --out DIR"));
            }
            CliVerb::Render(arguments)
                if arguments.binary.is_some() && !arguments.render_format.runs_program() =>
            {
                return Err(usage_error("--binary is for --as systemd, systemd-gate and systemd-timer")
                    .hint("remove it: the other formats do not run k3s-harden on the node"));
            }
            _ => {}
        }
        Ok(())
    }
}

/// Flags that every verb accepts. The help of a verb shows those that it uses (`help::UNUSED`).
#[derive(Debug, Clone, Args)]
pub(super) struct GlobalArguments {
    /// Root filesystem to work on, such as a mounted image
    #[arg(long, global = true, help_heading = NODE, value_name = "DIR", default_value = "/", env = "K3S_HARDEN_ROOT")]
    pub(super) root: PathBuf,
    /// K3s version, such as v1.33.4+k3s1 or 1.33
    ///
    /// Default: the version of the installed K3s, then that of an earlier run, then INSTALL_K3S_VERSION. `auto` ignores the
    /// version of earlier runs.
    #[arg(long, global = true, help_heading = NODE, value_name = "VERSION", env = "K3S_HARDEN_K3S_VERSION")]
    pub(super) k3s_version: Option<String>,
    /// Role of the node [default: detected, else server]
    #[arg(long, global = true, help_heading = NODE, value_enum, value_name = "server|agent", env = "K3S_HARDEN_ROLE")]
    pub(super) role: Option<Role>,
    /// Data directory of K3s [default: from the K3s configuration]
    #[arg(long, global = true, help_heading = NODE, value_name = "DIR", env = "K3S_HARDEN_DATA_DIR")]
    pub(super) data_dir: Option<String>,
    /// Profile name or file (repeatable; later wins) [default: cis]
    ///
    /// `k3s-harden profile list` lists the built-in profiles. Separate several by commas, or repeat the flag.
    #[arg(long, global = true, help_heading = PROFILE, value_name = "PROFILE", value_delimiter = ',', env = "K3S_HARDEN_PROFILE")]
    pub(super) profile: Vec<String>,
    /// Override a setting, such as audit_log_maxage=90 (repeatable)
    ///
    /// Later runs remember it. `NAME=null` resets the setting to the profile's value. K3S_HARDEN_SET holds several settings,
    /// separated by semicolons.
    #[arg(long, global = true, help_heading = PROFILE, value_name = "NAME=VALUE")]
    pub(super) set: Vec<String>,
    /// File with settings [default: /etc/k3s-harden/settings.yaml]
    #[arg(long, global = true, help_heading = PROFILE, value_name = "FILE", env = "K3S_HARDEN_SETTINGS")]
    pub(super) settings: Option<String>,
    /// Apply only this control: 1.2.16, 5.2 or audit-log-path (repeatable)
    #[arg(long, global = true, help_heading = PROFILE, value_name = "CONTROL", value_delimiter = ',', env = "K3S_HARDEN_ONLY")]
    pub(super) only: Vec<String>,
    /// Leave out this control; later runs remember it (repeatable)
    ///
    /// `none` ends the skipping of earlier runs. Files that an earlier run wrote for the control stay.
    #[arg(long, global = true, help_heading = PROFILE, value_name = "CONTROL", value_delimiter = ',', env = "K3S_HARDEN_SKIP")]
    pub(super) skip: Vec<String>,
    /// Treat a minor newer than the newest supported one as this one
    ///
    /// `plan`, `apply` and `render` refuse a newer minor without this flag. Its value is the newest supported minor.
    #[arg(long, global = true, help_heading = PROFILE, value_name = "MINOR", env = "K3S_HARDEN_ASSUME_MINOR")]
    pub(super) assume_minor: Option<String>,
    /// Owner of all written files, for image builds without root
    #[arg(long, global = true, help_heading = NODE, value_name = "UID:GID", env = "K3S_HARDEN_OWNER")]
    pub(super) owner: Option<String>,
    /// Name of the node in reports and JSON [default: its hostname]
    #[arg(long, global = true, help_heading = OUTPUT, value_name = "NAME", env = "K3S_HARDEN_NODE")]
    pub(super) node: Option<String>,
    /// text or json; reports: kube-bench, junit, sarif or html
    ///
    /// Only `verify` writes reports. `report merge` supports text, json and html.
    #[arg(long, global = true, help_heading = OUTPUT, value_enum, value_name = "FORMAT", default_value = "text", env = "K3S_HARDEN_FORMAT")]
    pub(super) format: OutputFormat,
    /// Colour the output
    ///
    /// `auto` colours a terminal, unless NO_COLOR is set.
    #[arg(long, global = true, help_heading = OUTPUT, hide_short_help = true, value_enum, value_name = "auto|always|never", default_value = "auto", env = "K3S_HARDEN_COLOR")]
    pub(super) color: Colour,
    /// Show what is read and decided; -vv shows everything
    ///
    /// With --version: show what the binary is built from, and what it supports.
    #[arg(short, long, global = true, help_heading = OUTPUT, action = ArgAction::Count, value_parser = verbosity, env = "K3S_HARDEN_VERBOSE")]
    pub(super) verbose: u8,
    /// Show errors only
    #[arg(short, long, global = true, help_heading = OUTPUT, conflicts_with = "verbose", value_parser = switch, env = "K3S_HARDEN_QUIET")]
    pub(super) quiet: bool,
    /// Format of log lines on stderr
    #[arg(long, global = true, help_heading = OUTPUT, hide_short_help = true, value_enum, value_name = "text|json", default_value = "text", env = "K3S_HARDEN_LOG_FORMAT")]
    pub(super) log_format: LogFormat,
}

/// The output formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OutputFormat {
    /// Text for a terminal
    Text,
    /// JSON; `k3s-harden generate schema` prints its schema
    Json,
    /// The JSON of kube-bench
    KubeBench,
    /// JUnit XML for CI servers
    Junit,
    /// SARIF 2.1.0 for code scanning
    Sarif,
    /// Self-contained HTML report
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
    /// Show what apply would change, as a unified diff (dry run)
    #[command(alias = "diff")]
    Plan(PlanArguments),
    /// Apply the profile to this node (atomic, idempotent)
    Apply(ApplyArguments),
    /// Check that K3s will start, now and after a reboot
    Preflight(PreflightArguments),
    /// Check every control of the benchmark: status, evidence and fix
    Verify(VerifyArguments),
    /// Explain a control or setting, and show what sets it on this node
    Explain(ExplainArguments),
    /// Undo a run: restore the files, modes and owners from before it
    Rollback(RollbackArguments),
    /// List previous runs
    History,
    /// Undo all runs and delete k3s-harden's state directory
    Uninstall(UninstallArguments),
    /// Render the settings for cloud-init, Ignition, systemd, Rancher or a shell
    Render(RenderArguments),
    /// List, show, compare and validate profiles
    Profile(ProfileArguments),
    /// Show the configuration as K3s reads it, and the source of each value
    EffectiveConfig(EffectiveConfigArguments),
    /// Show each setting and its source, or write a commented settings file
    Settings(SettingsArguments),
    /// Merge the reports of many nodes
    Report(ReportArguments),
    /// Generate man pages, shell completions, JSON schemas and reference pages
    Generate(GenerateArguments),
}

#[derive(Debug, Args)]
pub(super) struct PlanArguments {
    #[command(flatten)]
    pub(super) planning: PlanningArguments,
    /// Leave the running kernel's parameters alone
    #[arg(long, value_parser = switch, env = "K3S_HARDEN_NO_LIVE_SYSCTL")]
    pub(super) no_live_sysctl: bool,
    /// Save the plan for apply PLAN
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct ApplyArguments {
    /// Saved plan (plan --out): apply exactly this, or nothing
    #[arg(value_name = "PLAN")]
    pub(super) plan: Option<String>,
    #[command(flatten)]
    pub(super) planning: PlanningArguments,
    #[command(flatten)]
    pub(super) locking: LockArguments,
    /// Apply even if K3s would not start afterwards
    #[arg(long, value_parser = switch, env = "K3S_HARDEN_NO_PREFLIGHT")]
    pub(super) no_preflight: bool,
    /// Keep no history: this run cannot be undone
    ///
    /// For image builds: the image then holds the managed files and no state directory.
    #[arg(long, value_parser = switch, env = "K3S_HARDEN_NO_HISTORY")]
    pub(super) no_history: bool,
    /// Leave the running kernel's parameters alone
    #[arg(long, value_parser = switch, env = "K3S_HARDEN_NO_LIVE_SYSCTL")]
    pub(super) no_live_sysctl: bool,
}

#[derive(Debug, Args)]
pub(super) struct PreflightArguments {
    /// Exit with a code other than 0 on: stops, or also unknown
    #[arg(
        long,
        value_enum,
        value_name = "RESULT",
        default_value = "stops",
        env = "K3S_HARDEN_PREFLIGHT_FAIL_ON"
    )]
    pub(super) fail_on: FailOnArgument,
    /// Compare with a server's configuration (effective-config --format json)
    ///
    /// K3s refuses to join a server whose critical values differ.
    #[arg(long, value_name = "FILE", env = "K3S_HARDEN_SERVER_CONFIG")]
    pub(super) server_config: Option<String>,
}

/// What makes `preflight` exit with another code than 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOnArgument {
    /// Exit 2 if K3s would not start
    Stops,
    /// Exit 2 if K3s would not start, 3 if the result is unknown
    Unknown,
}

#[derive(Debug, Args)]
pub(super) struct VerifyArguments {
    /// Benchmark version, such as 1.11 [default: the profile's]
    #[arg(long, value_name = "VERSION", env = "K3S_HARDEN_BENCHMARK")]
    pub(super) benchmark: Option<String>,
    /// File with the K3s log [default: the journal]
    #[arg(long, value_name = "FILE", env = "K3S_HARDEN_JOURNAL")]
    pub(super) journal: Option<String>,
    /// Also query the running cluster for section 5
    ///
    /// Reads with `k3s kubectl`, changes nothing and reads no Secrets.
    #[arg(long, value_parser = switch, env = "K3S_HARDEN_LIVE")]
    pub(super) live: bool,
    /// Exit 2 on: fail, warn, unknown or never
    #[arg(long, value_enum, value_name = "STATUS", default_value = "fail", env = "K3S_HARDEN_FAIL_ON")]
    pub(super) fail_on: verify::FailOn,
    /// Predict the result of kube-bench or security-scan
    ///
    /// Includes the known defects of the scanner.
    #[arg(
        long = "as",
        value_enum,
        value_name = "SCANNER",
        conflicts_with = "baseline",
        env = "K3S_HARDEN_AS"
    )]
    pub(super) scanner: Option<Scanner>,
    /// Compare with an older report (--format json); exit 2 if worse
    #[arg(long, value_name = "FILE", conflicts_with = "fail_on", env = "K3S_HARDEN_BASELINE")]
    pub(super) baseline: Option<String>,
    /// Show only the number of controls by status
    #[arg(long, value_parser = switch, env = "K3S_HARDEN_SUMMARY")]
    pub(super) summary: bool,
    /// Show findings only
    #[arg(long, value_parser = switch, env = "K3S_HARDEN_ONLY_FINDINGS")]
    pub(super) only_findings: bool,
}

#[derive(Debug, Args)]
pub(super) struct ExplainArguments {
    /// Control number (1.2.16) or name (audit-log-path), or setting
    pub(super) topic: String,
    /// Benchmark version of the number [default: the profile's]
    #[arg(long, value_name = "VERSION", env = "K3S_HARDEN_BENCHMARK")]
    pub(super) benchmark: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct RollbackArguments {
    /// Run number from history [default: the newest apply not yet undone]
    #[arg(value_parser = run_number)]
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
    /// Discard later edits of managed files
    ///
    /// Also rolls back if K3s could then no longer decrypt its Secrets.
    #[arg(long, value_parser = switch, env = "K3S_HARDEN_FORCE")]
    pub(super) force: bool,
    /// Restore the rest if part of the history is damaged
    ///
    /// Names each file that is not restored, and exits with 4.
    #[arg(long, value_parser = switch, env = "K3S_HARDEN_SKIP_DAMAGED")]
    pub(super) skip_damaged: bool,
    #[command(flatten)]
    pub(super) locking: LockArguments,
}

/// Flags of the verbs that change something.
#[derive(Debug, Args)]
pub(super) struct LockArguments {
    /// Seconds to wait for another run
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = seconds, env = "K3S_HARDEN_LOCK_TIMEOUT")]
    pub(super) lock_timeout: u32,
}

/// Flags of the verbs that make a plan.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct PlanningArguments {
    /// Exit 2 if there are changes
    #[arg(long, value_parser = switch, env = "K3S_HARDEN_DETAILED_EXITCODE")]
    pub(super) detailed_exitcode: bool,
    /// For files of others: merge, replace, keep or fail [default: merge]
    ///
    /// What to do with an existing file that k3s-harden did not write.
    #[arg(long, value_enum, value_name = "ACTION", env = "K3S_HARDEN_ON_FOREIGN")]
    pub(super) on_foreign: Option<OnForeign>,
    /// For conflicting configuration: ours, keep or fail [default: ours]
    ///
    /// What to do if the existing K3s configuration conflicts with a control.
    #[arg(long, value_enum, value_name = "ACTION", env = "K3S_HARDEN_ON_CONFLICT")]
    pub(super) on_conflict: Option<OnConflict>,
    /// Fix only modes and owners of files that K3s created at its start
    #[arg(long, value_parser = switch, env = "K3S_HARDEN_AFTER_START")]
    pub(super) after_start: bool,
    /// Allow an older minor after K3s started with a newer one
    #[arg(long, value_parser = switch, env = "K3S_HARDEN_ALLOW_DOWNGRADE")]
    pub(super) allow_downgrade: bool,
    /// Enable Secrets encryption after K3s started without it
    ///
    /// The output lists the remaining steps.
    #[arg(long, value_parser = switch, env = "K3S_HARDEN_LATE_ENCRYPTION")]
    pub(super) late_encryption: bool,
}

#[derive(Debug, Args)]
pub(super) struct RenderArguments {
    /// What to render
    #[arg(long = "as", value_enum, value_name = "FORMAT")]
    pub(super) render_format: RenderFormat,
    /// Output file, or directory for several files [default: stdout]
    #[arg(long, value_name = "PATH")]
    pub(super) out: Option<PathBuf>,
    /// Path of k3s-harden on the node, for the systemd units [default: this program's path]
    #[arg(long, value_name = "PATH")]
    pub(super) binary: Option<PathBuf>,
    /// Leave the running kernel's parameters alone until the next boot
    #[arg(long, value_parser = switch, env = "K3S_HARDEN_NO_LIVE_SYSCTL")]
    pub(super) no_live_sysctl: bool,
}

#[derive(Debug, Args)]
pub(super) struct EffectiveConfigArguments {
    /// Show tokens, passwords and keys
    #[arg(long)]
    pub(super) show_secrets: bool,
    /// Extra K3s arguments, appended after server or agent
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
    /// Show every setting of a profile and its source
    Show {
        /// Profiles to merge; later wins
        #[arg(value_name = "PROFILE", required = true)]
        names: Vec<String>,
    },
    /// Compare two profiles
    Diff {
        /// First profile; cis@1.28 resolves it for Kubernetes 1.28
        a: String,
        /// Second profile
        b: String,
    },
    /// Validate profile files
    Validate {
        /// Profile files
        #[arg(value_name = "FILE", required = true)]
        files: Vec<String>,
    },
}

/// Reads a flag without a value, which a variable sets with one: an empty variable is none.
fn switch(text: &str) -> std::result::Result<bool, String> {
    const YES: [&str; 6] = ["true", "1", "yes", "on", "y", "t"];
    const NO: [&str; 7] = ["", "false", "0", "no", "off", "n", "f"];
    let is_among = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    match (is_among(&YES), is_among(&NO)) {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        _ => Err("write true or false".to_owned()),
    }
}

fn verbosity(text: &str) -> std::result::Result<u8, String> {
    if text.is_empty() { Ok(0) } else { text.parse().map_err(|_| "write 0, 1 or 2".to_owned()) }
}

fn run_number(text: &str) -> std::result::Result<u32, String> {
    let hint = "write a number that `k3s-harden history` shows; without one, the newest run is undone";
    text.parse().map_err(|_| hint.to_owned())
}

fn seconds(text: &str) -> std::result::Result<u32, String> {
    text.parse().map_err(|_| "write a number of seconds, such as 30".to_owned())
}

/// Warns of unknown variables with our prefix: a misspelt one is a flag that is silently not set.
///
/// # Errors
/// If one is a misspelt `K3S_HARDEN_ROOT` and the verb is about a node: it would be about this machine instead of an image.
pub(super) fn check_variables(verb: &CliVerb) -> Result<()> {
    let ours = |name: &std::ffi::OsString| name.to_str()?.strip_prefix(PREFIX).map(str::to_owned);
    let set: Vec<String> = std::env::vars_os().filter_map(|(name, _)| ours(&name)).collect();
    if set.is_empty() {
        return Ok(());
    }
    let mut known = vec![SET_VARIABLE.to_owned()];
    add_variables(&Cli::command(), &mut known);
    let known: Vec<&str> = known.iter().filter_map(|name| name.strip_prefix(PREFIX)).collect();
    let is_about_a_node = !matches!(verb, CliVerb::Generate(_) | CliVerb::Report(_));
    for name in set.iter().filter(|name| !known.contains(&name.as_str())) {
        let meant = if name.contains(ROOT) { Some(ROOT) } else { nearest(name, &known) };
        let unknown = format!("unknown environment variable {PREFIX}{name}");
        match meant.map(|known| (known, format!("did you mean {PREFIX}{known}?"))) {
            Some((ROOT, hint)) if is_about_a_node => return Err(usage_error(unknown).hint(hint)),
            Some((_, hint)) => warn!("{unknown}: {hint}"),
            None => warn!("{unknown}"),
        }
    }
    Ok(())
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
