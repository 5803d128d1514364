// SPDX-License-Identifier: Apache-2.0
//! cloud-init itself, all four stages of a boot, with the distribution's own list of modules.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use super::bed::{Bed, Release, Run, applied, assert_same, rendered};
use crate::deploy_times::{DeployController, MANIFESTS};
use crate::minors::newest;
use crate::support::{tools, turns};

/// What there is nothing to do for in a namespace: no network, no disk of its own, no keys of a server.
const SITE: &str = "datasource_list: [NoCloud, None]
network: {config: disabled}
growpart: {mode: 'off'}
resize_rootfs: false
locale: false
ssh_genkeytypes: []
users: []
apt: {preserve_sources_list: true}
";

/// One boot: its stages go on whatever becomes of the one before. What lies below /run is gone after one.
const BOOT: &str = "rm -rf /run/cloud-init
cloud-init init --local
cloud-init init
cloud-init modules --mode=config
cloud-init modules --mode=final
cloud-init status --long";

/// What the test lays behind our lines, in the place of K3s's installation.
const INSTALL: &str = "  - touch /installed\n";

const DROP_IN: &str = "/etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml";

/// Every kind of node that is tried on every release of cloud-init.
fn nodes() -> [[&'static str; 4]; 4] {
    [
        ["--k3s-version", "1.24", "--role", "server"],
        ["--k3s-version", "1.24", "--role", "agent"],
        ["--k3s-version", newest(), "--role", "server"],
        ["--k3s-version", newest(), "--role", "agent"],
    ]
}

/// A node with that user-data, before its first boot.
fn seeded(release: Release, user_data: &[u8]) -> Bed {
    let bed = Bed::of(release);
    bed.write("/etc/cloud/cloud.cfg.d/99_site.cfg", 0o644, SITE);
    bed.write("/var/lib/cloud/seed/nocloud-net/user-data", 0o600, user_data);
    bed.write("/var/lib/cloud/seed/nocloud-net/meta-data", 0o644, "instance-id: one\nlocal-hostname: node\n");
    bed
}

fn boot(bed: &Bed) -> Run {
    bed.run(["sh", "-c", BOOT])
}

#[track_caller]
fn boots(bed: &Bed, when: &str) {
    let run = boot(bed);
    assert!(run.stdout.contains("status: done"), "{when}: {}{}{}", run.stdout, run.stderr, log(bed));
    run.expect_when(0, when);
}

/// Returns what its commands said, which cloud-init keeps apart.
fn log(bed: &Bed) -> String {
    let text = fs::read_to_string(bed.path("/var/log/cloud-init.log")).unwrap_or_default();
    text.lines()
        .filter(|line| line.contains("WARN") || line.contains("rror"))
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
#[ignore = "needs root, unshare and mmdebstrap"]
fn the_schema_of_cloud_init_has_nothing_to_say() {
    let _busy = turns::busy();
    let bed = Bed::of(Release::Trixie);
    let schema = |text: &str| {
        bed.write("/user-data", 0o644, text);
        bed.run(["cloud-init", "schema", "--annotate", "--config-file", "/user-data"])
    };
    for profile in ["cis", "cis,strict"] {
        for words in nodes() {
            let words = [words.as_slice(), &["--profile", profile]].concat();
            let text = rendered("cloud-init", &words);
            let run = schema(&text).expect_when(0, profile);
            // Where it has something to say, it says it as comments in the text.
            assert!(!run.stdout.contains("# E") && !run.stdout.contains("# D"), "{words:?}: {}", run.stdout);
            assert_eq!(run.stdout.trim(), "Valid schema /user-data", "{words:?}: {}", run.stderr);
            assert_eq!(run.stderr, "", "{words:?}");
        }
    }
    let example = fs::read_to_string("examples/cloud-init/user-data.yaml").unwrap();
    assert_eq!(schema(&example).expect_when(0, "the example").stdout.trim(), "Valid schema /user-data");
    // It would have said so.
    assert_ne!(schema("#cloud-config\nruncmdx: []\n").code, Some(0));
}

#[test]
#[ignore = "needs root, unshare and mmdebstrap"]
fn a_boot_of_an_older_cloud_init_makes_what_apply_makes_and_the_next_one_nothing() {
    let _busy = turns::busy();
    two_boots(Release::Bookworm);
}

#[test]
#[ignore = "needs root, unshare and mmdebstrap"]
fn a_boot_of_a_newer_cloud_init_makes_what_apply_makes_and_the_next_one_nothing() {
    let _busy = turns::busy();
    two_boots(Release::Trixie);
}

fn two_boots(release: Release) {
    for words in nodes() {
        let when = format!("{release:?} {words:?}");
        let bed = seeded(release, (rendered("cloud-init", &words) + INSTALL).as_bytes());
        boots(&bed, &when);
        assert!(bed.has("/installed"), "{when}");
        assert_same(&bed.tree(), &applied(release, &words), &when);
        bed.has_parameters(&when);
        let before = written(&bed);
        boots(&bed, &when);
        assert_eq!(written(&bed), before, "{when}: the second boot");
    }
}

/// When everything of ours was written to, and which file it is.
fn written(bed: &Bed) -> BTreeMap<String, (u64, i64, i64)> {
    let times = |path: String| {
        let found = bed.path(&path).symlink_metadata().unwrap();
        (path, (found.ino(), found.mtime(), found.mtime_nsec()))
    };
    bed.tree()
        .into_keys()
        .filter(|path| path.contains("rancher") || path.contains("sysctl"))
        .map(times)
        .collect()
}

/// K3s does not look at a manifest whose time is that of the one before it.
#[test]
#[ignore = "needs root, unshare and mmdebstrap"]
fn a_running_k3s_applies_the_policies_of_changed_user_data() {
    let _busy = turns::busy();
    let user_data = |more: &[&str]| {
        let words = [&["--k3s-version", newest(), "--role", "server"][..], more].concat();
        rendered("cloud-init", &words)
    };
    for release in [Release::Bookworm, Release::Trixie] {
        let bed = seeded(release, user_data(&[]).as_bytes());
        boots(&bed, "the first boot");
        let mut controller = DeployController::start(bed.path(&format!("/{MANIFESTS}")));
        assert_eq!(controller.pass(), ["policy.yaml"], "{release:?}");
        let seed = "/var/lib/cloud/seed/nocloud-net";
        bed.write(&format!("{seed}/user-data"), 0o600, user_data(&["--set", "ingress_to=shop"]).as_bytes());
        bed.write(&format!("{seed}/meta-data"), 0o644, "instance-id: two\nlocal-hostname: node\n");
        boots(&bed, "another instance");
        assert_eq!(controller.pass(), ["policy.yaml"], "{release:?}");
        assert!(controller.is_up_to_date("policy.yaml"), "{release:?}");
    }
}

#[test]
#[ignore = "needs root, unshare and mmdebstrap"]
fn compressed_user_data_does_the_same() {
    let _busy = turns::busy();
    let words = ["--k3s-version", newest(), "--role", "server"];
    let text = rendered("cloud-init", &words) + INSTALL;
    for release in [Release::Bookworm, Release::Trixie] {
        let bed = seeded(release, &gzip(&text));
        boots(&bed, "gzip");
        assert!(bed.has("/installed"));
        assert_same(&bed.tree(), &applied(release, &words), "gzip");
    }
}

/// Compresses as `render` tells its user to.
fn gzip(text: &str) -> Vec<u8> {
    let mut child =
        tools::command("gzip").arg("-9").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap().stdout
}

#[test]
#[ignore = "needs root, unshare and mmdebstrap"]
fn what_cannot_be_written_is_an_error_and_nothing_is_installed() {
    let _busy = turns::busy();
    let words = ["--k3s-version", newest(), "--role", "server"];
    let text = rendered("cloud-init", &words) + INSTALL;
    let server = "/var/lib/rancher/k3s/server";
    let in_the_way = [
        format!("mkdir -p {DROP_IN}"),
        format!("mkdir -p {server}; : > {server}/manifests"),
        "mkdir /etc/rancher; mount -t tmpfs -o ro tmpfs /etc/rancher".to_owned(),
    ];
    for release in [Release::Bookworm, Release::Trixie] {
        for hindrance in &in_the_way {
            let bed = seeded(release, text.as_bytes());
            bed.prepare(hindrance);
            let run = boot(&bed);
            assert!(
                run.stdout.contains("status: error"),
                "{release:?} {hindrance}: {}{}",
                run.stdout,
                log(&bed)
            );
            assert!(!bed.has("/installed"), "{release:?} {hindrance}");
        }
    }
}

/// The example as it is; only `curl` is another one, which brings this binary, and a script in the place of K3s'.
#[test]
#[ignore = "needs root, unshare and mmdebstrap"]
fn the_example_installs_k3s_on_a_hardened_node_only() {
    let _busy = turns::busy();
    let example = fs::read_to_string("examples/cloud-init/user-data.yaml").unwrap();
    let words = ["--k3s-version", "v1.33.4+k3s1", "--role", "server", "--set", "audit_log_maxage=90"];
    for release in [Release::Bookworm, Release::Trixie] {
        for right in [true, false] {
            let bed = seeded(release, with_sum(&bed_sum(), &example).as_bytes());
            bed.write("/usr/local/bin/curl", 0o755, CURL);
            if right {
                boots(&bed, "the example");
                assert_same(&bed.tree(), &applied(release, &words), "the example");
                bed.has_parameters("the example");
                let installed = fs::read_to_string(bed.path("/installed")).unwrap();
                assert_eq!(installed, "v1.33.4+k3s1 server\n");
            } else {
                bed.prepare(&format!("mkdir -p {DROP_IN}"));
                let run = boot(&bed);
                assert!(run.stdout.contains("status: error"), "{}{}", run.stdout, log(&bed));
                assert!(!bed.has("/installed"));
            }
        }
        // Another program than the one whose sum is written down is not run.
        let bed = seeded(release, example.as_bytes());
        bed.write("/usr/local/bin/curl", 0o755, CURL);
        assert!(boot(&bed).stdout.contains("status: error"));
        assert!(!bed.has("/installed") && !bed.has("/etc/rancher"));
    }
}

/// What stands for `curl`: of the two addresses of the example it knows what is there.
const CURL: &str = r#"#!/bin/sh
set -eu
while [ $# -gt 0 ]; do
  case $1 in
    -o) file=$2; shift ;;
    https://get.k3s.io) from=k3s ;;
    https://*/k3s-harden) from=program ;;
  esac
  shift
done
case $from in
  k3s) echo 'echo "$INSTALL_K3S_VERSION" "$@" > /installed' > "$file" ;;
  program) cp /opt/k3s-harden "$file" ;;
esac
"#;

/// Returns the sum of the binary, as `sha256sum` prints it.
fn bed_sum() -> String {
    let output = Command::new("sha256sum").arg(env!("CARGO_BIN_EXE_k3s-harden")).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
}

/// Writes the sum where the example has zeros.
fn with_sum(sum: &str, example: &str) -> String {
    let zeros = "0".repeat(64);
    assert_eq!(example.matches(&zeros).count(), 1);
    example.replace(&zeros, sum)
}
