// SPDX-License-Identifier: Apache-2.0
//! systemd itself, as the first process of a container, and its program for kernel parameters.

use std::collections::BTreeMap;
use std::fs;

use super::bed::{Bed, Release, applied, assert_same, tree};
use super::boot::{Boot, WORDS};
use crate::support::turns;

const DROP_IN: &str = "/etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml";

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
    assert!(boot.journal.contains("k3s-harden apply failed (exit-code, "), "{}", boot.journal);
    assert!(boot.journal.contains("k3s is not started. Mend"), "{}", boot.journal);
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
