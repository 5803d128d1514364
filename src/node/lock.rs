// SPDX-License-Identifier: Apache-2.0
//! The lock that a run holds: an flock on a directory, so that no lock file comes and goes.

use std::os::fd::{AsRawFd, OwnedFd};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::stat::{FileStat, fstat, major, minor};

use super::host;
use super::path::RootedPath;
use super::root::Root;
use super::signals::Signals;
use crate::error::{Error, ErrorKind, Result};

/// How long to sleep between two tries.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);
/// Longest /proc/locks that is read, in bytes.
const MAX_LOCKS_BYTES: usize = 1 << 20;

/// An exclusive lock, held while it lives.
#[derive(Debug)]
pub struct Lock(Option<Flock<OwnedFd>>);

impl Drop for Lock {
    fn drop(&mut self) {
        // The drop of `Flock` would panic on an error; closing the file unlocks in any case.
        if let Some(Err((held, _))) = self.0.take().map(Flock::unlock) {
            let descriptor = held.as_raw_fd();
            std::mem::forget(held);
            nix::unistd::close(descriptor).unwrap_or_default();
        }
    }
}

impl Root {
    /// Locks the directory `path` for this process, waiting for another one at most `timeout`. None if the
    /// directory was removed in the meantime: whoever held it has taken it away.
    ///
    /// # Errors
    /// [`ErrorKind::Locked`] with the process that holds it; a signal that ends the wait.
    pub fn lock(&self, path: &RootedPath, timeout: Duration, signals: &Signals) -> Result<Option<Lock>> {
        let begun = Instant::now();
        let Some(mut dir) = self.directory_if_there(path)? else { return Ok(None) };
        loop {
            match Flock::lock(dir, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => {
                    let identity = |fd: &OwnedFd| {
                        let stat = fstat(fd).map_err(|errno| self.failed("lock", path, errno))?;
                        Ok((stat.st_dev, stat.st_ino))
                    };
                    // The one before us may have removed it, and a third one locked another in its place.
                    let Some(there) = self.directory_if_there(path)? else { return Ok(None) };
                    let is_same = identity(&there)? == identity(&lock)?;
                    return Ok(is_same.then_some(Lock(Some(lock))));
                }
                Err((again, Errno::EWOULDBLOCK)) if begun.elapsed() < timeout => dir = again,
                Err((held, Errno::EWOULDBLOCK)) => return Err(self.held(path, &held, timeout)),
                Err((_, errno)) => return Err(self.failed("lock", path, errno)),
            }
            signals.check()?;
            sleep(RETRY_INTERVAL);
        }
    }

    fn held(&self, path: &RootedPath, dir: &OwnedFd, timeout: Duration) -> Error {
        let holder = fstat(dir).ok().and_then(|stat| holder(&stat)).unwrap_or_default();
        let waited = if timeout.is_zero() { String::new() } else { format!(" after {timeout:?}") };
        let display = self.display(path);
        let message = format!("another run{holder} holds the lock on {display}{waited}");
        Error::new(ErrorKind::Locked, message)
            .hint("wait until it has ended, or let this one wait: --lock-timeout 60")
    }
}

/// Finds out which process holds a lock on a directory, as far as the kernel tells.
fn holder(directory: &FileStat) -> Option<String> {
    let locks = host::read_file("/proc/locks", MAX_LOCKS_BYTES).ok()?;
    let process = holder_in(&String::from_utf8_lossy(&locks), directory)?;
    let name = host::read_file(&format!("/proc/{process}/comm"), MAX_LOCKS_BYTES).unwrap_or_default();
    let name = String::from_utf8_lossy(&name).trim().to_owned();
    Some(if name.is_empty() {
        format!(" (process {process})")
    } else {
        format!(" (process {process}, {name})")
    })
}

/// Reads lines such as `1: FLOCK  ADVISORY  WRITE 1234 fe:00:131 0 EOF` (proc_locks(5)).
fn holder_in(locks: &str, directory: &FileStat) -> Option<u32> {
    let device = (major(directory.st_dev), minor(directory.st_dev));
    let entry = format!("{:02x}:{:02x}:{}", device.0, device.1, directory.st_ino);
    locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        // A line with `->` is of one who waits.
        match words.as_slice() {
            [_, "FLOCK", _, _, process, place, ..] if *place == entry => {
                process.parse().ok().filter(|process| *process > 0)
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::Root;

    #[test]
    fn the_holder_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        let path = RootedPath::fixed("/");
        let signals = Signals::none();
        let lock = root.lock(&path, Duration::ZERO, &signals).unwrap().unwrap();
        let error = root.lock(&path, Duration::ZERO, &signals).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Locked);
        let own = format!("(process {}, ", std::process::id());
        assert!(error.to_string().contains(&own), "{error}");
        drop(lock);
        assert!(root.lock(&path, Duration::ZERO, &signals).unwrap().is_some());
    }

    #[test]
    fn a_waiting_run_gets_the_lock_or_an_error_with_the_time() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        let path = RootedPath::fixed("/");
        let lock = root.lock(&path, Duration::ZERO, &Signals::none()).unwrap();
        let wait = Duration::from_millis(50);
        let error = root.lock(&path, wait, &Signals::none()).unwrap_err();
        assert!(error.to_string().ends_with("after 50ms"), "{error}");
        let other = std::thread::spawn(move || {
            sleep(wait);
            drop(lock);
        });
        assert!(root.lock(&path, Duration::from_secs(30), &Signals::none()).unwrap().is_some());
        other.join().unwrap();
    }
}
