//! The binary on a root of its own, as root: modes, owners, kernel parameters, read-only and full file systems.
//!
//! `K3S_HARDEN_TIER=2 cargo test --test real_root` as root; without the variable nothing is run.

#![allow(clippy::disallowed_methods, reason = "tests look at their nodes by hand")]

mod node;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};

use node::{Node, Run, TREES, WRONG};

const SERVER: &str = "/var/lib/rancher/k3s/server";
const DROP_IN: &str = "/etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml";
const AUDIT: &str = "/var/lib/rancher/k3s/server/audit.yaml";
const JOURNAL: &str = "/var/lib/k3s-harden/runs/0001/journal.json";

/// The kernel parameters that Kubernetes 1.33 asks for, in the order of [`WRONG`]: the first two are left alone.
const RIGHT: [&str; 6] = ["20000", "200", "10", "1", "1", "0"];

/// Everything that a node of both roles has afterwards.
const BOTH: [(&str, &str); 12] = [
    ("/etc/rancher", "0755 0:0"),
    ("/etc/rancher/k3s", "0755 0:0"),
    ("/etc/rancher/k3s/config.yaml.d", "0755 0:0"),
    (DROP_IN, "0600 0:0"),
    ("/etc/sysctl.d", "0755 0:0"),
    ("/etc/sysctl.d/90-kubelet.conf", "0644 0:0"),
    ("/var/lib/k3s-harden", "0700 0:0"),
    ("/var/lib/k3s-harden/runs", "0700 0:0"),
    ("/var/lib/k3s-harden/runs/0001", "0700 0:0"),
    (JOURNAL, "0600 0:0"),
    ("/var/lib/rancher", "0755 0:0"),
    ("/var/lib/rancher/k3s", "0755 0:0"),
];

/// … and a server besides.
const SERVERS: [(&str, &str); 6] = [
    (SERVER, "0700 0:0"),
    (AUDIT, "0600 0:0"),
    ("/var/lib/rancher/k3s/server/logs", "0700 0:0"),
    ("/var/lib/rancher/k3s/server/manifests", "0700 0:0"),
    ("/var/lib/rancher/k3s/server/manifests/policy.yaml", "0600 0:0"),
    ("/var/lib/rancher/k3s/server/psa.yaml", "0600 0:0"),
];

fn table(rows: &[&[(&str, &str)]]) -> BTreeMap<String, String> {
    rows.concat().into_iter().map(|(path, mode)| (path.to_owned(), mode.to_owned())).collect()
}

fn wrong() -> Vec<&'static str> {
    WRONG.iter().map(|(_, value)| *value).collect()
}

#[test]
fn a_server_is_as_the_table_says_whatever_the_umask() {
    for umask in ["000", "077"] {
        let Some(node) = Node::make() else { return };
        let script = format!("umask {umask}; exec k3s-harden apply --k3s-version 1.33 --role server");
        node.run(["sh", "-c", &script]).expect(0);
        assert_eq!(node.modes(), table(&[&BOTH, &SERVERS]), "umask {umask}");
        assert_eq!(node.sysctls(), RIGHT);
    }
}

#[test]
fn an_agent_has_nothing_of_a_server() {
    let Some(node) = Node::make() else { return };
    node.run(["k3s-harden", "apply", "--k3s-version", "1.33", "--role", "agent"]).expect(0);
    println!("{:#?}", node.modes());
    assert_eq!(node.modes(), table(&[&BOTH]));
    assert_eq!(node.sysctls(), RIGHT);
}

#[test]
fn an_older_minor_has_no_admission_file_and_more_parameters() {
    let Some(node) = Node::make() else { return };
    node.run(["k3s-harden", "apply", "--k3s-version", "1.24", "--role", "server"]).expect(0);
    let mut expected = table(&[&BOTH, &SERVERS]);
    expected.remove("/var/lib/rancher/k3s/server/psa.yaml");
    assert_eq!(node.modes(), expected);
    assert_eq!(node.sysctls(), ["25000000", "1000000", "10", "1", "1", "0"]);
}

#[test]
fn directories_above_ours_stay_as_they_are_and_ours_do_not() {
    let Some(node) = Node::make() else { return };
    node.prepare(
        "mkdir -p /etc/rancher /etc/sysctl.d /var/lib/rancher/k3s/server/manifests /var/lib/k3s-harden
         chmod 0711 /etc/rancher; chown 5:6 /etc/rancher
         chmod 1777 /etc/sysctl.d
         chmod 0755 /var/lib/rancher/k3s/server/manifests
         chmod 2755 /var/lib/rancher/k3s/server; chown 7:8 /var/lib/rancher/k3s/server",
    );
    node.apply(&[]).expect(0);
    let mut expected = table(&[&BOTH, &SERVERS]);
    expected.insert("/etc/rancher".into(), "0711 5:6".into());
    expected.insert("/etc/sysctl.d".into(), "1777 0:0".into());
    assert_eq!(node.modes(), expected);
}

