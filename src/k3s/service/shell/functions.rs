// SPDX-License-Identifier: Apache-2.0
//! The functions of a script: what they call, and which of them change variables.

use std::collections::{BTreeMap, BTreeSet};

/// The functions that the scripts define.
#[derive(Debug, Default)]
pub(in crate::k3s) struct ShellFunctions {
    /// What each of them calls.
    calls: BTreeMap<String, BTreeSet<String>>,
    /// Those that change variables themselves.
    changing: BTreeSet<String>,
    /// What was called since the script or the function began.
    called: BTreeSet<String>,
}

impl ShellFunctions {
    /// Begins a function; returns what was called before.
    pub(super) fn begin(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.called)
    }

    /// Ends the function `name`. `outer` is what was called before it began.
    pub(super) fn end(&mut self, name: String, outer: BTreeSet<String>, changes: bool) {
        if changes {
            self.changing.insert(name.clone());
        }
        let called = std::mem::replace(&mut self.called, outer);
        self.calls.insert(name, called);
    }

    /// Notes that a program or a function is called.
    pub(super) fn call(&mut self, name: &str) {
        self.called.insert(name.to_owned());
    }

    /// Tells whether the scripts define a function.
    pub(in crate::k3s) fn has(&self, name: &str) -> bool {
        self.calls.contains_key(name)
    }

    /// Tells whether a function changes variables: itself, or by a function that it calls.
    pub(in crate::k3s) fn change_variables(&self, name: &str) -> bool {
        let mut left = vec![name];
        let mut seen = BTreeSet::new();
        while let Some(name) = left.pop() {
            if self.changing.contains(name) {
                return true;
            }
            if seen.insert(name) {
                left.extend(self.calls.get(name).into_iter().flatten().map(String::as_str));
            }
        }
        false
    }
}
