// SPDX-License-Identifier: Apache-2.0
//! The binary as root on a root of its own: modes, owners, kernel parameters, read-only and full file systems.
//!
//! They are part of the second tier: `cargo test --test it real_root -- --include-ignored` as root.

#![allow(clippy::disallowed_methods, reason = "tests look at their nodes by hand")]
#![allow(clippy::unwrap_used, reason = "clippy takes helpers of tests for something else than tests")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};

use crate::support::node::{APPLY, Node, Run, TREES, WRONG};
use crate::support::tools;

const SERVER: &str = "/var/lib/rancher/k3s/server";
const AUDIT: &str = "/var/lib/rancher/k3s/server/audit.yaml";
const PSA: &str = "/var/lib/rancher/k3s/server/psa.yaml";
const DROP_IN: &str = "/etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml";
const SYSCTL: &str = "/etc/sysctl.d/90-kubelet.conf";
const STATE: &str = "/var/lib/k3s-harden";
const RUN: &str = "/var/lib/k3s-harden/runs/0001";
const JOURNAL: &str = "/var/lib/k3s-harden/runs/0001/journal.json";
const PUT_BACK: &str = "all changes of this run were rolled back";

/// The kernel parameters afterwards, in the order of [`WRONG`]; the first two are left alone unless asked for.
const RIGHT: [&str; 6] = ["20000", "200", "10", "1", "1", "0"];

/// What is on every node afterwards.
const BOTH: [(&str, &str); 10] = [
    ("/etc/rancher", "0755 0:0"),
    ("/etc/rancher/k3s", "0755 0:0"),
    ("/etc/rancher/k3s/config.yaml.d", "0755 0:0"),
    (DROP_IN, "0600 0:0"),
    ("/etc/sysctl.d", "0755 0:0"),
    (SYSCTL, "0644 0:0"),
    (STATE, "0700 0:0"),
    ("/var/lib/k3s-harden/runs", "0700 0:0"),
    (RUN, "0700 0:0"),
    (JOURNAL, "0600 0:0"),
];

/// What is on a server besides.
const SERVERS: [(&str, &str); 8] = [
    ("/var/lib/rancher", "0755 0:0"),
    ("/var/lib/rancher/k3s", "0755 0:0"),
    (SERVER, "0700 0:0"),
    (AUDIT, "0600 0:0"),
    ("/var/lib/rancher/k3s/server/logs", "0700 0:0"),
    ("/var/lib/rancher/k3s/server/manifests", "0700 0:0"),
    ("/var/lib/rancher/k3s/server/manifests/policy.yaml", "0600 0:0"),
    (PSA, "0600 0:0"),
];

fn table(rows: &[(&str, &str)]) -> BTreeMap<String, String> {
    rows.iter().map(|(path, mode)| ((*path).to_owned(), (*mode).to_owned())).collect()
}

fn servers_table() -> BTreeMap<String, String> {
    table(&[&BOTH[..], &SERVERS[..]].concat())
}

fn wrong() -> Vec<&'static str> {
    WRONG.iter().map(|(_, value)| *value).collect()
}

#[test]
#[ignore = "needs root and unshare"]
fn a_server_is_as_the_table_says_whatever_the_umask() {
    for umask in ["000", "077"] {
        let node = Node::make();
        node.run(["sh", "-c", &format!("umask {umask}; exec {}", APPLY.join(" "))]).expect(0);
        assert_eq!(node.modes(), servers_table(), "umask {umask}");
        assert_eq!(node.sysctls(), RIGHT);
    }
}

#[test]
#[ignore = "needs root and unshare"]
fn an_agent_has_nothing_of_a_server() {
    let node = Node::make();
    node.run(["k3s-harden", "apply", "--k3s-version", "1.33", "--role", "agent"]).expect(0);
    assert_eq!(node.modes(), table(&BOTH));
    assert_eq!(node.sysctls(), RIGHT);
}

#[test]
#[ignore = "needs root and unshare"]
fn an_older_minor_has_no_admission_file_and_more_parameters_where_asked() {
    let node = Node::make();
    let keys = ["--set", "kernel_keys=true"];
    node.run(["k3s-harden", "apply", "--k3s-version", "1.24", "--role", "server"].into_iter().chain(keys))
        .expect(0);
    let mut expected = servers_table();
    expected.remove(PSA);
    assert_eq!(node.modes(), expected);
    assert_eq!(node.sysctls(), ["25000000", "1000000", "10", "1", "1", "0"]);
}

