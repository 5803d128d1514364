// SPDX-License-Identifier: Apache-2.0
//! K3s's data directory: the value of its flag, made absolute as K3s does it (pkg/datadir, `LocalHome`).

use std::fmt;

use super::command_line::CommandLine;
use super::flags;
use super::node_paths::DEFAULT_DATA_DIR;
use super::origin::{self, ValueOrigin};
use super::service::{HomeDirectory, NodeService};
use crate::Role;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::node::RootedPath;
use crate::version::{Availability, K3sRelease};

const KEY: &str = "data-dir";
/// Below the home directory: where a server without root's rights keeps its data.
const IN_HOME: &str = "${HOME}/.rancher/k3s";
/// How a path may begin with the home directory (resolvehome of K3s and wrangler).
const HOME_WORDS: [&str; 3] = ["$HOME", "${HOME}", "~"];
/// What takes the place of the home directory where it is not known.
const HOME: &str = "/root";

/// K3s's data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDir {
    /// Its path.
    pub path: RootedPath,
    /// The path as it is written; empty for the default.
    pub text: String,
    /// What names it; none if it is the default because nothing names another.
    pub origin: Option<ValueOrigin>,
    /// Why the path is not certain.
    pub doubt: Option<DataDirDoubt>,
    /// What K3s says of it, if it exits on it.
    pub fault: Option<String>,
}

/// Why a data directory is not certain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataDirDoubt {
    /// The releases of the minor differ; this is how.
    Release(String),
    /// The path begins with the home directory, and it is not known whether the service has one.
    Home,
}

impl fmt::Display for DataDirDoubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Release(how) => f.write_str(how),
            Self::Home => f.write_str("the home directory that the service gives K3s is not known"),
        }
    }
}

impl Default for DataDir {
    fn default() -> Self {
        let path = RootedPath::fixed(DEFAULT_DATA_DIR);
        Self { path, text: String::new(), origin: None, doubt: None, fault: None }
    }
}

impl DataDir {
    /// Returns the data directory that a configuration file names.
    #[must_use]
    pub fn written(path: RootedPath, text: &str, place: Place) -> Self {
        Self { path, text: text.to_owned(), origin: Some(ValueOrigin::File(place)), doubt: None, fault: None }
    }

    /// Finds the data directory that K3s uses in `role`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::BadInput`] if K3s cannot read its configuration, or a path is not valid.
    pub(super) fn of_command_line(
        service: &NodeService,
        line: &CommandLine,
        role: Role,
        release: K3sRelease,
    ) -> Result<Self> {
        let last = |key: &str| {
            let value = line.values.get(key)?;
            Some((value.items.last()?.clone(), value.origins.last()?.clone()))
        };
        let (text, origin) = last(KEY).unzip();
        let text = text.unwrap_or_default();
        // An agent's flag has the default as its value, so `rootless` does not move it (pkg/cli/cmds/agent.go).
        let rootless =
            last("rootless").filter(|(on, _)| role == Role::Server && text.is_empty() && flags::is_true(on));
        match rootless {
            Some((_, by)) => {
                // The binary that starts K3s does not know of it. That K3s starts with a home is taken for granted.
                let found = Self::new((IN_HOME.to_owned(), Some(by)), service, role, release)?;
                Ok(Self { text: found.path.to_string(), fault: None, ..found })
            }
            None => Self::new((text, origin), service, role, release),
        }
    }

    fn new(
        (text, origin): (String, Option<ValueOrigin>),
        service: &NodeService,
        role: Role,
        release: K3sRelease,
    ) -> Result<Self> {
        if text.is_empty() {
            return Ok(Self { origin, ..Self::default() });
        }
        let home = service.home();
        let directory = if let HomeDirectory::Known(home) = home { home } else { HOME };
        let named = HOME_WORDS.iter().fold(text.clone(), |text, word| text.replace(word, directory));
        let path = service.working_directory.resolve(&named);
        let path = path.map_err(|error| origin::at(error, origin.as_ref()))?;
        let in_home = HOME_WORDS.iter().any(|word| text.contains(word));
        // os.UserHomeDir reads HOME and nothing else.
        let fault = (in_home && home == HomeDirectory::Unset)
            .then(|| format!("resolving {text}: determining current user: $HOME is not defined"));
        let by_release = || origin.as_ref().and_then(|origin| doubt(origin, role, release));
        let doubt = match home {
            HomeDirectory::NotKnown if in_home => Some(DataDirDoubt::Home),
            _ => by_release().map(DataDirDoubt::Release),
        };
        Ok(Self { path, text, origin, doubt, fault })
    }

    /// Returns the place that names it; none if nothing does.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        self.origin.as_ref().map(ValueOrigin::place)
    }

    /// Tells whether a word of the service's command line names it by a relative path. An empty word names nothing: the
    /// binary that starts K3s goes on to the configuration (cmd/k3s/main.go, findDataDir).
    #[must_use]
    pub fn is_relative_word(&self) -> bool {
        let is_relative = !self.text.is_empty() && !self.text.starts_with('/');
        matches!(self.origin, Some(ValueOrigin::Service(_))) && is_relative
    }

    /// Returns the error of a run that needs to be certain of the path.
    #[must_use]
    pub fn uncertain(&self) -> Option<Error> {
        let doubt = self.doubt.as_ref()?;
        let message = format!("unknown data directory of K3s: {doubt}");
        let error = Error::new(ErrorKind::BadInput, message);
        let error = match doubt {
            DataDirDoubt::Release(_) => error
                .hint("name the version in full: --k3s-version v1.33.4+k3s1")
                .hint(format!("or write data-dir: {} into K3s's configuration", self.path)),
            DataDirDoubt::Home => error.hint("write the path without the home directory"),
        };
        Some(origin::at(error, self.origin.as_ref()))
    }

    /// Returns the relative path that the environment gives the binary that unpacks and starts K3s; that binary does not
    /// find what it has unpacked below a relative path, and exits. None if the release does not read the variable.
    #[must_use]
    pub fn relative_variable(
        service: &NodeService,
        role: Role,
        release: K3sRelease,
    ) -> Option<(String, ValueOrigin)> {
        let flag = flags::find(role, release.minor(), KEY)?;
        let is_read = flag.availability_of_variables(release) == Availability::Present;
        let variable = service.variable(flag).filter(|_| is_read);
        variable
            .filter(|(text, _)| !text.is_empty() && !text.starts_with('/'))
            .map(|(text, origin)| (text.to_owned(), origin))
    }
}

/// Returns why it is not certain that a value counts: the releases of the minor differ in whether they read the variable.
fn doubt(origin: &ValueOrigin, role: Role, release: K3sRelease) -> Option<String> {
    let ValueOrigin::Variable { name, .. } = origin else { return None };
    let flag = flags::find(role, release.minor(), KEY)?;
    match flag.availability_of_variables(release) {
        Availability::Differs { since } => Some(format!(
            "K3s reads {name} from {since} on, and which release of {} runs here is not known",
            release.minor()
        )),
        _ => None,
    }
}
