// SPDX-License-Identifier: Apache-2.0
//! The settings of a component: its flags, or the fields of its configuration, as one flat map of typed values, and the
//! rules by which the component refuses a value or a pair of values.
//!
//! A flag's text becomes a value as the flag's own Go type reads it (`flag_type`). The rules are rows of
//! `data/rules-*.yaml` (`rules`), and each condition in them is a test of a value (`value_test`).

mod api_server_forms;
mod flag_text;
mod flag_type;
mod forms;
mod known_names;
mod map;
mod release;
mod rules;
mod value;
mod value_test;

pub use flag_type::FlagType;
pub use forms::is_metric_label;
pub use map::{ComponentSetting, ComponentSettings};
pub use rules::{RefusedSetting, bounds, refused};
pub use value::TypedValue;