#[test]
#[ignore = "needs root and unshare"]
fn directories_above_ours_stay_as_they_are_and_ours_do_not() {
    let node = Node::make();
    node.prepare(
        "mkdir -p /etc/rancher /etc/sysctl.d /var/lib/rancher/k3s/server/manifests
         chmod 0711 /etc/rancher; chown 5:6 /etc/rancher
         chmod 1777 /etc/sysctl.d
         chmod 0755 /var/lib/rancher/k3s/server/manifests
         chown 7:8 /var/lib/rancher/k3s/server; chmod 2775 /var/lib/rancher/k3s/server",
    );
    node.apply(&[]).expect(0);
    let mut expected = servers_table();
    expected.insert("/etc/rancher".into(), "0711 5:6".into());
    expected.insert("/etc/sysctl.d".into(), "1777 0:0".into());
    assert_eq!(node.modes(), expected);
}

#[test]
#[ignore = "needs root and unshare"]
fn the_state_directory_is_private_also_where_it_was_there() {
    let node = Node::make();
    node.prepare(&format!("mkdir -p {STATE}/runs; chmod 0755 {STATE} {STATE}/runs; chown 5:6 {STATE}"));
    node.apply(&[]).expect(0);
    assert_eq!(node.modes(), servers_table());
}

#[test]
#[ignore = "needs root and unshare"]
fn the_working_directory_does_not_matter() {
    let elsewhere = "mkdir /elsewhere; mount -t tmpfs tmpfs /elsewhere; cd /elsewhere";
    let removed = "mkdir /removed; cd /removed; rmdir /removed";
    let own_var = "mount -t tmpfs tmpfs /var/lib; cd /";
    for script in [elsewhere, removed, own_var] {
        let node = Node::make();
        node.prepare(&format!("{script}; exec {}", APPLY.join(" ")));
        assert_eq!(node.modes(), servers_table(), "{script}");
    }
}

#[test]
#[ignore = "needs root and unshare"]
fn a_second_run_changes_nothing() {
    let node = Node::make();
    node.apply(&[]).expect(0);
    let before = node.everything();
    assert_eq!(node.apply(&[]).expect(0).stdout, "Nothing to change.\n");
    assert_eq!(node.everything(), before);
    node.make_read_only("/");
    assert_eq!(node.apply(&[]).expect(0).stdout, "Nothing to change.\n");
}

#[test]
#[ignore = "needs root, unshare and strace"]
fn a_second_run_opens_nothing_for_writing() {
    let node = Node::make();
    let traced = || {
        strace(&node, &["-f", "-o", "/tmp/calls", "-e", "trace=%file,%desc"], &APPLY).expect(0);
        writing(&fs::read_to_string(node.path("/tmp/calls")).unwrap())
    };
    let first = traced();
    for call in ["openat", "mkdirat", "renameat", "fchmod", "write"] {
        assert!(first.iter().any(|line| name(line) == call), "the first run has no {call}: {first:#?}");
    }
    assert_eq!(traced(), Vec::<String>::new());
}

/// Runs a command with its system calls watched.
fn strace(node: &Node, options: &[&str], command: &[&str]) -> Run {
    tools::need(&["strace"]);
    node.run(["strace"].iter().chain(options).chain(command).copied())
}

/// Returns the system calls that change something on a file system, or open something so that it can be changed.
fn writing(calls: &str) -> Vec<String> {
    let flags = ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"];
    let output = ["write(1,", "write(2,"];
    let change = "chmod chown copy_file_range creat fallocate link mkdir mknod removexattr rename rmdir sendfile \
                  setxattr splice truncate utime";
    let is_writing = |line: &&str| {
        let name = name(line);
        (name.starts_with("open") && flags.iter().any(|flag| line.contains(flag)))
            || (name.contains("write") && !output.iter().any(|call| line.contains(call)))
            || (!name.starts_with("readlink") && change.split(' ').any(|change| name.contains(change)))
    };
    calls.lines().filter(is_writing).map(str::to_owned).collect()
}

