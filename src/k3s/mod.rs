// SPDX-License-Identifier: Apache-2.0
//! How K3s reads its configuration: its merge of files, its command line and services, its own flags and those of each
//! component, its log, and the files that it writes on a node.
//!
//! This room knows K3s and nothing of profiles, documents, plans and verdicts. It imports [`node`](crate::node),
//! [`kubernetes`](crate::kubernetes) and the ground.

pub mod arguments;
mod command_line;
pub mod components;
mod config_file;
mod config_values;
pub mod critical_values;
mod data_dir;
pub mod data_directory;
mod datastore;
mod effective;
pub mod encryption_change;
pub mod encryption_stage;
pub mod etcd_config;
mod first_start;
pub mod flags;
mod given;
mod installed;
pub mod kubelet;
pub mod kubelet_files;
mod kubelet_log;
mod last_start;
mod log;
mod log_lines;
mod log_time;
mod logins;
mod manifest_files;
pub mod manifests;
pub mod manual_step;
pub mod merge;
mod merged_config;
mod node_config;
mod node_paths;
mod origin;
mod own_flags;
pub mod own_values;
pub mod packaged;
mod pod_network;
pub mod policy_enforcer;
pub mod rbac;
pub mod registries;
pub mod release_flags;
pub mod running;
mod secret_nodes;
mod secret_text;
mod secrets;
mod service;
mod start;
mod traces;

pub use command_line::{K3sRefusal, RefusalKind, SkippedKey};
pub use config_file::{ConfigFile, drop_ins};
pub use config_values::{ConfigQuery, EffectiveValue};
pub use data_dir::{DataDir, DataDirDoubt};
pub use datastore::Datastore;
pub use effective::EffectiveConfig;
pub use first_start::{FirstStart, ForecastFile, forecast_files, forecast_journal};
pub use installed::{binary, is_installed, version};
pub use last_start::{LastStart, StartedWith};
pub use log::{K3sLog, Logged, MAX_LOG_BYTES};
pub use log_time::seconds;
pub use logins::logins_masked;
pub use node_config::{ComponentArgument, NodeConfig};
pub use node_paths::{DEFAULT_CONFIG, DEFAULT_DATA_DIR, NodePaths};
pub use origin::{ValueOrigin, VariableSource};
pub use policy_enforcer::{EnforcementFact, PolicyEnforcement, PolicyEnforcer};
pub use running::{Absence, RunningComponents};
pub use secret_text::masked;
pub use service::{NodeService, NotUnderstood, ServiceFault};
pub use start::K3sStart;
pub use traces::{Traces, role};
