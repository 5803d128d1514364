// SPDX-License-Identifier: Apache-2.0
//! A node's life: upgrades from minor to minor, nodes on which K3s has started, what earlier runs were told, and runs in random
//! order.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests make and look at files by hand")]

mod after_start;
mod bed;
mod chains;
mod downgrade;
mod effects;
mod removal;
mod sequences;
