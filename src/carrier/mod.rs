//! For other hands: the same settings as files for tools that are not on the node.
//!
//! A carrier is a file here and a row of [`Format::render`].

mod account_update;
mod rancher_cluster;
mod systemd_gate;

use crate::document::Site;
use crate::node::FileMode;
use crate::profile::Profile;

/// What `render --as` offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// account_update.yaml and account_update.sh: the default ServiceAccounts of namespaces made later.
    AccountUpdate,
    /// A cluster object for Rancher, with the arguments as its machine configuration.
    RancherCluster,
    /// A systemd drop-in that asks preflight before K3s is started.
    SystemdGate,
}

/// Files for other hands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// The files, in order.
    pub files: Vec<CarriedFile>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// One file for other hands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarriedFile {
    /// Its name.
    pub name: &'static str,
    /// Its mode.
    pub mode: FileMode,
    /// Its content.
    pub text: String,
}

impl Format {
    /// Renders the files. `release` is the K3s release where it is known in full.
    #[must_use]
    pub fn render(self, profile: &Profile, site: &Site, release: Option<&str>) -> Carried {
        match self {
            Self::AccountUpdate => account_update::render(profile),
            Self::RancherCluster => rancher_cluster::render(profile, site, release),
            Self::SystemdGate => systemd_gate::render(profile, site),
        }
    }
}
