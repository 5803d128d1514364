//! What will K3s make of it? Its YAML, its merge of files, its command line, and each component's flags.

pub mod arguments;
mod datastore;
mod effective;
pub mod flags;
pub mod kubelet;
mod log;
pub mod manifests;
pub mod merge;
mod merged_config;
mod node_config;
pub mod service;

pub use datastore::Datastore;
pub use effective::{ConfigQuery, EffectiveConfig, EffectiveValue, ServiceFlags, service_data_dir};
pub use log::{K3sLog, Logged};
pub use merged_config::{DEFAULT_CONFIG, MergedConfig};
pub use node_config::{ComponentArgument, NodeConfig};
