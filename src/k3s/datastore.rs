//! The datastore of a cluster.

use std::fmt;

/// The datastore of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datastore {
    /// In SQLite, K3s' default.
    Sqlite,
    /// In K3s' embedded etcd.
    Etcd,
    /// In a database that K3s does not run.
    External,
}

impl Datastore {
    /// Embedded etcd's directory below K3s' data directory.
    pub const ETCD: &str = "server/db/etcd";

    /// Chooses as a server does (pkg/cluster/managed.go, pkg/etcd of K3s): the endpoint if one is given; etcd if its
    /// directory exists (`begun`), if the server starts a cluster with it, and if the server joins others.
    pub fn chosen(given: impl Fn(&str) -> bool, is_on: impl Fn(&str) -> bool, begun: bool) -> Self {
        if given("datastore-endpoint") {
            Self::External
        } else if begun || is_on("cluster-init") || given("server") {
            Self::Etcd
        } else {
            Self::Sqlite
        }
    }
}

impl fmt::Display for Datastore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "SQLite",
            Self::Etcd => "embedded etcd",
            Self::External => "an external database",
        })
    }
}
