// SPDX-License-Identifier: Apache-2.0
//! Any bytes as K3s' configuration: an answer or an error, never a panic, and what is read can be walked.
#![no_main]

use k3s_harden::kubernetes::yaml::{self, YamlNode, YamlValue};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(Some(node)) = yaml::read(data) {
        assert!(count(&node) <= usize::try_from(yaml::MAX_VALUES).unwrap_or(usize::MAX));
        // What aliases write out can be long: the text of a few is enough.
        if data.len() < 1024 {
            let text = node.go_text();
            assert_eq!(node.clone().go_text(), text);
        }
    }
});

/// Counts the values in `node`.
fn count(node: &YamlNode) -> usize {
    assert!(node.position.0 > 0 && node.position.1 > 0, "places count from 1");
    match &node.value {
        YamlValue::Scalar(_) => 1,
        YamlValue::List(items) => 1 + items.iter().map(count).sum::<usize>(),
        YamlValue::Map(pairs) => 1 + pairs.iter().map(|(key, value)| count(key) + count(value)).sum::<usize>(),
    }
}
