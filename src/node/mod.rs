// SPDX-License-Identifier: Apache-2.0
//! The node: its files, kernel parameters and accounts. The only room that opens files, reads kernel parameters, runs other programs and reads the user's
//! identity.
//!
//! A node is a [`Root`]: `/` of the running system, or the directory of an image. All other rooms get values; clippy's
//! `disallowed-methods` keeps `std::fs` out of them. This room knows nothing of Kubernetes, K3s and profiles, and imports
//! only the ground: error, role, mode, version, embedded and shell_word.

pub mod accounts;
mod attributes;
mod boot;
pub mod commands;
mod entry;
mod errno;
mod expected;
mod free_name;
pub mod host;
mod live;
mod lock;
mod machine;
mod metadata;
mod mount;
mod move_directory;
mod name;
mod path;
mod placing;
pub mod program;
mod real_path;
mod remove;
mod replace;
mod resolve;
mod root;
pub mod selinux;
mod sha256;
mod signals;
mod sync;
pub mod sysctl;
mod temporary;
mod weaker;
mod writable;
mod write;

pub use attributes::Attributes;
pub use boot::{BootSysctls, sysctl_setting};
pub use entry::{Entries, EntryKind, PathEntry, PathKind};
pub use expected::Expected;
pub use lock::Lock;
pub use machine::Machine;
pub use metadata::Metadata;
pub use move_directory::DirectoryMove;
pub use name::byte_of;
pub use path::RootedPath;
pub use replace::KeptMetadata;
pub use root::{MAX_FILE_BYTES, PathState, Root};
pub use sha256::sha256;
pub use signals::Signals;
pub use sysctl::SysctlKey;
