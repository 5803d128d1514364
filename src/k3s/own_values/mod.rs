// SPDX-License-Identifier: Apache-2.0
//! What K3s refuses in its own values, once its command line has parsed them (data/own-values.yaml).
//!
//! `rules` is the table, `reader` the values and the conditions under which K3s reads each, and `judgement` goes through
//! both. A file each holds the checks of one sort of values. This folder says what K3s does; findings are made of it in
//! `preflight`.

mod components;
mod credentials;
mod datastore;
mod etcd;
mod files;
mod joining;
mod judgement;
mod labels;
mod network;
mod reader;
mod rules;
mod texts;

pub use credentials::refused as refused_credential_providers;
pub(super) use joining::is_of_server as is_server_token;
pub use judgement::{FlagJudgement, OwnFault, faults, judgement};
pub(super) use reader::OwnReader;
pub use rules::Ending;
pub(super) use rules::OwnCondition;
