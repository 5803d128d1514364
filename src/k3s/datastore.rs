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
    /// Embedded etcd's log below K3s' data directory: where it is a directory, etcd has begun.
    pub const ETCD_LOG: &str = "server/db/etcd/member/wal";

    /// Chooses as a server does (assignManagedDriver in pkg/cluster/managed.go, IsInitialized in pkg/etcd/etcd.go of K3s):
    /// etcd if its log exists (`begun`), whatever the endpoint is, or if the endpoint's scheme is etcd; another
    /// endpoint; etcd if the server starts a cluster with it, or joins others, which takes a token. A cluster-reset starts
    /// one.
    pub fn chosen(
        endpoint: &str,
        given: impl Fn(&str) -> bool,
        is_on: impl Fn(&str) -> bool,
        begun: bool,
    ) -> Self {
        let joins = || given("server") && (given("token") || given("token-file"));
        if begun || endpoint.split(':').next() == Some("etcd") {
            Self::Etcd
        } else if !endpoint.is_empty() {
            Self::External
        } else if is_on("cluster-init") || is_on("cluster-reset") || joins() {
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