/// Returns the name of the system call in a line of strace, which begins with the number of the process.
fn name(line: &str) -> &str {
    let call = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
    call.split('(').next().unwrap_or_default()
}

#[test]
#[ignore = "needs root and unshare"]
fn modes_and_owners_are_repaired_without_writing() {
    let node = Node::make();
    node.apply(&[]).expect(0);
    let before = node.everything();
    let set_mode =
        |path, mode| fs::set_permissions(node.path(path), PermissionsExt::from_mode(mode)).unwrap();
    set_mode(AUDIT, 0o666);
    set_mode(SERVER, 0o755);
    chown(node.path(AUDIT), Some(12), Some(34)).unwrap();
    chown(node.path(DROP_IN), None, Some(34)).unwrap();
    let run = node.apply(&[]).expect(0);
    assert!(run.stdout.contains("\n3 changed in mode or owner.\n"), "{}", run.stdout);
    let after = node.everything();
    for path in [AUDIT, SERVER, DROP_IN] {
        let (before, after) = (&before[path], &after[path]);
        assert_eq!((after.mode, after.owner), (before.mode, before.owner), "{path}");
        assert_eq!((after.inode, after.modified), (before.inode, before.modified), "{path}");
    }
}

#[test]
#[ignore = "needs root and unshare"]
fn on_a_read_only_file_system_nothing_is_begun() {
    for (path, named) in [("/etc", "/etc"), ("/var/lib", "/var/lib"), ("/", "/var/lib")] {
        let node = Node::make();
        node.make_read_only(path);
        let before = node.everything();
        node.apply(&[]).expect(73).says(&format!("error: {named} is on a read-only file system"));
        assert_eq!(node.everything(), before, "{path}");
        assert_eq!(node.sysctls(), wrong(), "{path}");
    }
}

#[test]
#[ignore = "needs root and unshare"]
fn one_read_only_directory_among_many_is_found_first() {
    let node = Node::make();
    node.prepare("mkdir /etc/rancher");
    node.make_read_only("/etc/rancher");
    let before = node.everything();
    node.apply(&[]).expect(73).says("error: /etc/rancher is on a read-only file system");
    assert_eq!(node.everything(), before);
    assert_eq!(node.sysctls(), wrong());
}

