//! What will K3s make of it? Its YAML, its merge of files, its command line, and each component's flags.

pub mod arguments;
pub mod components;
mod datastore;
mod effective;
mod existing;
pub mod flags;
pub mod kubelet;
pub mod merge;
mod placing;
mod reading;
pub mod scalar;
pub mod service;
pub mod yaml;

pub use datastore::Datastore;
pub use effective::{Effective, InForce, Question, service_data_dir, service_warnings};
pub use existing::{Existing, Setting};
pub use placing::{OnConflict, Placed, Placing};
pub use reading::{DEFAULT_CONFIG, Reading};
