# SPDX-License-Identifier: Apache-2.0
"""A node: an overlay of a Debian root, in which packages are installed and that systemd boots."""

import fcntl
import glob
import hashlib
import os
import re
import subprocess
import sys
import tempfile

from check import run

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Where everything is that k3s-harden writes, and what an administrator put beside it.
TREES = ["etc/rancher", "etc/sysctl.d", "etc/k3s-harden", "etc/systemd/system/k3s.service.d", "var/lib/k3s-harden",
         "var/lib/rancher", "image"]

# What stands for K3s: it notes that it runs, and stays.
K3S = """#!/bin/sh
# version.Version=v1.33.4+k3s1
echo $$ >> /out/started
exec sleep infinity
"""

K3S_SERVICE = """[Unit]
After=network-online.target
[Service]
Type=exec
Restart=no
ExecStart=/usr/local/bin/k3s server
[Install]
WantedBy=multi-user.target
"""

# The last unit of a boot. It waits for K3s, does what the boot is about, starts K3s anew and notes what has become of it.
END = """#!/bin/sh
exec 2> /out/end.log
set -x
sleep 1
systemctl show k3s > /out/k3s
systemctl show k3s-harden > /out/k3s-harden
(%s) >&2
pid=$(systemctl show --value --property MainPID k3s)
[ "$pid" != 0 ] && [ "$pid" = "$(sed -n 's/^MainPID=//p' /out/k3s)" ] && echo 1 > /out/same
systemctl restart k3s
sleep 1
systemctl show --value --property ActiveState k3s > /out/state
journalctl --no-pager -o cat > /out/journal
systemctl --no-block start poweroff.target
"""

END_SERVICE = """[Unit]
After=k3s.service k3s-harden.service multi-user.target
[Service]
Type=oneshot
ExecStart=/usr/local/bin/end
"""


def root_of(name):
    """Returns the root of a Debian release, which is made once, as the test beds make it; NAME-rpm has rpm."""
    target = os.path.join(TOP, os.environ.get("CARGO_TARGET_DIR", "target"))
    root = os.path.join(target, "beds", name)
    if name.endswith("-rpm"):
        packages = ["systemd-sysv", "dbus", "rpm"]
    else:
        # The list of the test beds, so that both use one root.
        with open(os.path.join(TOP, "tests/it/support/release.rs"), encoding="utf-8") as file:
            packages = re.findall(r'"([^"]+)"', re.search(r"const PACKAGES.*?\];", file.read(), re.S).group())
    run(["tests/it/beds/root.sh", name.removesuffix("-rpm"), root, *packages], cwd=TOP)
    return root


class Boot:
    """What was seen at a boot."""

    def __init__(self, out):
        self.out = out
        self.journal = self.text("journal")

    def text(self, name):
        path = os.path.join(self.out, name)
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def state(self):
        """Returns what the service of K3s is after it was started anew."""
        return self.text("state").strip()

    def starts(self):
        """Returns how often K3s was started."""
        return len(self.text("started").split())

    def ran_on(self):
        """Tells whether the process of K3s was the same before and after what the boot was about."""
        return self.text("same").strip() == "1"

    def order(self):
        """Tells whether our unit ran to its end before K3s was started."""
        unit, k3s = (dict(line.split("=", 1) for line in self.text(name).splitlines() if "=" in line)
                     for name in ("k3s-harden", "k3s"))
        ended = int(unit.get("ExecMainExitTimestampMonotonic") or 0)
        return unit.get("ActiveState") == "active" and 0 < ended < int(k3s.get("ExecMainStartTimestampMonotonic") or 0)


