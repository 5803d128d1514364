//! Turns the YAML data of the project (profiles, settings, controls, minors) into JSON that the binary embeds.
//!
//! Parsing YAML was the dearest part of a run that changes nothing, and what is fixed at build time need not
//! be parsed as YAML on every node. A file that is not valid YAML fails the build here.

#![allow(clippy::disallowed_methods, reason = "a build script has no node")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

/// Folders whose `*.yaml` are embedded, and the constant each becomes.
const FOLDERS: [(&str, &str); 6] = [
    ("profiles", "PROFILES"),
    ("src/profile/data", "TABLES"),
    ("src/k3s/data", "K3S_TABLES"),
    ("src/document/data", "DOCUMENT_TABLES"),
    ("src/verify/data", "VERIFY_TABLES"),
    ("src/verify/data/scanner", "SCANNER_TABLES"),
];

fn main() {
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let mut code = String::new();
    for (folder, constant) in FOLDERS {
        println!("cargo::rerun-if-changed={folder}");
        writeln!(code, "/// `{folder}/*.yaml` as (name, JSON), sorted by name.").expect("a string takes it");
        writeln!(code, "const {constant}: &[(&str, &str)] = &[").expect("a string takes it");
        for (name, json) in read_folder(Path::new(folder)) {
            writeln!(code, "    ({name:?}, {json:?}),").expect("a string takes it");
        }
        writeln!(code, "];").expect("a string takes it");
    }
    fs::write(Path::new(&out).join("embedded.rs"), code).expect("OUT_DIR can be written");
}

fn read_folder(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("the folder is part of the project") {
        let path = entry.expect("the folder can be read").path();
        if path.extension().is_some_and(|ext| ext == "yaml") {
            let text = fs::read_to_string(&path).expect("the file can be read");
            let mut value: serde_yaml::Value =
                serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            value.apply_merge().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let json = serde_json::to_string(&value).expect("YAML with string keys is JSON");
            let name = path.file_stem().expect("it has a name").to_string_lossy().into_owned();
            found.insert(name, json);
        }
    }
    found
}
