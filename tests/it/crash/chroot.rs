// SPDX-License-Identifier: Apache-2.0
//! In a chroot the running kernel belongs to the machine around it: a build of an image, an installer.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::bed::{APPLY, Bed, Run};
use super::tree::Tree;
use crate::support::node::WRONG;
use crate::support::{tools, turns};

const IS_CHROOT: &str = "this is a chroot";

/// Mounts what the way needs, and runs the rest of its arguments in the chroot `$1`: a plain directory, a mount of its own, or
/// such a mount with a process 1 that is outside of it, whose root may be hidden. Plain files lie over /proc/sys, so that no mistake changes this machine.
const ENTER: &str = r#"
set -eu
root=$1 way=$2 sys=$3; shift 3
case $way in
  plain | bare) ;;
  mounted | outside | blind) mount --bind "$root" "$root" ;;
esac
if [ "$way" != bare ]; then
  mount -t proc proc "$root/proc"
  mount --bind "$sys" "$root/proc/sys"
fi
case $way in
  outside) chroot "$root" "$@" ;;
  blind) setpriv --bounding-set -sys_ptrace chroot "$root" "$@" ;;
  *) exec chroot "$root" "$@" ;;
esac
"#;

/// An image with the binary, and plain kernel parameters beside it.
struct Chroot(Bed);

impl Chroot {
    fn make() -> Self {
        let bed = Bed::of(&Tree::default());
        let root = bed.root();
        let binary = env!("CARGO_BIN_EXE_k3s-harden");
        let needs = Run::by(tools::command("ldd").arg(binary)).stdout;
        let libraries = needs.split_whitespace().filter(|word| word.starts_with('/'));
        for file in libraries {
            let target = root.join(file.trim_start_matches('/'));
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(file, target).unwrap();
        }
        fs::copy(binary, root.join("k3s-harden")).unwrap();
        fs::create_dir(root.join("proc")).unwrap();
        let sys = bed.beside("sys");
        for (name, value) in WRONG {
            let file = sys.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, format!("{value}\n")).unwrap();
        }
        Self(bed)
    }

    /// Runs the tool inside, in one of the ways of [`ENTER`], with more namespaces.
    fn run(&self, way: &str, namespaces: &[&str], arguments: &[&str]) -> Run {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private"]).args(namespaces);
        command.args(["sh", "-c", ENTER, "sh"]).arg(self.0.root()).arg(way).arg(self.0.beside("sys"));
        Run::by(command.arg("/k3s-harden").args(arguments))
    }

    /// Checks that no kernel parameter has changed.
    fn kernel_is_left_alone(&self, when: &str) {
        let read = |name: &Path| fs::read_to_string(name).unwrap().trim().to_owned();
        for (name, value) in WRONG {
            assert_eq!(read(&self.0.beside("sys").join(name)), value, "{when}: {name}");
        }
    }
}

/// Processes of its own, so that process 1 can be looked at on every machine.
const PROCESSES: [&str; 3] = ["--pid", "--fork", "--kill-child"];
/// A plain directory, with the machine's process 1 and with one that is in it; one that is a mount, as arch-chroot makes it.
const WAYS: [(&str, &[&str]); 4] =
    [("plain", &[]), ("plain", &PROCESSES), ("outside", &PROCESSES), ("blind", &PROCESSES)];

#[test]
#[ignore = "needs root, unshare and chroot"]
fn the_kernel_around_a_chroot_is_left_alone() {
    let _busy = turns::busy();
    for (way, namespaces) in WAYS {
        let chroot = Chroot::make();
        let when = format!("{way} {namespaces:?}");
        let run = chroot.run(way, namespaces, &APPLY).expect_when(0, &when).says(IS_CHROOT);
        assert!(!run.stdout.contains("/proc/sys"), "{when}: {run:?}");
        assert!(way != "blind" || run.stderr.contains("in /proc/1/mountinfo"), "{when}: {run:?}");
        chroot.kernel_is_left_alone(&when);
        let run = chroot.run(way, namespaces, &["preflight"]);
        assert!(run.code == Some(0) && run.stdout.contains(IS_CHROOT), "{when}: {run:?}");
        chroot.run(way, namespaces, &["rollback"]).expect_when(0, &when);
        chroot.kernel_is_left_alone(&when);
    }
}

#[test]
#[ignore = "needs root, unshare and chroot"]
fn where_nothing_says_so_it_is_the_running_system() {
    let _busy = turns::busy();
    let chroot = Chroot::make();
    let run = chroot.run("mounted", &PROCESSES, &[&["-v"], &APPLY[..]].concat());
    assert!(run.code == Some(0) && !run.stderr.contains(IS_CHROOT), "{run:?}");
    let run = run.says("/ is the running system: /proc/1/root is the same directory");
    assert!(run.stdout.contains("/proc/sys/kernel/panic"), "{run:?}");
}

#[test]
#[ignore = "needs root, unshare and chroot"]
fn without_proc_nothing_is_known_of_the_kernel() {
    let _busy = turns::busy();
    let chroot = Chroot::make();
    let bare = |arguments: &[&str]| chroot.run("bare", &[], arguments);
    let run = bare(&[&["-v"], &APPLY[..]].concat()).expect(0).says("nothing says that this is a chroot");
    assert!(run.stderr.contains("unknown whether K3s starts"), "{run:?}");
    assert_eq!(run.stderr.matches("not read or set: /proc is not mounted").count(), 1, "{run:?}");
    assert!(!run.stderr.contains("the running kernel keeps"), "{run:?}");
    let run = bare(&["preflight", "--format", "json"]).expect(0);
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert!(report["starts"].is_null(), "{report:#}");
}
