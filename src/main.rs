// SPDX-License-Identifier: Apache-2.0
//! Parse, run, exit code: everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(k3s_harden::cli::run(std::env::args_os()))
}
