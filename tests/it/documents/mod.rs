// SPDX-License-Identifier: Apache-2.0
//! The rendered documents: against the guide, against the API types, and against what users can type.

#![allow(clippy::unwrap_used, reason = "clippy takes helpers of tests for something else than tests")]

mod admission;
mod guide;
mod k3s_guide;
mod reach;
mod rules;
mod scalars;
mod schema;
mod strict;
pub(crate) mod support;
mod text;
mod values;
