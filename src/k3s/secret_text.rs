// SPDX-License-Identifier: Apache-2.0
//! Finds the secrets in a text that is shown, such as a file that is replaced: K3s's configuration in any form of YAML and
//! in its comments, lines of units and of environment files, passwords in URLs. What K3s masks is masked (`isSecret` in
//! pkg/nodeconfig), by its table of flags.

use std::borrow::Cow;
use std::ops::Range;

use super::logins::{MASK, logins};
use super::secret_nodes::{self, ScalarKind, SecretNodes};
use super::secrets::{LABELS, SecretName};

/// Returns the text with asterisks in place of its secrets. It has the same lines.
#[must_use]
pub fn masked(text: &str) -> Cow<'_, str> {
    let ranges = ranges(text);
    if ranges.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut at = 0;
    for range in ranges {
        shown.push_str(&text[at..range.start]);
        for line in text[range.clone()].split_inclusive('\n') {
            let secret = line.trim();
            let start = line.len() - line.trim_start().len();
            shown.push_str(&line[..start]);
            shown.push_str(if secret.is_empty() { "" } else { MASK });
            shown.push_str(&line[start + secret.len()..]);
        }
        at = range.end;
    }
    shown.push_str(&text[at..]);
    Cow::Owned(shown)
}

/// Returns a message about a place of a text without what it quotes of a secret there.
pub(super) fn without_secrets(message: &str, text: &str, line: Option<usize>) -> String {
    let secrets = ranges(text);
    let line_at = |at: usize| text[..at].bytes().filter(|byte| *byte == b'\n').count() + 1;
    let about = |range: &&Range<usize>| {
        line.is_none_or(|line| (line_at(range.start)..=line_at(range.end)).contains(&line))
    };
    let mut shown = message.to_owned();
    let about: Vec<&Range<usize>> = secrets.iter().filter(about).collect();
    if about.is_empty() {
        return shown;
    }
    for quote in ['`', '"', '\''] {
        if let (Some(first), Some(last)) = (shown.find(quote), shown.rfind(quote))
            && last > first
        {
            shown.replace_range(first + 1..last, MASK);
        }
    }
    let signs = |letter: char| letter.is_whitespace() || "\"'`!&*|>[]{},".contains(letter);
    for word in about.iter().flat_map(|range| text[(*range).clone()].split(signs)) {
        if word.len() > 2 {
            shown = shown.replace(word, MASK);
        }
    }
    shown
}

/// Returns where the secrets are, in order.
fn ranges(text: &str) -> Vec<Range<usize>> {
    let nodes = secret_nodes::find(text);
    let mut found = nodes.secrets.clone();
    let mut at = 0;
    while let Some(word) = next_word(text, at) {
        at = word.end;
        found.extend(secret_of(text, &word, &nodes));
    }
    // A text that is broken has no nodes; its anchors are found by their names.
    let aliases = found.iter().filter_map(|range| text[range.clone()].trim().strip_prefix('*'));
    let anchored: Vec<Range<usize>> = aliases.filter_map(|alias| anchored(text, alias)).collect();
    found.extend(anchored);
    found.extend(logins(text));
    found.retain(|range| !text[range.clone()].trim().is_empty());
    found.sort_by_key(|range| (range.start, range.end));
    let mut whole: Vec<Range<usize>> = Vec::new();
    for range in found {
        match whole.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => whole.push(range),
        }
    }
    whole
}

/// Returns what stands behind an anchor, with the lines below that are indented more.
fn anchored(text: &str, name: &str) -> Option<Range<usize>> {
    let name = name.split(char::is_whitespace).next().filter(|name| !name.is_empty())?;
    let anchor = format!("&{name}");
    let mut found = text.match_indices(&anchor).map(|(at, _)| (at, at + anchor.len()));
    let (at, end) = found.find(|(_, end)| text[*end..].starts_with(char::is_whitespace))?;
    let line_start = text[..at].rfind('\n').map_or(0, |at| at + 1);
    Some(end..block_end(text, line_start, end, text.len()))
}

