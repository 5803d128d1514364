// SPDX-License-Identifier: Apache-2.0
//! Other programs. The only place that runs one.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// Where system programs are, whatever PATH says.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
/// How often a program that has closed its output is asked whether it has ended.
const PAUSE: Duration = Duration::from_millis(2);

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
    let output = command(program, arguments).output().map_err(|error| format!("{program}: {error}"))?;
    answer(output.status, output.stdout, &output.stderr)
        .map_err(|said| format!("{program}: {}", said.lines().next().unwrap_or("it failed silently")))
}

/// The same with variables, which are all of its environment but PATH; it is killed if it takes too long.
///
/// # Errors
/// All that it says, or why it cannot be run.
pub fn output_within<'a>(
    limit: Duration,
    program: &str,
    arguments: impl IntoIterator<Item = &'a str>,
    variables: &[(&str, &str)],
) -> std::result::Result<Vec<u8>, String> {
    let end = Instant::now() + limit;
    let mut child = command(program, arguments)
        .envs(variables.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let (stdout, stderr) = (all_of(child.stdout.take()), all_of(child.stderr.take()));
    // A child of its own may hold the streams longer than it lives: they are waited for no longer either.
    let left = || end.saturating_duration_since(Instant::now());
    let said = stdout.recv_timeout(left()).ok().zip(stderr.recv_timeout(left()).ok());
    match said.zip(ended(&mut child, end)) {
        Some(((stdout, stderr), status)) => answer(status, stdout, &stderr),
        None => {
            // If it has ended in between, there is nothing to kill.
            child.kill().and_then(|()| child.wait()).map_err(|error| error.to_string())?;
            Err(format!("no answer within {} seconds", limit.as_millis().div_ceil(1000)))
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "this is the room that runs programs")]
fn command<'a>(program: &str, arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("PATH", FOLDERS.join(":")).stdin(Stdio::null());
    command
}

fn answer(status: ExitStatus, stdout: Vec<u8>, stderr: &[u8]) -> std::result::Result<Vec<u8>, String> {
    if status.success() { Ok(stdout) } else { Err(String::from_utf8_lossy(stderr).into_owned()) }
}

/// Reads a stream to its end, beside everything else.
fn all_of(stream: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What cannot be read is an answer cut short, which is then no JSON.
        if let Some(mut stream) = stream
            && stream.read_to_end(&mut bytes).is_err()
        {
            bytes.clear();
        }
        // After a timeout there is no receiver.
        sender.send(bytes).ok();
    });
    receiver
}

/// Waits for the end of a program; none if it takes too long.
fn ended(child: &mut Child, end: Instant) -> Option<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait().ok()? {
            return Some(status);
        }
        if Instant::now() >= end {
            return None;
        }
        thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(limit: u64, script: &str) -> std::result::Result<Vec<u8>, String> {
        output_within(Duration::from_millis(limit), "/bin/sh", ["-c", script], &[("A", "b")])
    }

    #[test]
    fn an_answer_in_time_is_returned_whole() {
        assert_eq!(sh(10_000, "echo $A").unwrap(), b"b\n");
        assert_eq!(sh(10_000, "echo no >&2; exit 3").unwrap_err(), "no\n");
        // More than a pipe holds, in both streams.
        let much = sh(10_000, "dd if=/dev/zero bs=1024 count=300 >&2; dd if=/dev/zero bs=1024 count=300");
        assert_eq!(much.unwrap().len(), 300 * 1024);
    }

    #[test]
    fn nothing_hangs() {
        let begin = Instant::now();
        for script in ["exec sleep 60", "sleep 60 & exit 0", "exec >&- 2>&-; exec sleep 60"] {
            assert_eq!(sh(900, script).unwrap_err(), "no answer within 1 seconds", "{script}");
        }
        assert!(begin.elapsed() < Duration::from_secs(30));
    }
}
