// SPDX-License-Identifier: Apache-2.0
//! Any bytes as the journal of a run: a record or a reason, never a panic; and a record that is read can be looked at.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| k3s_harden::apply::try_journal(data));
