// SPDX-License-Identifier: Apache-2.0
//! The third tier: what takes long. It is the second tier's own code, with all points of every sweep, all random inputs
//! and all Kubernetes minors, and real API servers besides. It takes hours, root, and what `.ci/run` installs:
//! `K3S_HARDEN_TIER=full .ci/run`, or
//!
//! ```text
//! cargo test --locked --features full-tier --test full -- --include-ignored
//! ```

mod apiserver;
#[path = "../it/component_flags/mod.rs"]
mod component_flags;
#[path = "../it/component_values/mod.rs"]
mod component_values;
#[path = "../it/config_fields/mod.rs"]
mod config_fields;
#[path = "../it/crash/mod.rs"]
mod crash;
#[path = "../it/feature_gates/mod.rs"]
mod feature_gates;
#[path = "../it/judges/mod.rs"]
mod judges;
#[path = "../it/k3s_cli/mod.rs"]
mod k3s_cli;
#[path = "../it/life/mod.rs"]
mod life;
#[path = "../it/mutations/mod.rs"]
mod mutations;
#[path = "../it/openrc/mod.rs"]
mod openrc;
#[path = "../it/passes/mod.rs"]
mod passes;
#[path = "../it/registries/mod.rs"]
mod registries;
#[path = "../it/served_kinds/mod.rs"]
mod served_kinds;
#[allow(dead_code, reason = "the second tier uses the rest of it")]
#[path = "../it/support/mod.rs"]
mod support;
#[path = "../it/systemd/mod.rs"]
mod systemd;
#[path = "../it/yaml_v2/mod.rs"]
mod yaml_v2;

/// Tells `support::counts` which tier this is.
const IS_FULL: bool = true;
