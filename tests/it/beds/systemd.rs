//! systemd itself, as the first process of a container, and its program for kernel parameters.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use super::bed::{Bed, Release, Run, applied, assert_same, rendered, tree};
use crate::support::{tools, turns};

const WORDS: [&str; 4] = ["--k3s-version", "v1.33.4+k3s1", "--role", "server"];
const DROP_IN: &str = "/etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml";

/// Boots a root once: `$1` an empty directory, `$2` the root, `$3` the binary, `$4` what is laid over the root, `$5` where
/// the container leaves what it has seen, `$6` what makes the node ready. There /proc/sys is read-only.
const BOOT: &str = r#"
set -eu
umask 022
base=$1 root=$2
# Two containers at once would share their control groups, and the systemd of one would end the other's services.
mkdir -p /run/lock
exec 9> /run/lock/k3s-harden-beds
flock 9
mount -t tmpfs -o mode=0755 tmpfs "$base"
mkdir "$base/upper" "$base/work" "$base/node"
mount -t overlay -o "lowerdir=$root,upperdir=$base/upper,workdir=$base/work" overlay "$base/node"
cp "$3" "$base/node/usr/local/bin/k3s-harden"
cp -r "$4/." "$base/node"
echo 5f3c1e0a7b2d4c6e8f90a1b2c3d4e5f6 > "$base/node/etc/machine-id"
chroot "$base/node" env -i PATH="$PATH" sh -euc "$6"
exec timeout --kill-after=10 120 systemd-nspawn --quiet --register=no --keep-unit --private-network \
  --console=read-only --bind="$5:/out" --directory="$base/node" --boot
"#;

/// What stands for K3s: it notes what it finds, and stays.
const K3S: &str = r#"#!/bin/sh
# version.Version=v1.33.4+k3s1
mkdir /out/copy
cp -a --parents /etc/rancher /etc/sysctl.d /var/lib/rancher /out/copy
mv /out/copy /out/seen
exec sleep infinity
"#;

/// The unit that K3s' installation makes, as far as it matters here.
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
journalctl --no-pager -o cat > /out/journal
systemctl --no-block start poweroff.target
"#;

/// The last unit of a boot: it notes what has become of the others, and ends it.
const END_SERVICE: &str = "[Unit]
After=k3s.service k3s-harden.service
[Service]
Type=oneshot
ExecStart=/usr/local/bin/end
[Install]
WantedBy=multi-user.target
";

/// What was seen at a boot.
struct Boot {
    out: tempfile::TempDir,
    journal: String,
}

impl Boot {
    /// Boots a node on which K3s, our unit and the gate are installed, after `prepare` has been run in it.
    fn of(release: Release, prepare: &str) -> Self {
        tools::need_root();
        tools::need(&["systemd-nspawn"]);
        let base = tempfile::Builder::new().disable_cleanup(true).tempdir().unwrap().path().to_owned();
        let (over, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let units = over.path().join("etc/systemd/system");
        let programs = over.path().join("usr/local/bin");
        fs::create_dir_all(&programs).unwrap();
        let words = [WORDS.as_slice(), &["--out", units.to_str().unwrap()]].concat();
        rendered("systemd", &words);
        fs::write(units.join("k3s.service"), K3S_SERVICE).unwrap();
        fs::write(units.join("end.service"), END_SERVICE).unwrap();
        fs::write(programs.join("k3s"), K3S).unwrap();
        fs::write(programs.join("end"), END).unwrap();
        let prepare = format!(
            "chmod 0755 /etc/systemd /etc/systemd/system /usr/local/bin /usr/local/bin/*
             systemctl --quiet enable k3s k3s-harden end
             {prepare}"
        );
        let output = tools::command("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", BOOT, "sh"])
            .args([
                &base,
                release.root(),
                Path::new(env!("CARGO_BIN_EXE_k3s-harden")),
                over.path(),
                out.path(),
            ])
            .arg(prepare)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        fs::remove_dir(&base).expect("a mount has left its namespace");
        let run = Run::of(output).expect_when(0, "systemd-nspawn");
        let journal = fs::read_to_string(out.path().join("journal"));
        let journal = journal.unwrap_or_else(|error| panic!("{error}: {}{}", run.stdout, run.stderr));
        Self { out, journal }
    }

