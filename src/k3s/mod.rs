//! What will K3s make of it? So far: which keys its configuration files set, and where.

pub mod arguments;
mod existing;
pub mod flags;
pub mod merge;
mod reading;
pub mod scalar;
pub mod yaml;

pub use existing::{Existing, Setting};
pub use reading::{DEFAULT_CONFIG, Reading};
