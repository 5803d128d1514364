// SPDX-License-Identifier: Apache-2.0
//! The terminal: data to stdout, logs and errors to stderr.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use tracing::level_filters::LevelFilter;
use tracing::warn;

use super::args::{Colour, GlobalArguments, OutputFormat};
use super::log;
use super::request::given;
use crate::apply::{RecordedInputs, Recovered};
use crate::error::{Error, ErrorKind, Result, exit};
use crate::k3s;
use crate::node::{Machine, Root, host};
use crate::output::{ReportOrigin, ScreenText, Style, error_text};
use crate::version::K3sVersion;

/// The format and the style of the output, and the name that the user gives the node in it.
#[derive(Debug)]
pub(super) struct Ui {
    format: OutputFormat,
    colour: Colour,
    is_quiet: bool,
    node: Option<String>,
}

impl Ui {
    /// Sets up logging; nothing is printed yet.
    pub(super) fn new(global: &GlobalArguments) -> Self {
        let level = match (global.quiet, global.verbose) {
            (true, _) => LevelFilter::ERROR,
            (false, 0) => LevelFilter::WARN,
            (false, 1) => LevelFilter::INFO,
            _ => LevelFilter::DEBUG,
        };
        let ui = Self {
            format: global.format,
            colour: global.color,
            is_quiet: global.quiet,
            node: given(global.node.as_ref()),
        };
        log::set_up(level, global.log_format, ui.style(io::stderr().is_terminal()));
        ui
    }

    /// Tells whether the output is JSON.
    pub(super) fn json(&self) -> bool {
        self.format == OutputFormat::Json
    }

    /// Returns the output format.
    pub(super) fn format(&self) -> OutputFormat {
        self.format
    }

    /// Returns what an answer tells of the node and of the run. Without a version, the installed one
    /// counts, or else the one that an earlier run was told.
    pub(super) fn origin(&self, root: &Root, version: Option<&K3sVersion>) -> ReportOrigin {
        let machine = Machine::read(root);
        let installed = || k3s::version(root).ok().flatten().map(|(version, _)| version.to_string());
        let recorded = || RecordedInputs::read(root).ok()?.inputs?.k3s_version;
        ReportOrigin {
            host: self.node.clone().or(machine.hostname),
            machine_id_sha256: machine.machine_id_sha256,
            time: Some(host::report_time()),
            assumed: version.and_then(|version| version.minor().assumed()).map(Into::into),
            k3s_version: version.map(ToString::to_string).or_else(installed).or_else(recorded),
            ..ReportOrigin::default()
        }
    }

    /// Returns how text on stdout looks.
    pub(super) fn stdout_style(&self) -> Style {
        self.style(io::stdout().is_terminal())
    }

    /// Returns how many columns stdout has; none if it is no terminal.
    pub(super) fn width() -> Option<usize> {
        terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0.into())
    }

    /// Writes text to stdout. A reader that closes the pipe early is no error.
    pub(super) fn out(&mut self, text: &ScreenText) -> Result<()> {
        Self::write_out(text.as_str().as_bytes())
    }

    /// Writes a line to stdout.
    pub(super) fn out_line(&mut self, line: &str) -> Result<()> {
        let mut text = ScreenText::new(Style::Plain);
        text.line(line);
        self.out(&text)
    }

    /// Writes what a run has done; nothing with `--quiet`.
    pub(super) fn say(&mut self, text: &ScreenText) -> Result<()> {
        if self.is_quiet { Ok(()) } else { self.out(text) }
    }

    /// Writes a line about what a run has done; nothing with `--quiet`.
    pub(super) fn say_line(&mut self, line: &str) -> Result<()> {
        if self.is_quiet { Ok(()) } else { self.out_line(line) }
    }

    /// Says how many files were written, and where; nothing with `--quiet`.
    pub(super) fn say_written(&mut self, count: usize, place: &Path) -> Result<()> {
        let files = if count == 1 { "file" } else { "files" };
        self.say_line(&format!("Wrote {count} {files} to {}.", place.display()))
    }

    /// Writes an answer that may have findings. With `--quiet` an answer without any is silent.
    pub(super) fn answer(&mut self, text: &ScreenText, has_findings: bool) -> Result<()> {
        if self.is_quiet && !has_findings { Ok(()) } else { self.out(text) }
    }

    /// Writes a document for another program to stdout: its bytes, but to a terminal only text that commands none.
    pub(super) fn out_document(&mut self, bytes: &[u8]) -> Result<()> {
        if io::stdout().is_terminal() {
            return self.out(&ScreenText::report(&String::from_utf8_lossy(bytes)));
        }
        Self::write_out(bytes)
    }

    fn write_out(bytes: &[u8]) -> Result<()> {
        let mut out = io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other
                .map_err(|error| Error::new(ErrorKind::Failed, format!("cannot write to stdout: {error}"))),
        }
    }

    /// Writes JSON to stdout.
    pub(super) fn out_json(&mut self, value: &impl serde::Serialize) -> Result<()> {
        self.out(&ScreenText::json(value)?)
    }

    /// Writes an error to stderr.
    pub(super) fn error(&mut self, error: &Error) {
        Self::complain(&error_text(error, self.style(io::stderr().is_terminal())));
    }

    /// Writes text to stderr.
    pub(super) fn complain(text: &ScreenText) {
        // There is nowhere to report a failure.
        io::stderr().write_all(text.as_str().as_bytes()).unwrap_or_default();
    }

    fn style(&self, terminal: bool) -> Style {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let forced =
            std::env::var_os("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0");
        match self.colour {
            Colour::Always => Style::Coloured,
            Colour::Auto if !plain && (terminal || forced) => Style::Coloured,
            Colour::Auto | Colour::Never => Style::Plain,
        }
    }
}

/// Warns of a killed run that was recovered.
pub(super) fn warn_of_recovered(recovered: Option<&Recovered>) {
    if let Some(recovered) = recovered {
        warn!("{}", recovered.message);
    }
}

/// Returns the exit code of a run that has done what it was asked for.
///
/// # Errors
/// [`ErrorKind::NotReported`] if its report could not be `printed`.
pub(super) fn done(printed: Result<()>) -> Result<u8> {
    printed.map(|()| exit::OK).map_err(not_reported)
}

/// Returns the error of a report that could not be written as that of a run which has done what it was asked for.
pub(super) fn not_reported(error: Error) -> Error {
    error.of_kind(ErrorKind::NotReported).hint("the run succeeded; only its report is lost")
}
