// SPDX-License-Identifier: Apache-2.0
//! How Kubernetes reads: its YAML, its flag values, its typed objects, each of its files, and the tables of what each
//! minor has.
//!
//! A reader returns the value, or a [`Fault`](object::Fault) with the position and Kubernetes' own message. This room knows
//! nothing of K3s, profiles, findings and verdicts; rows of a table may say that K3s adds them. It imports only the ground:
//! error, role, mode, version and embedded.

pub mod abac_policy;
pub mod admission_config;
mod admission_documents;
mod admission_matching;
pub mod admission_objects;
pub mod admission_parts;
pub mod admission_plugins;
mod admission_validation;
pub mod apiserver_flags;
pub mod argument_files;
pub mod audit_log;
pub mod audit_policy;
pub mod audit_strength;
pub mod authentication_config;
pub mod authentication_values;
pub mod authorization_config;
pub mod cel;
mod cel_admission;
mod cel_check;
mod cel_constants;
mod cel_functions;
mod cel_macros;
mod cel_syntax;
mod cel_tokens;
mod cel_tree;
mod cel_types;
pub mod certificates;
pub mod component_fields;
pub mod component_flags;
pub mod config_fields;
pub mod config_settings;
pub mod credential_providers;
pub mod egress_config;
pub mod encryption_config;
pub mod event_rate_limit;
pub mod feature_gates;
pub mod flag_values;
pub mod gate_flag;
pub mod go_regexp;
pub mod go_url;
pub mod image_policy;
pub mod kernel_parameters;
pub mod kubeconfig;
pub mod kubelet_config;
mod kubelet_defaults;
pub mod kubelet_documents;
pub mod kubelet_fields;
mod kubelet_reserved;
pub mod kubelet_settings;
mod kubelet_values;
pub mod manifest;
pub mod names;
pub mod next_minor;
pub mod node_labels;
pub mod object;
pub mod object_validity;
pub mod pem;
pub mod plugin_configs;
pub mod pod_security;
pub mod proxy_config;
pub mod quantity;
pub mod runtime_config;
pub mod scalar;
pub mod scheduler_config;
pub mod scheduler_outcome;
mod scheduler_plugins;
mod scheduler_profiles;
pub mod served_kinds;
pub mod settings;
pub mod static_manifests;
pub mod taints;
pub mod tls;
pub mod token_file;
pub mod tracing_config;
pub mod value_judgement;
pub mod yaml;
mod yaml_tabs;
