// SPDX-License-Identifier: Apache-2.0
//! Journals as release 0.1.0 writes them.

use serde_json::Value;

/// Returns a record in the format of release 0.1.0.
pub(crate) fn of_0_1_0(journal: &str) -> Value {
    let mut record = rewritten_by_0_1_0(journal);
    record["format_version"] = "1.0".into();
    record
}

/// Returns a record as release 0.1.0 writes it again: it keeps the number of the format, and nothing that came with that.
pub(crate) fn rewritten_by_0_1_0(journal: &str) -> Value {
    let mut record = serde_json::from_str(journal).unwrap();
    strip(&mut record);
    record
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for name in ["digest", "previous", "sha256", "foreign"] {
                map.remove(name);
            }
            map.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}
