// SPDX-License-Identifier: Apache-2.0
//! A small reader of shell scripts: assignments, files that are sourced, conditions on files and variables. It runs
//! nothing. What it cannot read makes the variables that depend on it unknown.

mod builtins;
mod functions;
pub(super) mod lex;
pub(super) mod run;
pub(super) mod syntax;
pub(super) mod value;
