// SPDX-License-Identifier: Apache-2.0
//! One word of a POSIX shell. Imports nothing of the crate.

/// Quotes text for a POSIX shell.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Returns text as one word: quoted where a shell would read it in another way.
pub(crate) fn word(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+=:,@%".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) { text.to_owned() } else { quoted(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_shell_would_read_otherwise_is_quoted() {
        assert_eq!(word("/mnt/image-1.33+k3s1"), "/mnt/image-1.33+k3s1");
        assert_eq!(word("/mnt/my image"), "'/mnt/my image'");
        assert_eq!(word("/mnt/o'brien"), "'/mnt/o'\\''brien'");
        assert_eq!(word(""), "''");
    }
}