#[test]
#[ignore = "needs root and unshare"]
fn a_failure_in_the_middle_puts_everything_back() {
    let node = Node::make();
    // Nothing can be renamed over a mount point, and nothing tells so before one tries.
    node.prepare(&format!(
        "mkdir -p /etc/rancher/k3s/config.yaml.d {SERVER}; chmod 0755 {SERVER}
         echo mine > {AUDIT}; chmod 0640 {AUDIT}; chown 12:34 {AUDIT}
         echo busy > {DROP_IN}; mount --bind {DROP_IN} {DROP_IN}"
    ));
    let before = node.modes();
    let run = node.apply(&[]).says(&format!("error: cannot write {DROP_IN}")).says(PUT_BACK);
    assert_ne!(run.code, Some(0));
    let mut after = node.modes();
    after.retain(|path, _| !path.starts_with(STATE));
    assert_eq!(after, before);
    assert_eq!(fs::read_to_string(node.path(AUDIT)).unwrap(), "mine\n");
    assert_eq!(node.sysctls(), wrong());
    assert!(fs::read_to_string(node.path(JOURNAL)).unwrap().contains(r#""state": "rolled-back""#));
}

fn as_nobody(node: &Node, arguments: &[&str]) -> Run {
    tools::need(&["setpriv"]);
    let setpriv = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
    node.run(setpriv.iter().chain(&APPLY).chain(arguments).copied())
}

#[test]
#[ignore = "needs root, unshare and setpriv"]
fn who_is_not_root_is_told_so() {
    let node = Node::make();
    // It is not for want of rights that nothing is begun.
    node.prepare("chmod 1777 /etc /var/lib");
    let before = node.everything();
    as_nobody(&node, &[])
        .expect(77)
        .says("only root can create files owned by root")
        .says("run it as root, for example with sudo");
    as_nobody(&node, &["--owner", "0:0"]).expect(77).says("only root can create files owned by 0:0");
    assert_eq!(node.everything(), before);
    node.prepare("chmod 0755 /etc");
    let before = node.everything();
    as_nobody(&node, &["--owner", "65534:65534"]).expect(77).says("error: cannot write in /etc");
    assert_eq!(node.everything(), before);
}

#[test]
#[ignore = "needs root, unshare and setpriv"]
fn an_image_can_be_built_without_root() {
    let node = Node::make();
    node.prepare("mkdir /image; chown 65534:65534 /image");
    as_nobody(&node, &["--owner", "65534:65534", "--root", "/image"]).expect(0);
    let found = node.traces(&["/image"]);
    for (path, mode) in servers_table() {
        assert_eq!(format!("{:04o} 0:0", found[&format!("/image{path}")].mode), mode, "{path}");
    }
    for (path, trace) in found {
        assert_eq!(trace.owner, (65534, 65534), "{path}");
    }
}

#[test]
#[ignore = "needs root, unshare and setpriv"]
fn a_group_of_others_is_refused_before_anything_is_made() {
    let node = Node::make();
    node.prepare("mkdir /image; chown 65534:65534 /image");
    as_nobody(&node, &["--owner", "65534:0", "--root", "/image"]).expect(77);
    assert_eq!(node.traces(&["/image"]).into_keys().collect::<Vec<_>>(), ["/image"]);
}

#[test]
#[ignore = "needs root and unshare"]
fn kernel_parameters_are_left_alone_where_asked() {
    let node = Node::make();
    node.apply(&["--no-live-sysctl"]).expect(0);
    assert_eq!(node.sysctls(), wrong());
    assert_eq!(node.modes(), servers_table());
}

#[test]
#[ignore = "needs root and unshare"]
fn a_kernel_parameter_that_cannot_be_set_is_a_warning() {
    let node = Node::make();
    node.make_read_only("/proc/sys/kernel/panic");
    // The kubelet could not set it either, and would exit.
    let run =
        node.apply(&[]).expect(1).says("K3s would not start: kernel.panic is 0, and the kubelet wants 10");
    run.says(PUT_BACK);
    node.prepare(&format!("rm -r {STATE}"));
    node.apply(&["--no-preflight"])
        .expect(0)
        .says("WARN the running kernel keeps kernel.panic: Read-only file system");
    assert_eq!(node.sysctls(), ["20000", "200", "0", "1", "1", "0"]);
    assert_eq!(node.modes(), servers_table());
}

#[test]
#[ignore = "needs root and unshare"]
fn what_could_not_be_set_is_not_called_updated() {
    let node = Node::make();
    node.make_read_only("/proc/sys/kernel/panic");
    let run = node.apply(&["--no-preflight"]).expect(0);
    assert!(run.stdout.contains("updated /proc/sys/kernel/panic_on_oops\n"), "{}", run.stdout);
    assert!(!run.stdout.contains("updated /proc/sys/kernel/panic\n"), "{}", run.stdout);
}

#[test]
#[ignore = "needs root and unshare"]
fn preflight_looks_at_the_running_kernel() {
    let node = Node::make();
    let preflight = |node: &Node, version| {
        node.run(["k3s-harden", "preflight", "--role", "server", "--k3s-version", version])
    };
    node.prepare(
        "mkdir -p /etc/rancher/k3s; echo 'protect-kernel-defaults: true' > /etc/rancher/k3s/config.yaml",
    );
    let run = preflight(&node, "1.33").expect(2);
    for line in [
        "does not start: /proc/sys/kernel/panic: kernel.panic is 0, and the kubelet wants 10 [kernel-now]",
        "K3s: invalid kernel flag: vm/overcommit_memory, expected value: 1, actual value: 0",
        "does not start after a reboot: at boot, nothing sets kernel.panic",
        "K3s does not start.",
    ] {
        assert!(run.stdout.contains(line), "{line}: {}", run.stdout);
    }
    // Without the key the kubelet sets them.
    node.prepare("rm /etc/rancher/k3s/config.yaml");
    preflight(&node, "1.33").expect(0);
    node.run([
        "k3s-harden",
        "apply",
        "--role",
        "server",
        "--k3s-version",
        "1.24",
        "--set",
        "kernel_keys=true",
    ])
    .expect(0);
    assert_eq!(preflight(&node, "1.24").expect(0).stdout, "K3s starts.\n");
    node.prepare("echo 0 > /proc/sys/kernel/panic");
    preflight(&node, "1.24").expect(2);
    node.prepare("touch /.dockerenv");
    let run = preflight(&node, "1.24").expect(0);
    assert!(run.stdout.contains("were not looked at: this is a container (/.dockerenv)"), "{}", run.stdout);
}

#[test]
#[ignore = "needs root and unshare"]
fn preflight_looks_at_the_disk_and_the_control_groups() {
    let node = Node::make();
    let sizes = ["--set", "audit_log_maxsize=1000000", "--set", "audit_log_maxbackup=100000"];
    let server = ["k3s-harden", "apply", "--role", "server", "--k3s-version", "1.36"];
    node.run(server.into_iter().chain(sizes)).expect(0);
    let preflight = |code| node.run(["k3s-harden", "preflight"]).expect(code).stdout;
    let said = preflight(0);
    assert!(
        said.contains("the audit log may need 100001000000 MB") && said.contains("[audit-log-disk]"),
        "{said}"
    );
    node.run(["k3s-harden", "rollback"]).expect(0);
    node.run(server).expect(0);
    assert_eq!(preflight(0), "K3s starts.\n");
    // Version 1 has no list of controllers at its top.
    node.prepare("mkdir -p /sys/fs/cgroup");
    let said = preflight(2);
    assert!(said.contains("[cgroup-v1]"), "{said}");
    node.prepare("echo 'kubelet-arg+: [fail-cgroupv1=false]' > /etc/rancher/k3s/config.yaml.d/99-x.yaml");
    assert_eq!(preflight(0), "K3s starts.\n");
    node.prepare("rm /etc/rancher/k3s/config.yaml.d/99-x.yaml; : > /sys/fs/cgroup/cgroup.controllers");
    assert_eq!(preflight(0), "K3s starts.\n");
}

#[test]
#[ignore = "needs root, unshare and setpriv"]
fn who_may_not_read_the_configuration_cannot_tell() {
    tools::need(&["setpriv"]);
    let node = Node::make();
    node.apply(&[]).expect(0);
    let words = "setpriv --reuid 65534 --regid 65534 --clear-groups k3s-harden preflight --k3s-version 1.33";
    let run = node.run(words.split(' ')).expect(0);
    assert!(run.stdout.ends_with("Unknown whether K3s starts.\n"), "{}", run.stdout);
    node.run(words.split(' ').chain(["--fail-on", "unknown"])).expect(3);
    let run = node.run(words.split(' ').chain(["--format", "json"])).expect(0);
    assert!(run.stdout.contains("\"starts\": null"), "{}", run.stdout);
}

#[test]
#[ignore = "needs root and unshare"]
fn a_container_keeps_the_parameters_of_its_host() {
    let docker = ("touch /.dockerenv", "/.dockerenv");
    let lxc = (r"printf 'PATH=/bin\0container=lxc\0' > /proc/1/environ", "/proc/1/environ");
    for (script, sign) in [docker, lxc] {
        let node = Node::make();
        node.prepare(script);
        let run = node.apply(&[]).expect(0).says("kernel parameters are not");
        run.says(&format!("this is a container ({sign})"));
        assert_eq!(node.sysctls(), wrong(), "{sign}");
        assert_eq!(node.modes(), servers_table());
    }
}

/// Puts somebody else's file where audit.yaml goes.
fn with_a_foreign_file() -> Node {
    let node = Node::make();
    node.prepare(&format!("mkdir -p {SERVER}; echo 'kind: Mine' > {AUDIT}; chmod 0644 {AUDIT}"));
    node
}

#[test]
#[ignore = "needs root and unshare"]
fn a_foreign_file_is_replaced_and_backed_up() {
    let node = with_a_foreign_file();
    node.apply(&[]).expect(0).says(&format!("WARN {AUDIT} was not written by k3s-harden: it is replaced"));
    let traces = node.traces(&[RUN]);
    let (backup, trace) = traces.iter().find(|(path, _)| path.ends_with(".before")).unwrap();
    assert_eq!(fs::read_to_string(node.path(backup)).unwrap(), "kind: Mine\n");
    assert_eq!((trace.mode, trace.owner), (0o600, (0, 0)));
    assert_eq!(node.modes(), servers_table());
    assert!(fs::read_to_string(node.path(AUDIT)).unwrap().contains("# Written by k3s-harden "));
}

#[test]
#[ignore = "needs root and unshare"]
fn a_foreign_file_is_kept_where_asked() {
    let node = with_a_foreign_file();
    let before = node.everything();
    let run = node.apply(&["--on-foreign", "keep", "--no-preflight"]).expect(0);
    run.says(&format!("WARN {AUDIT} was not written by k3s-harden and is kept"));
    assert_eq!(node.everything()[AUDIT], before[AUDIT]);
    let mut expected = servers_table();
    expected.insert(AUDIT.into(), "0644 0:0".into());
    assert_eq!(node.modes(), expected);
}

#[test]
#[ignore = "needs root and unshare"]
fn a_foreign_file_ends_the_run_where_asked() {
    let node = with_a_foreign_file();
    let before = node.everything();
    node.apply(&["--on-foreign", "fail"])
        .expect(1)
        .says(&format!("error: {AUDIT} was not written by k3s-harden"));
    assert_eq!(node.everything(), before);
    assert_eq!(node.sysctls(), wrong());
}

/// What brings an image at `/small` to the benchmark.
fn to_small(minor: &str) -> [&str; 8] {
    ["k3s-harden", "apply", "--root", "/small", "--role", "server", "--k3s-version", minor]
}

fn small(node: &Node, minor: &str) -> Run {
    node.run(to_small(minor))
}

/// Returns the files of ours below `/small`, without the journal.
fn documents(node: &Node) -> BTreeMap<String, String> {
    let trees = TREES.map(|path| format!("/small{path}"));
    let found = node.traces(&trees.each_ref().map(String::as_str));
    let files = found.into_keys().filter(|path| !path.contains(STATE) && node.path(path).is_file());
    files.map(|path| (path.clone(), fs::read_to_string(node.path(&path)).unwrap())).collect()
}

#[test]
#[ignore = "needs root and unshare"]
fn a_file_system_that_is_too_small_gets_all_or_nothing() {
    let node = Node::make();
    node.prepare("mkdir /small");
    small(&node, "1.33").expect(0);
    let whole = documents(&node);
    assert_eq!(node.sysctls(), wrong(), "an image has no kernel parameters");
    assert_eq!(whole.len(), 5);
    let inodes = (2..34).map(|count| format!("nr_inodes={count}"));
    let pages = (1..26).map(|count| format!("size={}k", 4 * count));
    let mut put_back = 0;
    let mut fitted = 0;
    for options in inodes.chain(pages) {
        node.prepare(&format!("mount -t tmpfs -o {options} tmpfs /small"));
        let run = small(&node, "1.33");
        if run.code == Some(0) {
            assert_eq!(documents(&node), whole, "{options}");
            fitted += 1;
        } else {
            put_back += u32::from(run.stderr.contains(PUT_BACK));
            // 1 where something had been changed and was put back.
            assert!(matches!(run.code, Some(1 | 73)), "{options}: {run:?}");
            let run = run.says("No space left on device");
            let left = node.traces(&["/small/etc", "/small/var/lib/rancher"]);
            assert!(left.is_empty(), "{options}: {}{:#?}", run.stderr, left.keys());
        }
        node.prepare("umount /small");
    }
    assert!(put_back > 10 && fitted > 2, "{put_back} were put back, {fitted} had room enough");
}

#[test]
#[ignore = "needs root and unshare"]
fn on_a_full_file_system_the_old_files_stay_whole() {
    let node = Node::make();
    node.prepare("mkdir /small");
    small(&node, "1.33").expect(0);
    let old = documents(&node);
    node.prepare("cp -a /small /kept");
    small(&node, "1.24").expect(0);
    let new = documents(&node);
    node.prepare("rm -r /small/*");
    let mut put_back = 0;
    for free in (0..).step_by(4) {
        node.prepare(&format!(
            "mount -t tmpfs tmpfs /small; cp -a /kept/. /small
             used=$(df -k --output=used /small | tail -n 1)
             mount -o remount,size=$((used + {free}))k /small"
        ));
        let run = small(&node, "1.24");
        if run.code == Some(0) {
            assert_eq!(documents(&node), new);
            break;
        }
        put_back += u32::from(run.stderr.contains(PUT_BACK));
        let run = run.expect(73).says("No space left on device");
        assert_eq!(documents(&node), old, "{free} KiB free: {}", run.stderr);
        assert!(free < 256, "there is room enough");
        node.prepare("umount /small");
    }
    assert!(put_back > 0, "no run failed in the middle");
}

#[test]
#[ignore = "needs root, unshare and strace"]
fn whatever_cannot_be_synced_is_put_back() {
    let node = Node::make();
    node.prepare("mkdir /small");
    small(&node, "1.33").expect(0);
    let old = documents(&node);
    node.prepare("mv /small /kept");
    let mut failed = 0;
    for when in 1.. {
        node.prepare("rm -rf /small; cp -a /kept /small");
        let inject = format!("inject=fsync:error=EIO:when={when}");
        let options = ["-o", "/dev/null", "-e", "trace=fsync", "-e", &inject];
        let run =
            strace(&node, &options, &[&to_small("1.24")[..], &["--set", "audit_policy=writes"]].concat());
        if run.code == Some(0) {
            assert_ne!(documents(&node), old);
            break;
        }
        let run = run.expect(1).says("I/O error");
        assert!(documents(&node) == old, "fsync {when} changed {:?}", run.stderr);
        failed += 1;
    }
    assert!(failed > 20, "only {failed} of the calls were made to fail");
}

#[test]
#[ignore = "needs root and unshare"]
fn a_rollback_gives_the_kernel_its_old_values_and_leaves_what_somebody_set_since() {
    let node = Node::make();
    node.apply(&[]).expect(0);
    node.prepare("echo 7 > /proc/sys/kernel/panic");
    let run = node.run(["k3s-harden", "rollback"]).expect(0);
    run.says("kernel.panic is now 7 and is not changed. To restore the value from before the run (0): sysctl -w kernel.panic=0");
    let expected: Vec<&str> =
        WRONG.iter().map(|(key, value)| if *key == "kernel/panic" { "7" } else { *value }).collect();
    assert_eq!(node.sysctls(), expected);
    // And back again.
    node.run(["k3s-harden", "rollback", "2"]).expect(0);
    assert_eq!(node.sysctls()[3..], RIGHT[3..]);
    node.run(["k3s-harden", "uninstall"]).expect(0);
    assert_eq!(node.sysctls(), expected);
    assert!(!node.path(STATE).exists());
}

/// SELinux cannot run here, so its program only writes down what it is asked for.
const SELINUX: &str = "mkdir -p /sys/fs/selinux; : > /sys/fs/selinux/enforce; mkdir -p /var/lib/rancher/k3s /etc/sysctl.d
     echo old > /etc/sysctl.d/90-kubelet.conf
     setfattr -n security.selinux -v system_u:object_r:mine_t:s0 /etc/sysctl.d/90-kubelet.conf
     printf '#!/bin/sh\nfor path; do echo $path >> /labelled; done\n' > /usr/sbin/restorecon; chmod 0755 /usr/sbin/restorecon";

#[test]
#[ignore = "needs root, unshare and setfattr"]
fn new_files_get_their_label_and_old_ones_keep_it() {
    let node = Node::make();
    tools::need(&["setfattr", "getfattr"]);
    node.prepare(SELINUX);
    node.apply(&[]).expect(0);
    let labelled = fs::read_to_string(node.path("/labelled")).unwrap();
    let mut labelled: Vec<&str> = labelled.lines().collect();
    labelled.sort_unstable();
    let mut new: Vec<&str> =
        SERVERS.iter().map(|(path, _)| *path).filter(|path| path.starts_with(SERVER)).collect();
    new.extend(BOTH.iter().map(|(path, _)| *path).filter(|path| path.starts_with("/etc/rancher")));
    new.sort_unstable();
    assert_eq!(labelled, new);
    let label = |path: &str| {
        let command = format!("getfattr --absolute-names --only-values -n security.selinux {path}");
        node.run(["sh", "-c", &command]).stdout
    };
    assert_eq!(label(SYSCTL), "system_u:object_r:mine_t:s0");
    node.prepare(&format!("setfattr -n security.selinux -v other {SYSCTL}"));
    node.run(["k3s-harden", "rollback"]).expect(0);
    assert_eq!(label(SYSCTL), "system_u:object_r:mine_t:s0");
}

#[test]
#[ignore = "needs root, unshare and setfattr"]
fn without_the_program_that_labels_the_command_is_said() {
    let node = Node::make();
    tools::need(&["setfattr", "getfattr"]);
    node.prepare(SELINUX);
    node.prepare("rm /usr/sbin/restorecon");
    let run = node.apply(&[]).expect(0).says("SELinux is enabled, but restorecon is not installed");
    run.says(&format!(" {DROP_IN}"));
    // A program that fails is no reason to fail.
    node.run(["k3s-harden", "rollback"]).expect(0);
    node.prepare("printf '#!/bin/sh\necho no policy >&2; exit 1\n' > /usr/sbin/restorecon; chmod 0755 /usr/sbin/restorecon");
    node.apply(&[])
        .expect(0)
        .says("new files may have the wrong SELinux label: /usr/sbin/restorecon: no policy");
    // An image's policy is not loaded here.
    node.prepare("mkdir -p /image/etc/selinux; echo SELINUX=enforcing > /image/etc/selinux/config");
    let words = ["k3s-harden", "apply", "--root", "/image", "--k3s-version", "1.33"];
    node.run(words).expect(0).says("the image uses SELinux").says("touch /image/.autorelabel");
}

#[test]
#[ignore = "needs root, unshare and strace"]
fn an_interrupted_run_is_undone_by_the_next_one_and_no_other_is() {
    let node = Node::make();
    node.apply(&[]).expect(0);
    let after_the_first = node.modes();
    let second = ["--set", "audit_log_maxage=77", "--set", "dns_policy=false"];
    let words: Vec<&str> = APPLY.iter().chain(&second).copied().collect();
    // Its last rename is that of the journal: killed there, everything was changed but the last word.
    let count = |calls: &Run| calls.stderr.lines().filter(|line| name(line) == "renameat").count();
    node.prepare("cp -a /var/lib/k3s-harden /var/lib/kept; cp -a /etc/rancher /etc/kept; cp -a /var/lib/rancher /var/lib/kept-rancher");
    let renames = count(&strace(&node, &["-e", "trace=renameat"], &words));
    assert!(renames >= 3, "{renames}");
    for (when, undone) in [(2, true), (renames, false)] {
        node.prepare("rm -rf /var/lib/k3s-harden /etc/rancher /var/lib/rancher
             cp -a /var/lib/kept /var/lib/k3s-harden; cp -a /etc/kept /etc/rancher; cp -a /var/lib/kept-rancher /var/lib/rancher");
        let inject = format!("inject=renameat:signal=KILL:when={when}");
        strace(&node, &["-o", "/dev/null", "-e", "trace=renameat", "-e", &inject], &words);
        let plan = node.run(["k3s-harden", "plan"]).expect(0);
        plan.says("run 2 was interrupted: the next apply or rollback first completes it or rolls it back");
        let run = node.run(["k3s-harden", "rollback"]).expect(0);
        if undone {
            let run = run.says("run 2 was interrupted: its changes were rolled back");
            assert_eq!(run.stdout, "Rolled back the interrupted run 2.\n");
        } else {
            let run = run.says("run 2 was interrupted after its last change: it is complete");
            assert!(run.stdout.starts_with("/: restored to the state before run 2.\n"), "{}", run.stdout);
        }
        // The first run is still in force.
        let mut now = node.modes();
        now.retain(|path, _| {
            !path.starts_with("/var/lib/k3s-harden/runs/000") || after_the_first.contains_key(path)
        });
        assert_eq!(now, after_the_first);
        assert_eq!(node.run(["k3s-harden", "apply"]).expect(0).stdout, "Nothing to change.\n");
    }
}

#[test]
#[ignore = "needs root and unshare"]
fn a_run_that_cannot_begin_leaves_nothing_behind() {
    let node = Node::make();
    node.prepare("mkdir /small; mount -t tmpfs tmpfs /small");
    small(&node, "1.33").expect(0);
    node.prepare(
        "used=$(df -k --output=used /small | tail -n 1); mount -o remount,size=$((used + 8))k /small",
    );
    let paths = || node.traces(&["/small"]).into_keys().collect::<Vec<_>>();
    let before = paths();
    small(&node, "1.24").expect(73).says("No space left on device");
    assert_eq!(paths(), before);
}
