//! What will K3s make of it? Its YAML, its merge of files, its command line, and each component's flags.

pub mod arguments;
mod datastore;
mod effective;
pub mod flags;
pub mod kubelet;
mod log;
pub mod merge;
mod node_config;
mod reading;
pub mod service;

pub use datastore::Datastore;
pub use effective::{Effective, InForce, Question, ServiceFlags, service_data_dir};
pub use log::{K3sLog, Logged};
pub use node_config::{Argument, NodeConfig};
pub use reading::{DEFAULT_CONFIG, Reading};