/// Returns the next word of letters, digits, dashes and underscores.
fn next_word(text: &str, from: usize) -> Option<Range<usize>> {
    let is_part = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '_');
    let start = from + text[from..].find(is_part)?;
    let length = text[start..].find(|letter| !is_part(letter)).unwrap_or(text.len() - start);
    Some(start..start + length)
}

/// Returns the secret behind a word, if the word is the name of one.
fn secret_of(text: &str, word: &Range<usize>, nodes: &SecretNodes) -> Option<Range<usize>> {
    let name = text[word.clone()].trim_start_matches('-');
    let dashes = word.len() - name.len();
    let key = text[..word.start].ends_with('*').then(|| anchored(text, name)).flatten();
    let name = key.map_or(name, |key| text[key].trim());
    let line_start = text[..word.start].rfind('\n').map_or(0, |at| at + 1);
    let scalar = nodes.scalar_at(word.start);
    let limit = scalar.map_or(text.len(), |scalar| content_end(text, &scalar.range));
    let secret = match SecretName::of(name) {
        Some(SecretName::Short) if !is_short_of_k3s(text, word, line_start) => return None,
        Some(secret) => secret,
        None => {
            // A short name with its value behind it: `-tVALUE`.
            let is_glued = dashes == 1 && SecretName::begins_with_short(name) && is_command(text, line_start);
            return is_glued.then(|| word.start + 2..word_end(text, word.start + 2, limit));
        }
    };
    let mut at = word.end;
    let mut step = |signs: &[char]| {
        let next = text[at..limit.max(at)].chars().next().filter(|next| signs.contains(next));
        at += next.map_or(0, char::len_utf8);
        next
    };
    step(&['+']);
    step(&['"', '\'']);
    let behind = at;
    let spaces = spaces(text, behind, limit);
    let sign = text[spaces..].chars().next().filter(|_| spaces < limit);
    let in_labels =
        || scalar.is_some_and(|scalar| scalar.is_label) || is_label(&text[line_start..word.start]);
    match sign {
        Some('=') if in_labels() => None,
        // A key of YAML has its value in the nodes.
        Some(':') if scalar.is_some_and(|scalar| scalar.kind == ScalarKind::Key) => None,
        Some(':') if text[spaces..].starts_with("://") => None,
        Some(':') => Some(spaces + 1..block_end(text, line_start, spaces + 1, limit)),
        Some('=') => {
            let value = self::spaces(text, spaces + 1, limit);
            let before = scalar.map_or(line_start, |scalar| scalar.range.start);
            let quote = text[..word.start].chars().next_back().filter(|sign| matches!(sign, '"' | '\''));
            let end = match quote {
                Some(quote) => quoted_end(text, value, quote, limit),
                None if begins_line(&text[before..word.start], scalar.is_some()) => {
                    if scalar.is_some() {
                        limit
                    } else {
                        line_end(text, value)
                    }
                }
                None => word_end(text, value, limit),
            };
            Some(value..end)
        }
        _ if dashes > 0 && spaces > behind && secret != SecretName::Likely => {
            Some(spaces..word_end(text, spaces, limit))
        }
        _ if scalar.is_none() && text[line_start..word.start].trim_start().starts_with('?') => {
            Some(word.end..block_end(text, line_start, word.end, limit))
        }
        _ => None,
    }
}

/// Tells whether a short name is that of K3s's flag: behind a dash in a command of K3s, or as a key at the beginning of a line.
fn is_short_of_k3s(text: &str, word: &Range<usize>, line_start: usize) -> bool {
    match word.len() {
        2 => text[word.clone()].starts_with('-') && is_command(text, line_start),
        _ => begins_line(&text[line_start..word.start], false) && text[word.end..].starts_with([':', '"']),
    }
}

/// Returns where the content of a scalar ends: before the quote that closes it.
fn content_end(text: &str, scalar: &Range<usize>) -> usize {
    let quoted = |quote: char| {
        let said = &text[scalar.clone()];
        said.len() > 1 && said.starts_with(quote) && said.ends_with(quote)
    };
    scalar.end - usize::from(quoted('"') || quoted('\''))
}