    /// Returns what systemd knows of a unit at the end.
    fn unit(&self, name: &str) -> BTreeMap<String, String> {
        let text = fs::read_to_string(self.out.path().join(name)).unwrap();
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    /// Tells whether K3s was started.
    fn started(&self) -> bool {
        self.out.path().join("seen").exists()
    }
}

#[test]
#[ignore = "needs root, unshare, mmdebstrap and systemd-nspawn"]
fn the_unit_applies_before_k3s_starts_and_the_gate_is_asked() {
    let _busy = turns::busy();
    for release in [Release::Bookworm, Release::Trixie] {
        let boot = Boot::of(release, "");
        assert!(boot.started(), "{}", boot.journal);
        let expected = applied(release, &WORDS);
        assert_same(&tree(&boot.out.path().join("seen")), &expected, "what K3s saw when it started");
        let (unit, k3s) = (boot.unit("k3s-harden"), boot.unit("k3s"));
        assert_eq!((&*unit["ActiveState"], &*k3s["ActiveState"]), ("active", "active"));
        let time = |unit: &BTreeMap<String, String>, key: &str| unit[key].parse::<u64>().unwrap();
        let applied = time(&unit, "ExecMainExitTimestampMonotonic");
        assert!(applied > 0 && applied < time(&k3s, "ExecMainStartTimestampMonotonic"));
        assert!(k3s["ExecStartPre"].contains("preflight --role server"), "{}", k3s["ExecStartPre"]);
        assert!(k3s["ExecStartPre"].contains("code=exited ; status=0"), "{}", k3s["ExecStartPre"]);
        assert!(boot.journal.contains("K3s starts."), "{}", boot.journal);
    }
}

#[test]
#[ignore = "needs root, unshare, mmdebstrap and systemd-nspawn"]
fn where_hardening_fails_k3s_is_not_started() {
    let _busy = turns::busy();
    let boot = Boot::of(Release::Bookworm, &format!("mkdir -p {DROP_IN}"));
    assert!(!boot.started(), "{}", boot.journal);
    assert_eq!(boot.unit("k3s-harden")["ActiveState"], "failed");
    assert_eq!(boot.unit("k3s")["ActiveState"], "inactive");
    assert!(boot.journal.contains("Dependency failed for k3s.service"), "{}", boot.journal);
}

/// A node that was right, and on which somebody has made a mistake since.
#[test]
#[ignore = "needs root, unshare, mmdebstrap and systemd-nspawn"]
fn the_gate_keeps_k3s_from_starting_to_die_again_and_holds_nothing_up_itself() {
    let _busy = turns::busy();
    let mistake = format!(
        "systemctl --quiet disable k3s-harden
         k3s-harden apply -q --no-live-sysctl {}
         echo 'kube-apiserver-arg: [no-such-argument=1]' > /etc/rancher/k3s/config.yaml",
        WORDS.join(" ")
    );
    let boot = Boot::of(Release::Trixie, &mistake);
    assert!(!boot.started(), "{}", boot.journal);
    assert!(boot.journal.contains("no-such-argument"), "{}", boot.journal);
    assert!(boot.unit("k3s")["ExecStartPre"].contains("code=exited ; status=1"));
    // Where the program is gone there is nobody to ask.
    let boot = Boot::of(Release::Trixie, &format!("{mistake}\nrm /usr/local/bin/k3s-harden"));
    assert!(boot.started(), "{}", boot.journal);
}

/// What systemd does at a boot with all files under sysctl.d, ours among the distribution's.
#[test]
#[ignore = "needs root, unshare and mmdebstrap"]
fn at_a_boot_the_kernel_gets_our_parameters_unless_a_later_file_has_others() {
    let _busy = turns::busy();
    for release in [Release::Bookworm, Release::Trixie] {
        let bed = Bed::of(release);
        // A minor whose kubelet wants the parameters to be right before it starts.
        let words = "/opt/k3s-harden apply -q --no-live-sysctl --k3s-version 1.24 --role server";
        bed.run(words.split(' ')).expect_when(0, "apply");
        bed.has_old_parameters("before the boot");
        bed.run(["/usr/lib/systemd/systemd-sysctl"]);
        bed.has_parameters("after the boot");

        bed.write("/etc/sysctl.d/99-mine.conf", 0o644, "kernel.panic=0\n");
        let run = bed.run(["/opt/k3s-harden", "preflight"]).expect_when(2, "preflight");
        assert!(
            run.stdout.contains("does not start after a reboot: /etc/sysctl.d/99-mine.conf"),
            "{}",
            run.stdout
        );
        bed.run(["/usr/lib/systemd/systemd-sysctl"]);
        let panic = fs::read_to_string(bed.path("/proc/sys/kernel/panic")).unwrap();
        assert_eq!(panic.lines().next(), Some("0"), "preflight was right");
    }
}
