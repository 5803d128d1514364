// SPDX-License-Identifier: Apache-2.0
//! The file of tokens that the API server's flag `token-auth-file` names: rows of CSV.
//!
//! Source: pkg/authentication/token/tokenfile of k8s.io/apiserver; encoding/csv of Go.

/// How many columns a row has at least: token, user name, user uid.
const LEAST_COLUMNS: usize = 3;

/// Checks the content of a file of tokens.
///
/// # Errors
/// The API server's own message.
pub fn check(bytes: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(bytes);
    let mut rest = text.as_ref();
    let mut line = 1;
    while !rest.is_empty() {
        let read = record(rest).map_err(|problem| format!("parse error on line {line}: {problem}"))?;
        let (columns, after) = read;
        line += rest[..rest.len() - after.len()].matches('\n').count();
        rest = after;
        if let Some(columns) = columns.filter(|columns| *columns < LEAST_COLUMNS) {
            return Err(format!(
                "token file must have at least 3 columns (token, user name, user uid), found {columns}"
            ));
        }
    }
    Ok(())
}

/// Reads a record: how many columns it has, none for an empty line, and what follows it.
fn record(text: &str) -> Result<(Option<usize>, &str), &'static str> {
    let line = |text: &str| text.split_once('\n').map_or(text.len(), |(line, _)| line.len() + 1);
    if text[..line(text)].trim_end_matches(['\r', '\n']).is_empty() {
        return Ok((None, &text[line(text)..]));
    }
    let mut columns = 1;
    let mut rest = text;
    loop {
        match rest.strip_prefix('"') {
            Some(quoted) => {
                let after = behind_quotes(quoted).ok_or("extraneous or missing \" in quoted-field")?;
                match after.strip_prefix(',') {
                    Some(next) => {
                        columns += 1;
                        rest = next;
                    }
                    None if after.is_empty() => return Ok((Some(columns), after)),
                    None => {
                        let after = after.strip_prefix('\r').unwrap_or(after);
                        let after = after.strip_prefix('\n');
                        return after
                            .map(|after| (Some(columns), after))
                            .ok_or("extraneous or missing \" in quoted-field");
                    }
                }
            }
            None => {
                let end = rest.find([',', '\n']).unwrap_or(rest.len());
                if rest[..end].contains('"') {
                    return Err("bare \" in non-quoted-field");
                }
                let after = &rest[end..];
                match after.strip_prefix(',') {
                    Some(next) => {
                        columns += 1;
                        rest = next;
                    }
                    None => return Ok((Some(columns), after.strip_prefix('\n').unwrap_or(after))),
                }
            }
        }
    }
}

/// Returns what follows the quote that ends a field.
fn behind_quotes(text: &str) -> Option<&str> {
    let mut rest = text;
    loop {
        let (_, after) = rest.split_once('"')?;
        match after.strip_prefix('"') {
            Some(more) => rest = more,
            None => return Some(after),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_three_columns() {
        for good in [
            "",
            "a,b,c\n",
            "a,b,c",
            "a,b,c,\"g,h\"\n\na,b,c\r\n",
            "\"a\",\"b\"\"c\",d\n",
            "a,b,\"c\nd\"\n",
            ",b,c\n",
        ] {
            assert_eq!(check(good.as_bytes()), Ok(()), "{good:?}");
        }
        for (bad, says) in [
            ("a,b\n", "token file must have at least 3 columns (token, user name, user uid), found 2"),
            ("a,b,c\nd\n", "token file must have at least 3 columns (token, user name, user uid), found 1"),
            ("a\"b,c,d\n", "parse error on line 1: bare \" in non-quoted-field"),
            ("a,b,c\n\"a\n", "parse error on line 2: extraneous or missing \" in quoted-field"),
            ("\"a\"b,c,d\n", "parse error on line 1: extraneous or missing \" in quoted-field"),
        ] {
            assert_eq!(check(bad.as_bytes()), Err(says.to_owned()), "{bad:?}");
        }
    }
}
