// SPDX-License-Identifier: Apache-2.0
//! The first two tiers of tests: a module for each part of the tool.
//!
//! ```text
//! cargo test --locked                         the first tier: needs no root and no program
//! cargo test --locked -- --include-ignored    the second tier: as root, with what .ci/run installs
//! ```
//!
//! A test that needs root or a program is ignored in the first tier, with the reason beside it. No test returns early:
//! "ok" means that it ran. The third tier is `tests/full`.

mod admission_files;
mod admission_policies;
mod anonymous_health;
mod ansible;
mod apiserver_start;
mod architecture;
mod argument_forms;
mod audit_log;
mod baseline;
mod beds;
mod carriers;
mod cel_functions;
mod cipher_suites;
mod cli;
mod component_files;
mod component_flags;
mod component_values;
mod components;
mod config_elsewhere;
mod config_fields;
mod container;
mod converged;
mod crash;
mod damaged_history;
mod deploy_times;
mod docs;
mod documents;
mod effective;
mod encryption_provider;
mod examples;
mod explain;
mod feature_gates;
mod file_names;
mod fixtures;
mod fleet;
mod gate;
mod generate;
mod hostile;
mod judges;
mod k3s_cli;
mod known;
mod kubelet_files;
mod kubelet_log;
mod layers;
mod life;
mod minors;
mod mutations;
mod newer_minor;
mod nodes;
mod once_taken;
mod openrc;
mod oracle;
mod origins;
mod own_output;
mod own_values;
mod packaged;
mod passes;
mod patch_releases;
mod placing;
mod policies;
mod preflight;
mod project_docs;
mod reads;
mod real_root;
mod registries;
mod released;
mod rendered_once;
mod reports;
mod reruns;
mod rules;
mod scanner;
mod scanner_nodes;
mod served_kinds;
mod server_config;
mod services;
mod settings;
mod shown;
mod sources;
mod support;
mod systemd;
mod take_over;
mod undo;
mod users_lines;
mod value_judgements;
mod verify;
mod waivers;
mod words;
mod yaml_v2;

/// Tells `support::counts` which tier this is.
const IS_FULL: bool = false;