#[test]
fn a_second_run_changes_nothing() {
    let Some(node) = Node::make() else { return };
    node.apply(&[]).expect(0);
    let before = node.everything();
    assert_eq!(node.apply(&[]).expect(0).stdout, "Nothing to change.\n");
    assert_eq!(node.everything(), before);
    node.make_read_only("/");
    assert_eq!(node.apply(&[]).expect(0).stdout, "Nothing to change.\n");
}

#[test]
fn a_second_run_opens_nothing_for_writing() {
    let Some(node) = Node::make() else { return };
    let traced = || {
        let strace =
            "strace -f -o /tmp/calls -e trace=%file,%desc k3s-harden apply --k3s-version 1.33 --role server";
        let run = node.run(["sh", "-c", strace]);
        assert_ne!(run.code, Some(127), "strace is needed: Debian package strace");
        run.expect(0);
        writing(&fs::read_to_string(node.path("/tmp/calls")).unwrap())
    };
    let first = traced();
    for call in ["openat", "mkdirat", "renameat", "fchmod", "write"] {
        assert!(first.iter().any(|line| name(line) == call), "the first run does not {call}: {first:#?}");
    }
    assert_eq!(traced(), Vec::<String>::new());
}

/// Returns the calls that change something, or open something so that it can be changed.
fn writing(calls: &str) -> Vec<String> {
    let changes = [
        "chmod",
        "chown",
        "link",
        "mkdir",
        "mknod",
        "rename",
        "rmdir",
        "xattr",
        "truncate",
        "utime",
        "fallocate",
        "creat",
        "copy_file_range",
        "sendfile",
        "splice",
    ];
    let is_writing = |line: &&str| {
        let name = name(line);
        let reads = ["readlink", "readlinkat", "getxattr", "fgetxattr", "lgetxattr", "listxattr"];
        let output = ["write(1,", "write(2,"].iter().any(|call| line.contains(call));
        let writes = ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"].iter().any(|flag| line.contains(flag));
        (name.starts_with("open") && writes)
            || (name.contains("write") && !output)
            || (changes.iter().any(|change| name.contains(change)) && !reads.contains(&name))
    };
    calls.lines().filter(is_writing).map(str::to_owned).collect()
}

/// Returns the name of the system call in a line of strace, which begins with the number of the process.
fn name(line: &str) -> &str {
    let call = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
    call.split('(').next().unwrap_or_default()
}

#[test]
fn modes_and_owners_are_repaired_without_writing() {
    let Some(node) = Node::make() else { return };
    node.apply(&[]).expect(0);
    let before = node.everything();
    let set =
        |path: &str, mode| fs::set_permissions(node.path(path), fs::Permissions::from_mode(mode)).unwrap();
    set(AUDIT, 0o666);
    chown(node.path(AUDIT), Some(12), Some(34)).unwrap();
    set(SERVER, 0o755);
    chown(node.path(DROP_IN), Some(0), Some(34)).unwrap();
    let run = node.apply(&[]).expect(0);
    assert!(run.stdout.ends_with("\n3 changed in mode or owner.\n"), "{}", run.stdout);
    let after = node.everything();
    for path in [AUDIT, SERVER, DROP_IN] {
        let (before, after) = (&before[path], &after[path]);
        assert_eq!((after.mode, after.owner), (before.mode, before.owner), "{path}");
        assert_eq!((after.inode, after.modified), (before.inode, before.modified), "{path}");
    }
}

#[test]
fn on_a_read_only_file_system_nothing_is_begun() {
    for (path, named) in [("/etc", "/etc"), ("/var/lib", "/var/lib"), ("/", "/")] {
        let Some(node) = Node::make() else { return };
        node.make_read_only(path);
        let before = node.everything();
        node.apply(&[]).expect(73).says(&[&format!("{named} is on a read-only file system")]);
        assert_eq!(node.everything(), before, "{path}");
        assert_eq!(node.sysctls(), wrong(), "{path}");
    }
}

#[test]
fn one_read_only_directory_among_them_is_enough() {
    let Some(node) = Node::make() else { return };
    node.prepare("mkdir /etc/rancher");
    node.make_read_only("/etc/rancher");
    let before = node.everything();
    node.apply(&[]).expect(73).says(&["/etc/rancher is on a read-only file system"]);
    assert_eq!(node.everything(), before);
    assert_eq!(node.sysctls(), wrong());
}

