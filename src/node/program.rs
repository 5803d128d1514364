//! Other programs. The only place that runs one.

use std::path::Path;
use std::process::{Command, Stdio};

/// Where system programs are, whatever PATH says.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Finds a system program.
#[must_use]
pub fn find(name: &str) -> Option<String> {
    FOLDERS.iter().map(|folder| format!("{folder}/{name}")).find(|path| Path::new(path).is_file())
}

/// Runs a program with nothing of our environment, and waits for it.
///
/// # Errors
/// What it says, or why it cannot be run, as text.
pub fn run<'a>(
    program: &str,
    arguments: impl IntoIterator<Item = &'a str>,
) -> std::result::Result<(), String> {
    output(program, arguments).map(|_| ())
}

/// The same, and returns what it writes to its standard output.
///
/// # Errors
/// As for [`run`].
pub fn output<'a>(
    program: &str,
    arguments: impl IntoIterator<Item = &'a str>,
) -> std::result::Result<Vec<u8>, String> {
    output_with(program, arguments, &[])
        .map_err(|said| format!("{program}: {}", said.lines().next().unwrap_or("it failed without a word")))
}

/// The same with variables, which are all of its environment but PATH.
///
/// # Errors
/// All that it says, or why it cannot be run.
#[allow(clippy::disallowed_methods, reason = "this is the room that runs programs")]
pub fn output_with<'a>(
    program: &str,
    arguments: impl IntoIterator<Item = &'a str>,
    variables: &[(&str, &str)],
) -> std::result::Result<Vec<u8>, String> {
    let output = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", FOLDERS.join(":"))
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}
