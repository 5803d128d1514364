// SPDX-License-Identifier: Apache-2.0
//! The name of a unit, and the specifiers such as `%n` that stand for parts of it (systemd.unit(5); systemd v252,
//! src/core/unit-printf.c, src/shared/specifier.c, src/basic/unit-name.c).

/// Why the value of a text with specifiers is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::k3s) enum SpecifierFault {
    /// systemd knows no such specifier, or this unit has no value for it: it ignores or refuses the text.
    Refused(char),
    /// The value belongs to the running machine.
    OfTheMachine(char),
}

/// The name of a service, with its suffix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::k3s) struct UnitName(String);

/// Facts about the machine, as far as the node's files tell them.
#[derive(Debug, Clone, Default)]
pub(in crate::k3s) struct MachineFacts {
    /// `/etc/hostname`.
    pub(in crate::k3s) hostname: Option<String>,
    /// `/etc/machine-id`.
    pub(in crate::k3s) machine_id: Option<String>,
}

pub(in crate::k3s) const SUFFIX: &str = ".service";

impl UnitName {
    /// Returns the name of a service; none for names of other units.
    pub(in crate::k3s) fn of(name: &str) -> Option<Self> {
        let stem = name.strip_suffix(SUFFIX)?;
        let valid = |letter: char| letter.is_ascii_alphanumeric() || ":-_.\\@".contains(letter);
        (!stem.is_empty() && stem.chars().all(valid) && !stem.starts_with('@')).then(|| Self(name.to_owned()))
    }

    pub(in crate::k3s) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name without its suffix.
    pub(in crate::k3s) fn stem(&self) -> &str {
        self.0.strip_suffix(SUFFIX).unwrap_or(&self.0)
    }

    /// Returns the part before `@`.
    pub(in crate::k3s) fn prefix(&self) -> &str {
        self.stem().split_once('@').map_or(self.stem(), |(prefix, _)| prefix)
    }

    /// Returns the part behind `@`; empty for a template.
    pub(in crate::k3s) fn instance(&self) -> Option<&str> {
        self.stem().split_once('@').map(|(_, instance)| instance)
    }

    pub(in crate::k3s) fn is_template(&self) -> bool {
        self.instance() == Some("")
    }

    /// Returns the template of an instance.
    pub(in crate::k3s) fn template(&self) -> Option<String> {
        let instance = self.instance()?;
        (!instance.is_empty()).then(|| format!("{}@{SUFFIX}", self.prefix()))
    }

    /// Returns the folders of drop-ins in one unit folder, the most specific first: the unit's own, its template's, and
    /// one for each prefix that ends in a dash.
    pub(in crate::k3s) fn drop_in_folders(&self) -> Vec<String> {
        let mut folders = Vec::new();
        self.add_folders(&mut folders);
        folders.push(format!("{}.d", SUFFIX.trim_start_matches('.')));
        folders
    }

    fn add_folders(&self, folders: &mut Vec<String>) {
        folders.push(format!("{}.d", self.0));
        if let Some(template) = self.template() {
            Self(template).add_folders(folders);
        }
        let prefix = self.prefix();
        let chopped = prefix.strip_suffix('-').unwrap_or(prefix);
        let Some(dash) = chopped.rfind('-').filter(|dash| *dash > 0) else { return };
        let instance = self.instance().filter(|instance| !instance.is_empty());
        let instance = instance.map(|instance| format!("@{instance}")).unwrap_or_default();
        Self(format!("{}{instance}{SUFFIX}", &chopped[..=dash])).add_folders(folders);
    }

