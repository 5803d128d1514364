// SPDX-License-Identifier: Apache-2.0
//! The datastore of a cluster.

use std::fmt;

/// The datastore of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datastore {
    /// In SQLite, K3s's default.
    Sqlite,
    /// In K3s's embedded etcd.
    Etcd,
    /// In an etcd that K3s does not run.
    ExternalEtcd,
    /// In a database that K3s does not run.
    External,
}

/// The schemes of endpoints that are etcd (pkg/drivers/remote of kine; `unix` and `unixs` from kine 0.12 on, before which K3s
/// refuses them). The first endpoint of a list decides, letter by letter.
const ETCD_SCHEMES: [&str; 4] = ["http", "https", "unix", "unixs"];
/// The schemes of SQLite's files.
const SQLITE_SCHEMES: [&str; 2] = ["sqlite", "litestream"];

impl Datastore {
    /// Embedded etcd's log below K3s's data directory: where it is a directory, etcd has begun.
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
            match endpoint.split_once("://") {
                Some((scheme, _)) if ETCD_SCHEMES.contains(&scheme) => Self::ExternalEtcd,
                Some((scheme, _)) if !SQLITE_SCHEMES.contains(&scheme) => Self::External,
                // Up to 1.31 K3s takes an endpoint without a scheme for SQLite, and refuses it since.
                _ => Self::Sqlite,
            }
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
            Self::ExternalEtcd => "an external etcd",
            Self::External => "an external database",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_of_the_first_endpoint_decides() {
        let of = |endpoint: &str| Datastore::chosen(endpoint, |_| false, |_| false, false);
        for endpoint in [
            "https://10.0.0.5:2379",
            "http://10.0.0.5:2379",
            "https://10.0.0.5:2379,https://10.0.0.6:2379",
            "http://a,mysql://b",
            "unix:///run/etcd.sock",
            "unixs:///run/etcd.sock",
        ] {
            assert_eq!(of(endpoint), Datastore::ExternalEtcd, "{endpoint}");
        }
        for endpoint in
            ["mysql://a", "postgres://a", "nats://a", "HTTPS://a", " https://a", "mysql://a,https://b"]
        {
            assert_eq!(of(endpoint), Datastore::External, "{endpoint}");
        }
        for endpoint in ["", "sqlite:///a", "litestream:///a", "a"] {
            assert_eq!(of(endpoint), Datastore::Sqlite, "{endpoint}");
        }
        assert_eq!(of("etcd://a"), Datastore::Etcd);
        let begun = Datastore::chosen("https://a", |_| false, |_| false, true);
        assert_eq!(begun, Datastore::Etcd, "what has begun stays");
    }
}
