//! The text of a service that starts K3s: its command line and environment in a systemd unit or an OpenRC script.
//!
//! This file opens nothing. The caller adds the unit first, then its drop-ins in their order.

/// How a service starts K3s.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ServiceUnit {
    /// The words of the command line after the program.
    pub(super) words: Vec<String>,
    /// Variables that the unit sets itself.
    pub(super) environment: Vec<(String, String)>,
    /// Files with more of them, in order; a later one has precedence.
    pub(super) environment_files: Vec<String>,
}

impl ServiceUnit {
    /// Adds a systemd unit or one of its drop-ins; `name` is the unit's without `.service`.
    pub(super) fn add_unit(&mut self, text: &str, name: &str) {
        let joined = text.replace("\\\n", " ");
        let mut section = "";
        for line in joined.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
            if line.starts_with('[') {
                section = line;
                continue;
            }
            let Some((key, value)) = line.split_once('=').filter(|_| section == "[Service]") else {
                continue;
            };
            let value = value.trim().replace("%N", name).replace("%n", &format!("{name}.service"));
            match key.trim() {
                // An empty assignment removes what was assigned before, as in systemd.
                "ExecStart" if value.is_empty() => self.words.clear(),
                "ExecStart" => self.words = split(&value).into_iter().skip(1).collect(),
                "Environment" if value.is_empty() => self.environment.clear(),
                "Environment" => {
                    self.environment.extend(split(&value).iter().filter_map(|word| assignment(word)));
                }
                "EnvironmentFile" if value.is_empty() => self.environment_files.clear(),
                "EnvironmentFile" => self.environment_files.push(value.trim_start_matches('-').to_owned()),
                _ => {}
            }
        }
    }

    /// Tells whether there are variables on the command line.
    pub(super) fn has_variables(&self) -> bool {
        self.words.iter().any(|word| word.contains('$'))
    }

    /// Replaces variables by their values as systemd does: `$NAME` as a word of its own becomes the words of its value,
    /// `${NAME}` in a word becomes its value.
    pub(super) fn expand<'v>(&mut self, value: &dyn Fn(&str) -> Option<&'v str>) {
        let is_name = |name: &str| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        let words = std::mem::take(&mut self.words);
        for word in words {
            match word.strip_prefix('$').filter(|name| is_name(name)) {
                Some(name) => self.words.extend(split(value(name).unwrap_or_default())),
                None => self.words.push(inside(&word, value)),
            }
        }
    }

    /// Adds an OpenRC script as the installer writes it.
    pub(super) fn add_init_script(&mut self, text: &str) {
        let joined = text.replace("\\\n", " ");
        let arguments = ['"', '\''].into_iter().find_map(|quote| {
            let (_, rest) = joined.split_once(&format!("command_args={quote}"))?;
            rest.split_once(quote)
        });
        if let Some((arguments, _)) = arguments {
            // A redirection and the words after it belong to the shell.
            let words = split(arguments);
            self.words = words.into_iter().take_while(|word| !word.starts_with(['>', '<', '&'])).collect();
        }
        let sourced = joined.lines().filter_map(|line| line.trim().strip_prefix(". "));
        self.environment_files.extend(sourced.map(|path| path.trim().trim_matches(['"', '\'']).to_owned()));
    }
}

/// Replaces `${NAME}` in a word by its value, and `$$` by `$`.
fn inside<'v>(word: &str, value: &dyn Fn(&str) -> Option<&'v str>) -> String {
    let mut done = String::new();
    let mut rest = word;
    while let Some((before, behind)) = rest.split_once('$') {
        done.push_str(before);
        rest = behind;
        if let Some(behind) = rest.strip_prefix('$') {
            done.push('$');
            rest = behind;
        } else if let Some((name, behind)) = rest.strip_prefix('{').and_then(|named| named.split_once('}')) {
            done.push_str(value(name).unwrap_or_default());
            rest = behind;
        } else {
            done.push('$');
        }
    }
    done + rest
}

/// Reads `NAME=value` lines of an environment file.
pub(super) fn environment(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| assignment(&split(line.strip_prefix("export ").unwrap_or(line)).concat()))
        .collect()
}

fn assignment(word: &str) -> Option<(String, String)> {
    let (name, value) = word.split_once('=')?;
    Some((name.trim().to_owned(), value.to_owned()))
}

/// Splits a command line at spaces outside of quotes, and removes the quotes.
fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (Some('"') | None, '\\') => word.get_or_insert_default().extend(letters.next()),
            (None, _) if letter.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_as_systemd_reads_them() {
        let mut service = ServiceUnit::default();
        service.add_unit("[Unit]\nDescription=x\n[Service]\nEnvironmentFile=-/etc/default/%N\nEnvironmentFile=-/etc/systemd/system/k3s.service.env\nExecStartPre=-/sbin/modprobe overlay\nExecStart=/usr/local/bin/k3s \\\n    server \\\n\t'--kube-apiserver-arg=a=b c' \\\n\t\"--debug\"\n", "k3s");
        assert_eq!(service.words, ["server", "--kube-apiserver-arg=a=b c", "--debug"]);
        assert_eq!(service.environment_files, ["/etc/default/k3s", "/etc/systemd/system/k3s.service.env"]);
        service.add_unit(
            "[Service]\nExecStart=\nExecStart=/usr/local/bin/k3s agent\nEnvironment=\"A=1 2\" B=3\n",
            "k3s",
        );
        assert_eq!(service.words, ["agent"]);
        assert_eq!(service.environment, [("A".into(), "1 2".into()), ("B".into(), "3".into())]);
    }

    #[test]
    fn variables_are_expanded_as_systemd_expands_them() {
        let mut service = ServiceUnit::default();
        service.add_unit("[Service]\nExecStart=/k3s $ROLE ${A}-${NO}x --b=$A $NO $ARGS $$A\n", "k3s");
        assert!(service.has_variables());
        service.expand(&|name| match name {
            "ROLE" => Some("server"),
            "A" => Some("a b"),
            "ARGS" => Some("--c '--d=e f'"),
            _ => None,
        });
        assert_eq!(service.words, ["server", "a b-x", "--b=$A", "--c", "--d=e f", "$A"]);
    }

    #[test]
    fn init_scripts_are_the_installers() {
        let mut service = ServiceUnit::default();
        service.add_init_script(
            "command=\"/usr/local/bin/k3s\"\ncommand_args=\"server \\\n\t'--x' >>/var/log/k3s.log 2>&1\"\n",
        );
        assert_eq!(service.words, ["server", "--x"]);
    }

    #[test]
    fn environment_files_have_quotes_and_comments() {
        assert_eq!(
            environment("# x\nK3S_TOKEN='a b'\nexport Y=\"1\"\n\nno\n"),
            [("K3S_TOKEN".into(), "a b".into()), ("Y".into(), "1".into())]
        );
    }
}
