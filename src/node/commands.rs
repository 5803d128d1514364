// SPDX-License-Identifier: Apache-2.0
//! Commands that a message proposes. They are about the root that was read: pasted as they stand, a command for an image
//! must not change the machine that builds it.

use std::path::Path;

use crate::shell_word::word;

/// Returns a command of k3s-harden about a root.
#[must_use]
pub fn command(root: &Path, verb: &str) -> String {
    if is_the_machine(root) {
        format!("k3s-harden {verb}")
    } else {
        format!("k3s-harden {verb} --root {}", word(&root.display().to_string()))
    }
}

/// Returns a text with its commands, which stand between backticks, made for a root: k3s-harden is told the root, and
/// the paths of other commands begin with it. A text that was made for the root already stays as it is.
#[must_use]
pub fn with_commands(root: &Path, text: &str) -> String {
    if is_the_machine(root) {
        return text.to_owned();
    }
    let parts = text.split('`').enumerate();
    let made = parts.map(|(index, part)| if index % 2 == 1 { below(root, part) } else { part.to_owned() });
    made.collect::<Vec<_>>().join("`")
}

/// Returns a command with its paths below a root.
fn below(root: &Path, text: &str) -> String {
    if let Some(verb) = text.strip_prefix("k3s-harden ") {
        return if verb.contains(" --root ") { text.to_owned() } else { command(root, verb) };
    }
    let prefix = word(root.display().to_string().trim_end_matches('/'));
    let is_elsewhere = |part: &str| part.starts_with('/') && !part.starts_with(&prefix);
    let made = text.split(' ').map(|part| match is_elsewhere(part) {
        true => prefix.clone() + part,
        false => part.to_owned(),
    });
    made.collect::<Vec<_>>().join(" ")
}

fn is_the_machine(root: &Path) -> bool {
    root == Path::new("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_about_the_root_that_was_read() {
        let text = "Run `k3s-harden apply --after-start`, or `chmod 600 /var/lib/a /b/*` on /etc.";
        assert_eq!(with_commands(Path::new("/"), text), text);
        assert_eq!(
            with_commands(Path::new("/mnt/my image/"), text),
            "Run `k3s-harden apply --after-start --root '/mnt/my image/'`, \
             or `chmod 600 '/mnt/my image'/var/lib/a '/mnt/my image'/b/*` on /etc."
        );
        let made = with_commands(Path::new("/mnt/image"), text);
        assert_eq!(with_commands(Path::new("/mnt/image"), &made), made);
        assert_eq!(
            with_commands(Path::new("image"), "`k3s-harden verify`"),
            "`k3s-harden verify --root image`"
        );
    }
}