class Node:
    """An overlay of a root; the root itself is never written to."""

    K3S, K3S_SERVICE = K3S, K3S_SERVICE
    MACHINE_ID = "5f3c1e0a7b2d4c6e8f90a1b2c3d4e5f6\n"

    def __init__(self, root):
        self.base = tempfile.mkdtemp()
        run(["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", self.base])
        self.root = os.path.join(self.base, "node")
        for name in ("upper", "work", "node"):
            os.mkdir(os.path.join(self.base, name))
        options = f"lowerdir={root},upperdir={self.base}/upper,workdir={self.base}/work"
        run(["mount", "-t", "overlay", "-o", options, "overlay", self.root])
        # The root was made without manuals and documentation; a package's have to be there.
        for path in self.glob("/etc/dpkg/dpkg.cfg.d/*"):
            os.remove(self.path(path))
        self.write("/etc/machine-id", self.MACHINE_ID)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        run(["umount", "--recursive", self.base])
        os.rmdir(self.base)

    def path(self, path):
        return self.root + path

    def glob(self, pattern):
        return [path[len(self.root):] for path in sorted(glob.glob(self.root + pattern))]

    def has(self, path):
        return os.path.lexists(self.path(path))

    def read(self, path):
        with open(self.path(path), "rb") as file:
            return file.read()

    def write(self, path, text, mode=0o644):
        os.makedirs(os.path.dirname(self.path(path)), 0o755, exist_ok=True)
        with open(self.path(path), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.path(path), mode)

    def mode(self, path):
        """Returns mode and owner."""
        found = os.lstat(self.path(path))
        return f"{found.st_mode & 0o7777:o} {found.st_uid}:{found.st_gid}"

    def inside(self, words):
        """Returns a command in the node: in a chroot, which cannot write kernel parameters.

        Process 1 stays outside of it, as on a machine: by that k3s-harden sees that it is in a chroot.
        """
        script = """mount -t proc proc "$1/proc" && mount --bind "$1/proc/sys" "$1/proc/sys" &&
            mount -o remount,bind,ro "$1/proc/sys" && mount --bind /dev/null "$1/dev/null" && chroot "$@"; exit $?"""
        return ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "sh", "-euc", script, "sh", self.root,
                "env", "-i", f"PATH={PATH}", "LC_ALL=C", *words]

    def run(self, words, code=0):
        self.out(words, code)

    def out(self, words, code=0):
        return run(self.inside(words), code)

    def code(self, words):
        return subprocess.run(self.inside(words), capture_output=True, check=False).returncode

    def install(self, kind, package):
        """Installs or upgrades."""
        name = os.path.basename(package)
        run(["cp", package, self.path(f"/tmp/{name}")])
        self.run([*kind.install, f"/tmp/{name}"])
        os.remove(self.path(f"/tmp/{name}"))

    def tree(self):
        """Returns mode, owner and content of everything of the node that is not the package's."""
        found = {}
        for top in TREES:
            for folder, folders, files in os.walk(self.path(f"/{top}")):
                for name in [".", *folders, *files]:
                    path = os.path.normpath(os.path.join(folder, name))
                    about = self.mode(path[len(self.root):])
                    if os.path.islink(path):
                        about += f" -> {os.readlink(path)}"
                    elif os.path.isfile(path):
                        with open(path, "rb") as file:
                            about += " " + hashlib.sha256(file.read()).hexdigest()
                    found[path[len(self.root):]] = about
        return found

    def leftovers(self):
        """Returns files with the name of the package that are not of the node."""
        found = run(["find", self.root, "-xdev", "-name", "*k3s-harden*"]).split()
        found = [path[len(self.root):] for path in found]
        ours = tuple(f"/{top}" for top in TREES)
        # dpkg keeps a list of alternatives, and logs; rpm keeps a database.
        return [path for path in found if not path.startswith((*ours, "/var/log", "/var/lib/rpm"))]

    def boot(self, about):
        """Boots the node, does what the boot is about, and returns what was seen."""
        out = tempfile.mkdtemp(dir=self.base)
        self.write("/usr/local/bin/end", END % (about or "true"), 0o755)
        self.write("/etc/systemd/system/end.service", END_SERVICE)
        os.makedirs(self.path("/etc/systemd/system/graphical.target.wants"), exist_ok=True)
        self.run(["systemctl", "--quiet", "add-wants", "default.target", "end.service"])
        os.makedirs("/run/lock", exist_ok=True)
        # Two containers at once would share their control groups.
        with open("/run/lock/k3s-harden-beds", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            words = ["timeout", "--kill-after=10", "120", "systemd-nspawn", "--quiet", "--register=no", "--keep-unit",
                     "--private-network", "--console=read-only", f"--bind={out}:/out", f"--directory={self.root}", "--boot"]
            done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False, env={"PATH": PATH})
        if done.returncode != 0 or not os.path.exists(os.path.join(out, "journal")):
            sys.exit(f"the node did not boot:\n{done.stdout.decode(errors='replace')}{done.stderr.decode(errors='replace')}")
        return Boot(out)
