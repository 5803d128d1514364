// SPDX-License-Identifier: Apache-2.0
//! Output: writes the values of the other rooms as text for people and as JSON for programs. It returns strings and values;
//! cli prints them. The room may import every room but cli.

mod effective;
mod explain;
mod history;
mod json;
mod merge;
mod notes_text;
mod origin;
mod preflight;
mod profiles;
mod scan;
mod screen;
mod settings;
mod text;
mod trend;
mod verify;
mod version;
mod visible;
mod wrap;

pub use effective::{effective_json, effective_text};
pub use explain::{explain_json, explain_text};
pub use history::{history_json, history_text};
pub use json::{PlanReport, nothing_json, recovered_json};
pub use merge::{MergeTextOptions, merge_html, merge_json, merge_text};
pub use origin::ReportOrigin;
pub use preflight::{preflight_json, preflight_text};
pub use profiles::{diff_json, diff_text, list_json, list_text, show_json, show_text};
pub use scan::{scan_json, scan_text};
pub use screen::{Ink, ScreenText, Style};
pub use settings::{SettingSource, SourceWords, settings_file, settings_json, settings_text};
pub use text::{add_next_step, apply_text, error_text, plan_text, undo_text};
pub use trend::{trend_json, trend_text};
pub use verify::{SarifOptions, TextOptions, html, junit, kube_bench_json, sarif, verify_json, verify_text};
pub use version::{version_json, version_text};