/// Tells whether what follows is a label or a taint: it has a prefix (`example.com/token=a`), or follows their flags.
fn is_label(before: &str) -> bool {
    let is_prefix = before.strip_suffix('/').is_some_and(|prefix| prefix.ends_with(char::is_alphanumeric));
    let flag =
        before.trim_end_matches(|sign: char| sign.is_whitespace() || matches!(sign, '=' | '"' | '\'' | ':'));
    is_prefix || LABELS.iter().any(|name| flag.len() < before.len() && flag.ends_with(name))
}

/// Tells whether a line is that of a command of K3s, in which `-t` is its token.
fn is_command(text: &str, line_start: usize) -> bool {
    let line = text[line_start..].lines().next().unwrap_or_default();
    line.contains("k3s") || text[..line_start].ends_with("\\\n")
}

/// Tells whether a name stands at the beginning of a line, behind what may stand before one, or of a scalar.
fn begins_line(before: &str, in_scalar: bool) -> bool {
    if in_scalar {
        return !before.contains(char::is_whitespace);
    }
    let before = before.trim_start_matches(['#', '-', ';', ' ', '\t']);
    before.is_empty() || before.trim_end() == "export"
}

/// Returns the end of the spaces behind `at`; a line that is continued is one.
fn spaces(text: &str, at: usize, limit: usize) -> usize {
    let mut end = at;
    while end < limit {
        match text[end..].chars().next() {
            Some(' ' | '\t') => end += 1,
            Some('\\') if text[end..].starts_with("\\\n") => end += 2,
            _ => break,
        }
    }
    end.min(limit.max(at))
}

/// Returns the end of a word as shells and systemd read it: quotes and backslashes count.
fn word_end(text: &str, at: usize, limit: usize) -> usize {
    let mut quote = None;
    let mut letters = text[at..limit.max(at)].char_indices();
    while let Some((offset, letter)) = letters.next() {
        match (quote, letter) {
            (_, '\\') => drop(letters.next()),
            (Some(open), letter) if open == letter => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(letter),
            (None, letter) if letter.is_whitespace() => return at + offset,
            _ => {}
        }
    }
    limit.max(at)
}

/// Returns where a quote that was opened before `at` is closed.
fn quoted_end(text: &str, at: usize, quote: char, limit: usize) -> usize {
    let mut letters = text[at..limit.max(at)].char_indices();
    while let Some((offset, letter)) = letters.next() {
        match letter {
            '\\' if quote == '"' => drop(letters.next()),
            letter if letter == quote => return at + offset,
            _ => {}
        }
    }
    limit.max(at)
}

/// Returns the end of a line, with the lines that continue it; a value in quotes ends with them.
fn line_end(text: &str, at: usize) -> usize {
    let mut end = at;
    if let Some(quote) = text[at..].chars().next().filter(|letter| matches!(letter, '"' | '\'')) {
        end = quoted_end(text, at + 1, quote, text.len());
    }
    loop {
        end = text[end..].find('\n').map_or(text.len(), |offset| end + offset);
        if !text[..end].ends_with('\\') || end == text.len() {
            return end;
        }
        end += 1;
    }
}

