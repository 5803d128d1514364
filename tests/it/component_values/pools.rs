// SPDX-License-Identifier: Apache-2.0
//! Values to try (`pools.yaml`): by the type of an argument, and by the words in the name of an argument or a field.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::support::random::Random;

/// Values of one kind, and what they are for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pool {
    #[serde(default)]
    types: Vec<String>,
    #[serde(default)]
    plain: bool,
    #[serde(default)]
    words: Vec<String>,
    values: Vec<String>,
}

static POOLS: LazyLock<BTreeMap<String, Pool>> =
    LazyLock::new(|| serde_yaml::from_str(include_str!("pools.yaml")).unwrap());

impl Pool {
    /// Returns one of the values.
    pub(super) fn value(&self, random: &mut Random) -> &str {
        &self.values[random.below(self.values.len())]
    }

    /// Tells whether hardly any other values are tried for its types.
    pub(super) fn is_plain(&self) -> bool {
        self.plain
    }
}

/// Returns the pool with a name.
pub(super) fn named(name: &str) -> &'static Pool {
    &POOLS[name]
}

/// Returns any pool.
pub(super) fn any(random: &mut Random) -> &'static Pool {
    POOLS.values().nth(random.below(POOLS.len())).unwrap()
}

/// Returns the pools for the words of a name.
pub(super) fn by_name(words: &[&str]) -> Vec<&'static Pool> {
    let fits = |pool: &&Pool| pool.words.iter().any(|known| words.contains(&known.as_str()));
    POOLS.values().filter(fits).collect()
}

/// Returns the pools for a type.
pub(super) fn by_type(kind: &str) -> Vec<&'static Pool> {
    POOLS.values().filter(|pool| pool.types.iter().any(|known| known == kind)).collect()
}