#[test]
fn a_failure_in_the_middle_puts_everything_back() {
    let Some(node) = Node::make() else { return };
    // No file can be renamed over one that something is mounted on, and no look at it tells so beforehand.
    node.prepare(&format!(
        "mkdir -p /etc/rancher/k3s/config.yaml.d {SERVER}
         chmod 0755 {SERVER}
         echo mine > {AUDIT}; chmod 0640 {AUDIT}; chown 12:34 {AUDIT}
         echo busy > {DROP_IN}
         mount --bind {DROP_IN} {DROP_IN}"
    ));
    let before = node.modes();
    let run = node.apply(&[]);
    println!("{run:#?}");
    assert!(run.code != Some(0));
    let mut after = node.modes();
    println!("{after:#?}");
    after.retain(|path, _| !path.starts_with("/var/lib/k3s-harden"));
    assert_eq!(after, before);
    assert_eq!(fs::read_to_string(node.path(AUDIT)).unwrap(), "mine\n");
    assert_eq!(node.sysctls(), wrong());
    assert!(fs::read_to_string(node.path(JOURNAL)).unwrap().contains("\"state\": \"rolled-back\""));
}

fn unprivileged(node: &Node, arguments: &[&str]) -> Run {
    let setpriv = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let apply = ["k3s-harden", "apply", "--k3s-version", "1.33", "--role", "server"];
    node.run(setpriv.iter().chain(&apply).chain(arguments).copied())
}

#[test]
fn who_is_not_root_is_told_so() {
    let Some(node) = Node::make() else { return };
    let before = node.everything();
    unprivileged(&node, &[]).expect(77).says(&["only root", "--owner 65534:65534"]);
    unprivileged(&node, &["--owner", "0:0"]).expect(77).says(&["only root"]);
    unprivileged(&node, &["--owner", "65534:65534"]).expect(77);
    assert_eq!(node.everything(), before);
    assert_eq!(node.sysctls(), wrong());
}

#[test]
fn an_image_can_be_built_without_root() {
    let Some(node) = Node::make() else { return };
    node.prepare("mkdir /image; chown 65534:65534 /image");
    let run = unprivileged(&node, &["--owner", "65534:65534", "--root", "/image"]).expect(0);
    println!("{run:#?}");
    let found = node.traces(&["/image"]);
    for (path, mode) in table(&[&BOTH, &SERVERS]) {
        let trace = &found[&format!("/image{path}")];
        assert_eq!(format!("{:04o} 0:0", trace.mode), mode, "{path}");
    }
    for (path, trace) in found {
        assert_eq!(trace.owner, (65534, 65534), "{path}");
    }
    assert_eq!(node.sysctls(), wrong());
}

#[test]
fn kernel_parameters_are_left_alone_where_asked() {
    let Some(node) = Node::make() else { return };
    node.apply(&["--no-live-sysctl"]).expect(0);
    assert_eq!(node.sysctls(), wrong());
    assert!(node.path("/etc/sysctl.d/90-kubelet.conf").exists());
}

#[test]
fn a_kernel_parameter_that_cannot_be_set_is_a_warning() {
    let Some(node) = Node::make() else { return };
    node.make_read_only("/proc/sys/kernel/panic");
    let run = node.apply(&[]).expect(0).says(&["kernel.panic:", "it should be 10 before K3s starts"]);
    println!("{run:#?}");
    assert_eq!(node.sysctls(), ["20000", "200", "0", "1", "1", "0"]);
    let run = node.apply(&[]);
    println!("{run:#?}");
}

#[test]
fn a_container_keeps_the_parameters_of_its_host() {
    let docker = "touch /.dockerenv";
    let lxc = r"printf 'PATH=/bin\0container=lxc\0' > /proc/1/environ";
    for (script, sign) in [(docker, "/.dockerenv"), (lxc, "/proc/1/environ")] {
        let Some(node) = Node::make() else { return };
        node.prepare(script);
        let left_alone = "the kernel parameters are left alone, because this is a container";
        let run = node.apply(&[]).expect(0).says(&[&format!("{left_alone} ({sign})")]);
        println!("{run:#?}");
        assert_eq!(node.sysctls(), wrong(), "{sign}");
        assert_eq!(node.modes(), table(&[&BOTH, &SERVERS]));
        let run = node.apply(&[]);
        println!("{run:#?}");
    }
}

/// Puts a file of somebody else's where audit.yaml goes.
fn with_a_foreign_file() -> Option<Node> {
    let node = Node::make()?;
    node.prepare(&format!("mkdir -p {SERVER}; echo 'kind: Mine' > {AUDIT}; chmod 0644 {AUDIT}"));
    Some(node)
}

