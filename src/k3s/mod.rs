//! What will K3s make of it? So far: which keys its configuration files set, and where.

mod existing;

pub use existing::{Existing, Setting};
