// SPDX-License-Identifier: Apache-2.0
//! One word of a unit of systemd.

/// Quotes one word as systemd reads it back (systemd.syntax(7), and systemd.unit(5) for `%`).
pub(super) fn word(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '%' => quoted.push_str("%%"),
            control if control.is_ascii_control() => {
                quoted.push_str(&format!("\\x{:02x}", u32::from(control)));
            }
            other => quoted.push(other),
        }
    }
    quoted + "\""
}

/// Tells whether neither systemd nor a shell reads anything else than the text itself.
pub(super) fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/=,._+-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::word;

    #[test]
    fn systemd_reads_a_word_back() {
        assert_eq!(word("A=cis-1.12,strict"), "A=cis-1.12,strict");
        assert_eq!(word("A=/a b/\"50%\" $x\\\t\u{e4}"), "\"A=/a b/\\\"50%%\\\" $x\\\\\\x09\u{e4}\"");
    }
}
