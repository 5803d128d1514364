// SPDX-License-Identifier: Apache-2.0
//! A boot of a node with systemd as the first process of a container.

use std::collections::BTreeMap;
use std::fs;

use super::bed::{Release, rendered};
use crate::support::{container, tools};

pub(crate) const WORDS: [&str; 4] = ["--k3s-version", "v1.33.4+k3s1", "--role", "server"];

/// What stands for K3s: it notes what it finds, and stays.
const K3S: &str = r#"#!/bin/sh
# version.Version=v1.33.4+k3s1
mkdir /out/copy
cp -a --parents /etc/rancher /etc/sysctl.d /var/lib/rancher /out/copy
mv /out/copy /out/seen
exec sleep infinity
"#;

/// The unit that K3s's installation makes, as far as it matters here.
const K3S_SERVICE: &str = "[Unit]
Wants=network-online.target
After=network-online.target
[Service]
Type=exec
Restart=always
RestartSec=5s
ExecStart=/usr/local/bin/k3s server
[Install]
WantedBy=multi-user.target
";

/// What that unit runs. K3s may need a moment for its notes.
const END: &str = r#"#!/bin/sh
exec 2> /out/end.log
while systemctl --quiet is-active k3s && [ ! -e /out/seen ]; do
  sleep 0.1
done
systemctl show k3s > /out/k3s
systemctl show k3s-harden > /out/k3s-harden
MORE
journalctl --no-pager -o cat > /out/journal
systemctl --no-block start poweroff.target
"#;

/// The last unit of a boot: it notes what has become of the others, and ends it.
const END_SERVICE: &str = "[Unit]
After=k3s.service k3s-harden.service
[Service]
TimeoutStartSec=infinity
Type=oneshot
ExecStart=/usr/local/bin/end
[Install]
WantedBy=multi-user.target
";

/// Where the binary is unless a test puts it elsewhere.
const BINARY: &str = "/usr/local/bin/k3s-harden";

/// A node that is booted once.
pub(crate) struct BootRecipe<'a> {
    pub(crate) release: Release,
    /// What is run in it before the boot.
    pub(crate) prepare: String,
    /// Where the binary is.
    pub(crate) binary: &'a str,
    /// What the last unit does before it ends the boot.
    pub(crate) end: &'a str,
}

/// What was seen at a boot.
pub(crate) struct Boot {
    pub(crate) out: tempfile::TempDir,
    pub(crate) journal: String,
}

impl Boot {
    /// Boots a node on which K3s, our unit and the gate are installed, after `prepare` has been run in it.
    pub(crate) fn of(release: Release, prepare: &str) -> Self {
        Self::with(&BootRecipe { release, prepare: prepare.to_owned(), binary: BINARY, end: "" })
    }

    /// The same with a binary elsewhere, or with more to do at the end.
    pub(crate) fn with(recipe: &BootRecipe<'_>) -> Self {
        tools::need_root();
        tools::need(&["systemd-nspawn"]);
        let over = tempfile::tempdir().unwrap();
        let units = over.path().join("etc/systemd/system");
        let programs = over.path().join("usr/local/bin");
        fs::create_dir_all(&programs).unwrap();
        let words =
            [WORDS.as_slice(), &["--binary", recipe.binary, "--out", units.to_str().unwrap()]].concat();
        rendered("systemd", &words);
        fs::write(units.join("k3s.service"), K3S_SERVICE).unwrap();
        fs::write(units.join("end.service"), END_SERVICE).unwrap();
        fs::write(programs.join("k3s"), K3S).unwrap();
        fs::write(programs.join("end"), END.replace("MORE", recipe.end)).unwrap();
        let prepare = format!(
            "chmod 0755 /etc/systemd /etc/systemd/system /usr/local/bin /usr/local/bin/*
             systemctl --quiet enable k3s k3s-harden end
             {prepare}",
            prepare = recipe.prepare,
        );
        let program = over.path().join(recipe.binary.trim_start_matches('/'));
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        fs::copy(env!("CARGO_BIN_EXE_k3s-harden"), program).unwrap();
        let (out, run) = container::boot(recipe.release, over.path(), &prepare);
        let run = run.expect_when(0, "systemd-nspawn");
        let journal = fs::read_to_string(out.path().join("journal"));
        let journal = journal.unwrap_or_else(|error| panic!("{error}: {}{}", run.stdout, run.stderr));
        Self { out, journal }
    }

    /// Returns what systemd knows of a unit at the end.
    pub(crate) fn unit(&self, name: &str) -> BTreeMap<String, String> {
        let text = fs::read_to_string(self.out.path().join(name)).unwrap();
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    /// Tells whether K3s was started.
    pub(crate) fn started(&self) -> bool {
        self.out.path().join("seen").exists()
    }
}