    /// Puts in the values of specifiers.
    pub(in crate::k3s) fn expand(
        &self,
        text: &str,
        fragment: &str,
        machine: &MachineFacts,
    ) -> Result<String, SpecifierFault> {
        let mut expanded = String::with_capacity(text.len());
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            if letter != '%' {
                expanded.push(letter);
                continue;
            }
            match letters.next() {
                None | Some('%') => expanded.push('%'),
                Some(specifier) if specifier.is_ascii_alphanumeric() => {
                    expanded.push_str(&self.value(specifier, fragment, machine)?);
                }
                Some(other) => expanded.extend(['%', other]),
            }
        }
        Ok(expanded)
    }

    fn value(
        &self,
        specifier: char,
        fragment: &str,
        machine: &MachineFacts,
    ) -> Result<String, SpecifierFault> {
        use SpecifierFault::{OfTheMachine, Refused};
        let refused = Refused(specifier);
        let of_the_machine = || OfTheMachine(specifier);
        let last = |text: &str| text.rsplit('-').next().unwrap_or_default().to_owned();
        let constant = |text: &str| Ok(text.to_owned());
        match specifier {
            'n' => constant(&self.0),
            'N' => constant(self.stem()),
            'p' => constant(self.prefix()),
            'P' => unescape(self.prefix()).ok_or(refused),
            'i' => constant(self.instance().unwrap_or_default()),
            'I' => unescape(self.instance().unwrap_or_default()).ok_or(refused),
            'j' => Ok(last(self.prefix())),
            'J' => unescape(&last(self.prefix())).ok_or(refused),
            'f' => path(self.instance().unwrap_or(self.prefix())).ok_or(refused),
            'y' => constant(fragment),
            'Y' => constant(fragment.rsplit_once('/').map_or("/", |(folder, _)| folder)),
            'C' => constant("/var/cache"),
            'd' => Ok(format!("/run/credentials/{}", self.0)),
            'E' => constant("/etc"),
            'L' => constant("/var/log"),
            'S' => constant("/var/lib"),
            't' => constant("/run"),
            'T' => constant("/tmp"),
            'V' => constant("/var/tmp"),
            // The manager of the system runs as root, whatever User= says.
            'h' => constant("/root"),
            'g' | 'u' => constant("root"),
            'G' | 'U' => constant("0"),
            'H' => machine.hostname.clone().ok_or_else(of_the_machine),
            'l' => {
                let name = machine.hostname.as_deref().ok_or_else(of_the_machine)?;
                constant(name.split('.').next().unwrap_or_default())
            }
            'm' => machine.machine_id.clone().ok_or_else(of_the_machine),
            'a' | 'A' | 'b' | 'B' | 'c' | 'D' | 'M' | 'o' | 'q' | 'r' | 'R' | 's' | 'v' | 'w' | 'W' => {
                Err(of_the_machine())
            }
            _ => Err(refused),
        }
    }
}

/// unit_name_unescape: a dash is a slash, `\x2d` a byte.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            b'-' => bytes.push(b'/'),
            b'\\' => {
                let digits = std::str::from_utf8(rest.strip_prefix(b"x")?.get(..2)?).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &rest[3..];
            }
            _ => bytes.push(byte),
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// unit_name_path_unescape: the same as an absolute path.
fn path(text: &str) -> Option<String> {
    if text == "-" {
        return Some("/".to_owned());
    }
    let path = unescape(text)?;
    path.split('/').all(|part| !matches!(part, "" | "." | "..")).then(|| format!("/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(name: &str, text: &str) -> Result<String, SpecifierFault> {
        let machine = MachineFacts { hostname: Some("a.example".to_owned()), machine_id: None };
        UnitName::of(name).unwrap().expand(text, "/etc/systemd/system/x.service", &machine)
    }

    #[test]
    fn specifiers_stand_for_parts_of_the_name() {
        let of = |text| expand("k3s-my\\x2dnode@a-b.service", text).unwrap();
        assert_eq!(of("%n %N"), "k3s-my\\x2dnode@a-b.service k3s-my\\x2dnode@a-b");
        assert_eq!(
            of("%p %P %i %I %f %j %J"),
            "k3s-my\\x2dnode k3s/my-node a-b a/b /a/b my\\x2dnode my-node"
        );
        assert_eq!(of("50%% %-%_ % %"), "50% %-%_ % %");
        assert_eq!(of("%S%E%t%h%U %H %l"), "/var/lib/etc/run/root0 a.example a");
        assert_eq!(expand("k3s.service", "%i|%f|%Y").unwrap(), "|/k3s|/etc/systemd/system");
    }

    #[test]
    fn other_specifiers_are_refused_or_not_known() {
        assert_eq!(expand("k3s.service", "a%z"), Err(SpecifierFault::Refused('z')));
        assert_eq!(expand("k3s.service", "a%m"), Err(SpecifierFault::OfTheMachine('m')));
        assert_eq!(expand("k3s.service", "a%b"), Err(SpecifierFault::OfTheMachine('b')));
        assert_eq!(expand("k3s@--.service", "%f"), Err(SpecifierFault::Refused('f')));
    }

    #[test]
    fn drop_ins_belong_to_the_name_its_prefixes_and_the_type() {
        let of = |name| UnitName::of(name).unwrap().drop_in_folders();
        assert_eq!(of("k3s.service"), ["k3s.service.d", "service.d"]);
        assert_eq!(
            of("k3s-a-b.service"),
            ["k3s-a-b.service.d", "k3s-a-.service.d", "k3s-.service.d", "service.d"]
        );
        assert_eq!(
            of("k3s-a@b.service"),
            [
                "k3s-a@b.service.d",
                "k3s-a@.service.d",
                "k3s-.service.d",
                "k3s-@b.service.d",
                "k3s-@.service.d",
                "service.d"
            ]
        );
        assert_eq!(of("-k3s.service"), ["-k3s.service.d", "service.d"]);
    }
}
