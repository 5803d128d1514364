//! What is? The only room that opens files, reads kernel parameters and asks the system who we are.
//!
//! A node is a [`Root`]: `/` of the running system, or the directory of an image. Everything else in the
//! library is handed values; clippy's `disallowed-methods` keeps `std::fs` out of it.

pub mod accounts;
pub mod host;
pub mod k3s;
mod mode;
mod path;
mod root;
pub mod sysctl;
mod write;

pub use mode::{FileMode, Owner};
pub use path::RootedPath;
pub use root::{MAX_FILE_BYTES, Node, Root};
pub use sysctl::SysctlKey;
pub use write::Lock;
