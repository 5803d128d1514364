// SPDX-License-Identifier: Apache-2.0
//! K3s's command line: the words of the service, with the configuration files put in, as K3s parses them.
//!
//! `urfave` is the library of K3s's command line, `sources` what K3s puts together before it, `refusal` what ends K3s
//! there, and `likely_key` what was probably meant by a key that K3s does not have.

mod likely_key;
mod refusal;
mod sources;
mod urfave;

pub use refusal::{K3sRefusal, RefusalKind};
pub use sources::SkippedKey;
pub(super) use sources::{CommandLine, CommandLineSources};