/// Returns the end of the value behind a colon: the line, and those that are indented more, or are items of its list. They
/// may be comments, as the line is.
fn block_end(text: &str, line_start: usize, at: usize, limit: usize) -> usize {
    let bare = |line: &str| -> (bool, usize, char) {
        let trimmed = line.trim_start();
        let is_comment = trimmed.starts_with('#');
        let inner = trimmed.trim_start_matches('#');
        (is_comment, line.len() - inner.trim_start().len(), inner.trim_start().chars().next().unwrap_or('\n'))
    };
    let (is_comment, indent, _) = bare(&text[line_start..]);
    let mut end = if text[line_start..at].contains('#') {
        // A quote in a comment ends with it.
        text[at..].find('\n').map_or(text.len(), |offset| at + offset)
    } else {
        line_end(text, spaces(text, at, limit).min(text.len()))
    };
    end = end.min(limit.max(at));
    while end < limit {
        let Some(line) = text[end + 1..].split_inclusive('\n').next() else { break };
        let (commented, depth, first) = bare(line);
        let is_more = first == '\n' || depth > indent || (depth == indent && matches!(first, '-' | ':'));
        if !is_more || (is_comment && !commented) || (commented && !is_comment) {
            break;
        }
        end += line.len() + usize::from(!line.ends_with('\n'));
        end = end.min(text.len());
        if end == text.len() {
            break;
        }
    }
    end.min(limit.max(at)).min(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts with their secrets as `V3ry`.
    const SECRETS: &[&str] = &[
        "token: V3ry\n",
        "token: 'V3ry'\n",
        "token : \"V3ry\" # mine\n",
        "\"token\": V3ry",
        "'agent-token': V3ry\n",
        "token+: V3ry\n",
        "t: V3ry\n",
        "{token: V3ry, node-label: [a=b]}\n",
        "{\"token\":\"V3ry\"}\n",
        "token: |\n  V3ry\n  V3ry\nnode-label: x\n",
        "token: >-\n\n  V3ry\n",
        "token: \"V3ry\n  V3ry\"\n",
        "token: V3ry\n  V3ry\n",
        "token:\n  V3ry\n",
        "token:\n- V3ry\n- V3ry\n",
        "token: [V3ry, V3ry]\n",
        "token: {a: V3ry}\n",
        "? token\n: V3ry\n",
        "x: &a V3ry\ntoken: *a\n",
        "x: &k token\n*k : V3ry\n",
        "\"tok\\x65n\": V3ry\n",
        "token: !!int V3ry\n",
        "- key: token\n- {token: V3ry}\n",
        "# token: V3ry\n",
        "#token: V3ry\na: 1\n",
        "a: 1 # token: V3ry\n",
        "# token: |\n#   V3ry\n# a: 1\n",
        "# token:\n# - V3ry\na: 1\n",
        "# token: \"V3ry\n",
        "a: [\ntoken: V3ry\n",
        "a: [\ntoken: |\n  V3ry\n  V3ry\n",
        "a: [\ntoken:\n- V3ry\n",
        "a: [\n{token: V3ry}\n",
        "a: [\n? token\n: V3ry\n",
        "a: [\nt: V3ry\n",
        "a: 1\n\ttoken: V3ry\n",
        "etcd-s3-secret-key: V3ry\netcd-s3-access-key: V3ry\n",
        "datastore-endpoint: mysql://u:V3ry@tcp(h:3306)/db\n",
        "datastore-endpoint: \"postgres://u:V3ry@h/db?x=V3ry\"\n",
        "x: https://u:V3ry@h/db\n",
        "# https://u:V3ry@h/db\n",
        "vpn-auth: name=tailscale,joinKey=V3ry\n",
        "kube-apiserver-arg: [oidc-client-secret=V3ry, profiling=false]\n",
        "kube-apiserver-arg:\n- 'oidc-client-secret=V3ry V3ry'\n",
        "kube-apiserver-arg: oidc-client-secret=V3ry\n",
        "#- oidc-client-secret=V3ry\n",
        "K3S_TOKEN=V3ry\n",
        "K3S_TOKEN=V3ry V3ry\n",
        "export K3S_TOKEN='V3ry V3ry'\n",
        "K3S_TOKEN=\"V3ry\nV3ry\"\nA=b\n",
        "K3S_TOKEN=V3ry\\\nV3ry\nA=b\n",
        "#K3S_AGENT_TOKEN=V3ry\n",
        "AWS_SECRET_ACCESS_KEY=V3ry\n",
        "Environment=\"K3S_TOKEN=V3ry V3ry\" A=b\n",
        "Environment=A=b K3S_TOKEN=V3ry\n",
        "Environment='K3S_DATASTORE_ENDPOINT=V3ry'\n",
        "ExecStart=/usr/local/bin/k3s server --token V3ry --debug\n",
        "ExecStart=/usr/local/bin/k3s server --token=V3ry --debug\n",
        "ExecStart=/usr/local/bin/k3s server '--token' 'V3ry V3ry' --debug\n",
        "ExecStart=/usr/local/bin/k3s server \\\n  --token \\\n  V3ry\n",
        "ExecStart=/usr/local/bin/k3s server -t V3ry\n",
        "ExecStart=/usr/local/bin/k3s server -tV3ry\n",
        "ExecStart=/usr/local/bin/k3s server -t=V3ry\n",
    ];

    #[test]
    fn a_secret_is_masked_in_any_form() {
        for text in SECRETS {
            let shown = masked(text);
            assert!(!shown.contains("V3ry") && shown.contains(MASK), "{text:?}: {shown:?}");
            assert_eq!(shown.lines().count(), text.lines().count(), "{text:?}: {shown:?}");
            // Among other lines too, also of a file that is no YAML.
            for around in ["a: 1\n", "# k\n", "%\n", "x\ty\n"] {
                // The escapes of a key mean nothing in a file that is no YAML.
                if text.contains("\\x") && !around.contains(':') && !around.contains('#') {
                    continue;
                }
                let whole = format!("{around}{text}\n{around}");
                let shown = masked(&whole);
                assert!(!shown.contains("V3ry"), "{whole:?}: {shown:?}");
                // A value in a list that is never closed goes on in the next line.
                let ends = text.starts_with("a: [") || shown.ends_with(around);
                assert!(shown.starts_with(around) && ends, "{whole:?}: {shown:?}");
            }
        }
    }

    #[test]
    fn what_is_no_secret_is_shown() {
        for text in [
            "token-file: /etc/token\nagent-token-file: x\n",
            "etcd-s3-config-secret: name\n",
            "secrets-encryption: true\n",
            "token: \"\"\n",
            "token:\n",
            "automountServiceAccountToken: false\n",
            "resources: [secrets, configmaps, tokenreviews]\nvolumes:\n- secret\n",
            "kube-apiserver-arg: [token-auth-file=/x, profiling=false]\n",
            "# the token of the cluster\nnode-label: [token, t]\n",
            "K3S_TOKEN_FILE=/etc/token\n",
            "mount -t tmpfs x\nsort -t, y\n",
            "x: https://host/path@2\nmail: a@b\n",
            "node-label: [\"team.io/token=x\", secret=x]\n",
            "node-taint: secret=x:NoSchedule\n",
            "node-taint+:\n- \"secret=x:NoSchedule\"\n",
            "kube-apiserver-arg: [\"feature-gates=ServiceAccountToken=true\"]\n",
            "kube-apiserver-arg: [\"oidc-issuer-url=https://host?a=b@c\"]\n",
            "ExecStart=/usr/local/bin/k3s server --node-taint secret=x:NoSchedule --node-label=a.b/token=c\n",
            "vm.overcommit_memory=1\nkernel.panic = 10\n",
        ] {
            assert_eq!(masked(text), text);
        }
        assert_eq!(
            masked("kube-apiserver-arg: [\"oidc-client-secret=V3ry==\", 'a-token=V3ry=c', b]\n"),
            "kube-apiserver-arg: [\"oidc-client-secret=********\", 'a-token=********', b]\n"
        );
        let flow = "{token: V3ry, node-label: [a=b]}\n";
        assert_eq!(masked(flow), "{token: ********, node-label: [a=b]}\n");
        assert_eq!(masked("a: 1 # token: V3ry\nb: 2\n"), "a: 1 # token: ********\nb: 2\n");
        assert_eq!(masked("[\ntoken: |\n  V3ry\nb: 2\n"), "[\ntoken: ********\n  ********\nb: 2\n");
    }

    #[test]
    fn a_message_quotes_no_secret() {
        for (text, message, shown) in [
            (
                "a: 1\ntoken: !!int V3ry\n",
                "cannot decode !!str `V3ry` as a !!int",
                "cannot decode !!str `********` as a !!int",
            ),
            ("a: 1\ntoken: *V3ry\n", "unknown anchor V3ry", "unknown anchor ********"),
            (
                "a: 1\nb: !!int V3ry\n",
                "cannot decode !!str `V3ry` as a !!int",
                "cannot decode !!str `V3ry` as a !!int",
            ),
        ] {
            assert_eq!(without_secrets(message, text, Some(2)), shown);
        }
    }
}