#[test]
fn a_foreign_file_is_replaced_and_backed_up() {
    let Some(node) = with_a_foreign_file() else { return };
    let run =
        node.apply(&[]).expect(0).says(&[&format!("{AUDIT} was not written by k3s-harden: it is replaced")]);
    println!("{run:#?}");
    let mut modes = node.modes();
    let run = "/var/lib/k3s-harden/runs/0001/";
    let backup = modes.keys().find(|path| path.starts_with(run) && *path != JOURNAL).unwrap().clone();
    assert_eq!(fs::read_to_string(node.path(&backup)).unwrap(), "kind: Mine\n");
    assert_eq!(modes.remove(&backup).unwrap(), "0600 0:0");
    assert_eq!(modes, table(&[&BOTH, &SERVERS]));
    assert!(fs::read_to_string(node.path(AUDIT)).unwrap().contains("Written by k3s-harden"));
}

#[test]
fn a_foreign_file_is_kept_where_asked() {
    let Some(node) = with_a_foreign_file() else { return };
    let before = node.everything();
    node.apply(&["--on-foreign", "keep"])
        .expect(0)
        .says(&[&format!("{AUDIT} was not written by k3s-harden and stays")]);
    assert_eq!(node.everything()[AUDIT], before[AUDIT]);
    let mut expected = table(&[&BOTH, &SERVERS]);
    expected.insert(AUDIT.into(), "0644 0:0".into());
    assert_eq!(node.modes(), expected);
}

#[test]
fn a_foreign_file_ends_the_run_where_asked() {
    let Some(node) = with_a_foreign_file() else { return };
    let before = node.everything();
    node.apply(&["--on-foreign", "fail"]).expect(1).says(&[AUDIT]);
    assert_eq!(node.everything(), before);
    assert_eq!(node.sysctls(), wrong());
}

/// Applies to an image of its own.
fn small(node: &Node, minor: &str) -> Run {
    node.run(["k3s-harden", "apply", "--root", "/small", "--k3s-version", minor, "--role", "server"])
}

/// Returns the files of ours below `/small`, by path.
fn documents(node: &Node, root: &str) -> BTreeMap<String, String> {
    let trees = TREES.map(|path| format!("{root}{path}"));
    let trees: Vec<&str> = trees.iter().map(String::as_str).collect();
    let found = node.traces(&trees);
    let files = found.keys().filter(|path| !path.contains("k3s-harden/") && node.path(path).is_file());
    files.map(|path| (path.replacen(root, "", 1), fs::read_to_string(node.path(path)).unwrap())).collect()
}

#[test]
fn a_file_system_that_is_too_small_gets_all_or_nothing() {
    let Some(node) = Node::make() else { return };
    node.prepare("mkdir /small");
    small(&node, "1.33").expect(0);
    let whole = documents(&node, "/small");
    assert_eq!(whole.len(), 5);
    let inodes = (2..30).map(|count| format!("nr_inodes={count}"));
    let pages = (1..24).map(|count| format!("size={}k", 4 * count));
    let mut codes = BTreeMap::new();
    for options in inodes.chain(pages) {
        node.prepare(&format!("mount -t tmpfs -o {options} tmpfs /small"));
        let run = small(&node, "1.33");
        let found = documents(&node, "/small");
        println!(
            "{options} {:?} {} {:?}",
            run.code,
            run.stderr,
            node.traces(&["/small"]).keys().collect::<Vec<_>>()
        );
        match run.code {
            Some(0) => assert_eq!(found, whole, "{options}"),
            _ => assert!(found.is_empty(), "{options}: {found:#?}"),
        }
        *codes.entry(run.code).or_insert(0) += 1;
        node.prepare("umount /small");
    }
    println!("{codes:?}");
}

#[test]
fn on_a_full_file_system_the_old_files_stay_whole() {
    let Some(node) = Node::make() else { return };
    node.prepare("mkdir /small");
    small(&node, "1.24").expect(0);
    let new = documents(&node, "/small");
    node.prepare("rm -r /small/*; mount -t tmpfs -o size=512k tmpfs /small");
    small(&node, "1.33").expect(0);
    let old = documents(&node, "/small");
    node.prepare("dd if=/dev/zero of=/small/full bs=4k 2>/dev/null || :");
    for n in 1..40 {
        let run = small(&node, "1.24");
        println!("{:?} {} {}", run.code, run.stderr, node.traces(&["/small/var/lib/k3s-harden"]).len());
        if run.code == Some(0) {
            assert!(n > 3);
            assert_eq!(documents(&node, "/small"), new);
            return;
        }
        assert_eq!(run.code, Some(73));
        assert_eq!(documents(&node, "/small"), old);
        node.prepare("truncate -s -4k /small/full");
    }
    panic!();
}
