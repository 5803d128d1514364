// SPDX-License-Identifier: Apache-2.0
//! Log lines on stderr: text for people, JSON for programs. Whatever they quote commands no terminal.

use std::fmt::{self, Debug, Write as _};
use std::io::{self, Write};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, fmt};
use tracing_subscriber::registry::{LookupSpan, Scope};

use super::args::LogFormat;
use crate::output::{Ink, ScreenText, Style};

/// Sets up the log of the process. A second set-up in one process (in tests) keeps the first.
pub(super) fn set_up(level: LevelFilter, format: LogFormat, style: Style) {
    let builder = fmt().with_max_level(level).log_internal_errors(false);
    let set_up = match format {
        // The colours of the fields of a span would be taken for a text of others.
        LogFormat::Text => {
            builder.with_writer(io::stderr).with_ansi(false).event_format(TextLines { style }).try_init()
        }
        LogFormat::Json => builder.json().with_target(false).with_writer(|| JsonLines).try_init(),
    };
    set_up.unwrap_or_default();
}

/// The form of a line of text: level, spans, message, fields.
struct TextLines {
    style: Style,
}

impl<S, N> FormatEvent<S, N> for TextLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = ScreenText::new(self.style);
        let ink = match *event.metadata().level() {
            Level::ERROR => Ink::Red,
            Level::WARN => Ink::Yellow,
            Level::INFO => Ink::Green,
            Level::DEBUG => Ink::Blue,
            _ => Ink::Plain,
        };
        line.paint(ink, format!("{:>5}", event.metadata().level().as_str()));
        line.push(" ");
        for span in context.event_scope().into_iter().flat_map(Scope::from_root) {
            line.paint(Ink::Bold, span.metadata().name());
            let extensions = span.extensions();
            if let Some(fields) = extensions.get::<FormattedFields<N>>().filter(|fields| !fields.is_empty()) {
                line.push(format!("{{{fields}}}"));
            }
            line.push(": ");
        }
        let mut said = SaidFields::default();
        event.record(&mut said);
        line.message(said.message + &said.others);
        writer.write_str(line.as_str())
    }
}

/// What an event says.
#[derive(Default)]
struct SaidFields {
    message: String,
    others: String,
}

impl Visit for SaidFields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _infallible = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.others, " {name}={value:?}"),
        };
    }
}

/// Writes lines of JSON to stderr.
struct JsonLines;

impl Write for JsonLines {
    /// Gets whole lines.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = ScreenText::json_line(&String::from_utf8_lossy(line));
        io::stderr().write_all(text.as_str().as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
