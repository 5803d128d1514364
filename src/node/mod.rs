//! What is? The only room that opens files, reads kernel parameters and asks the system who we are.
//!
//! A node is a [`Root`]: `/` of the running system, or the directory of an image. Everything else in the
//! library is handed values; clippy's `disallowed-methods` keeps `std::fs` out of it.

pub mod accounts;
mod attributes;
mod boot;
pub mod host;
pub mod k3s;
mod lock;
mod metadata;
mod mount;
mod path;
pub mod program;
mod root;
pub mod selinux;
mod signals;
pub mod sysctl;
mod write;

pub use attributes::Attributes;
pub use boot::BootSysctls;
pub use lock::Lock;
pub use metadata::Metadata;
pub use path::RootedPath;
pub use root::{MAX_FILE_BYTES, PathState, Root};
pub use signals::Signals;
pub use sysctl::SysctlKey;
