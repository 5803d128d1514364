//! What needs more than Rust runs only where it was asked for, and then does not do without.

use std::path::PathBuf;

const TIER: &str = "K3S_HARDEN_TIER";

/// Tells whether the second tier was asked for; says so where it was not.
pub(crate) fn is_second() -> bool {
    let asked = std::env::var(TIER).is_ok_and(|tier| tier == "2");
    if !asked {
        println!("skipped: {TIER} is not 2");
    }
    asked
}

/// Finds the first of these programs that there is.
pub(crate) fn program(names: &[&str]) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = names.iter().find_map(|name| {
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
    });
    found.unwrap_or_else(|| panic!("{} is needed", names[0]))
}
