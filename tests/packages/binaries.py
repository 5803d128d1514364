# SPDX-License-Identifier: Apache-2.0
"""What .ci/release made, before anything is installed: sums, lists of crates, licences, linters, and each binary at work."""

import hashlib
import io
import json
import os
import re
import subprocess
import tarfile
import zlib

from check import check, run

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WORDS = ["--k3s-version", "v1.33.4+k3s1", "--role", "server"]
NAMES = {"x86_64": ("amd64", []), "aarch64": ("arm64", ["qemu-aarch64"])}


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def check_release(directory, temporary, trial):
    """Checks all files of a release, and unpacks the binaries: to ARCH/k3s-harden, with ARCH/THIRD-PARTY-LICENSES."""
    names = sorted(os.listdir(directory))
    arches = [arch for arch in NAMES if any(name.endswith(f"-{arch}-linux.tar.gz") for name in names)]
    check("there is a release for x86_64", "x86_64" in arches, True)
    with open(os.path.join(directory, "SHA256SUMS"), encoding="utf-8") as file:
        sums = dict(reversed(line.split()) for line in file)
    # Signatures are made after the sums.
    others = [name for name in names if name != "SHA256SUMS" and not name.endswith(".minisig")]
    check("SHA256SUMS", sums, {name: digest(os.path.join(directory, name)) for name in others})
    with open(os.path.join(directory, "BUILD-INFO"), encoding="utf-8") as file:
        info = file.read()
    version = re.search(r"^k3s-harden (\S+)$", info, re.M).group(1)
    commit = re.search(r"^commit (\S+)$", info, re.M).group(1)
    if not trial:
        check("the profile", re.search(r"^profile (\S+)$", info, re.M).group(1), "dist")
    answers = {}
    for arch in arches:
        debian, emulator = NAMES[arch]
        print(f"\n== the files for {arch}", flush=True)
        package = version.replace("-", "~")
        deb, rpm = f"k3s-harden_{package}-1_{debian}.deb", f"k3s-harden-{package}-1.{arch}.rpm"
        sbom = f"k3s-harden-{version}-{arch}.cdx.json"
        wanted = {f"k3s-harden-{version}-{arch}-linux.tar.gz", deb, rpm, sbom}
        check("files of the release", sorted(wanted - set(names)), [])
        folder = os.path.join(temporary, arch)
        binary = unpack(os.path.join(directory, f"k3s-harden-{version}-{arch}-linux.tar.gz"), folder)
        same_binary(os.path.join(directory, deb), os.path.join(directory, rpm), binary, folder)
        check("the architecture of the .deb", run(["dpkg-deb", "--field", os.path.join(directory, deb), "Architecture"]).strip(), debian)
        check("the architecture of the .rpm", run(["rpm", "-qp", "--queryformat=%{arch}", os.path.join(directory, rpm)]), arch)
        crates(arch, binary, os.path.join(directory, sbom), os.path.join(folder, "THIRD-PARTY-LICENSES"))
        linters(os.path.join(directory, deb), os.path.join(directory, rpm))
        check("--version", run([*emulator, binary, "--version"]).strip(), f"k3s-harden {version}")
        about = run([*emulator, binary, "--version", "--verbose"])
        check("--version --verbose has commit and target", (commit in about, f"{arch}-unknown-linux-gnu" in about), (True, True))
        answers[arch] = at_work([*emulator, binary], os.path.join(temporary, "root"))
    for arch in arches[1:]:
        check(f"the verdicts of {arch} are those of x86_64", answers[arch], answers["x86_64"])


def unpack(tarball, folder):
    """Unpacks a tarball, and checks what is in it."""
    name = os.path.basename(tarball).removesuffix(".tar.gz")
    with tarfile.open(tarball) as archive:
        members = archive.getmembers()
        archive.extractall(folder, filter="data")
    top = os.path.join(folder, name)
    check("everything is below one folder", [one.name for one in members if one.name.split("/")[0] != name], [])
    check("owners", {(one.uid, one.gid, one.uname, one.gname) for one in members}, {(0, 0, "", "")})
    check("times", len({one.mtime for one in members}), 1)
    check("sorted", [one.name for one in members], sorted(one.name for one in members))
    found = sorted(os.listdir(top))
    check("the tarball", found, sorted(["CHANGELOG.md", "GATE.md", "LICENSE", "README.md", "SECURITY.md", "STABILITY.md",
                                        "THIRD-PARTY-LICENSES", "completions", "examples", "k3s-harden", "man"]))
    for one in ("k3s-harden", "THIRD-PARTY-LICENSES"):
        os.rename(os.path.join(top, one), os.path.join(folder, one))
    return os.path.join(folder, "k3s-harden")


def same_binary(deb, rpm, binary, folder):
    """Checks that the packages have the binary of the tarball, and that it is one static file."""
    run(["dpkg-deb", "--extract", deb, os.path.join(folder, "deb")])
    # Not rpm2cpio, which ends with 1 in Debian's version also where all is well.
    with open(rpm, "rb") as file:
        unpacked = subprocess.run(["rpm2archive", "--nocompression", "-"], stdin=file, stdout=subprocess.PIPE, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(unpacked)) as archive:
        archive.extractall(os.path.join(folder, "rpm"), filter="data")
    for kind in ("deb", "rpm"):
        check(f"the binary in the .{kind}", digest(os.path.join(folder, kind, "usr/bin/k3s-harden")), digest(binary))
        check(f"nothing of the .{kind} is below /etc or /var", sorted(os.listdir(os.path.join(folder, kind))), ["usr"])
    look = [os.path.join(TOP, ".ci/check-binary"), binary]
    folders = [TOP, os.path.expanduser("~/.cargo"), os.path.expanduser("~/.rustup")]
    check("the binary needs no other file, and names no folder that it was built in", run([*look, *folders]), "")
    check("it names what it is told to name", subprocess.run([*look, "/crates"], capture_output=True, check=False).returncode, 1)
    dynamic = subprocess.run([look[0], "/bin/ls"], capture_output=True, text=True, check=False)
    check("a binary that needs others is noticed", (dynamic.returncode, dynamic.stderr), (1, "/bin/ls is not static\n"))


def crates(arch, binary, sbom, licences):
    """Compares the crates that cargo-auditable wrote into the binary with the SBOM and with the licences."""
    with open(binary, "rb") as file:
        content = file.read()
    row = re.search(r"\.dep-v0\s+PROGBITS\s+\w+\s+(\w+)\s+(\w+)", run(["readelf", "--wide", "--sections", binary]))
    check("the binary has a list of its crates (cargo audit bin)", row is not None, True)
    start, size = (int(number, 16) for number in row.groups())
    packages = json.loads(zlib.decompress(content[start:start + size]))["packages"]
    linked = {(one["name"], one["version"]) for one in packages if one.get("kind", "runtime") == "runtime"}
    check("the list has the program and its crates", ("k3s-harden" in {name for name, _ in linked}, len(linked) > 50), (True, True))
    with open(sbom, encoding="utf-8") as file:
        text = file.read()
    bill = json.loads(text)
    listed = {(one["name"], one["version"]) for one in [*bill["components"], bill["metadata"]["component"]]}
    check("crates of the binary that the SBOM lacks", sorted(linked - listed), [])
    tree = run(["cargo", "tree", "--locked", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p}",
                "--target", f"{arch}-unknown-linux-gnu"], cwd=TOP)
    needed = {(name, version) for name, version in re.findall(r"^(\S+) v(\S+)", tree, re.M)}
    check("crates that Cargo links and the SBOM lacks", sorted(needed - listed), [])
    others = {name: version for name, version in listed if name in ("glibc", "rust-std")}
    check("what is no crate in the SBOM", sorted(others), ["glibc", "rust-std"])
    check("the SBOM names no folder of this machine", TOP in text, False)
    with open(licences, encoding="utf-8") as file:
        text = file.read()
    lacking = [one for one in sorted(linked) if one[0] != "k3s-harden" and not re.search(
        rf"^{re.escape(one[0])} {re.escape(one[1])} \(", text, re.M)]
    check("crates of the binary whose licence is missing", lacking, [])
    check("licences of what is no crate", [name for name in ("Rust standard library", "GNU C library", "GNU Lesser General Public License 2.1")
                                           if f"\n{name}\n" not in text], [])


def linters(deb, rpm):
    """Reads what lintian and rpmlint say; packaging/ has what stays, with the reason."""
    lintian = subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning", deb], capture_output=True, text=True, check=False)
    check("lintian", (lintian.returncode, lintian.stdout), (0, ""))
    words = ["rpmlint", "--config", os.path.join(TOP, "packaging/rpmlint.toml"), rpm]
    rpmlint = subprocess.run(words, capture_output=True, text=True, check=False)
    found = re.findall(r"^.*: [EW]: .*$", rpmlint.stdout, re.M)
    check("rpmlint", (rpmlint.returncode, found), (0, []))


def at_work(words, root):
    """Hardens a folder, verifies it and undoes it all; returns what was said, without what differs by machine."""
    os.mkdir(root)
    run(["chmod", "755", root])
    environment = {"PATH": os.environ["PATH"], "SOURCE_DATE_EPOCH": "1000000000"}
    def ask(*more, code=0):
        return run([*words, more[0], "--root", root, *more[1:]], code=code, env=environment)
    ask("apply", "-q", *WORDS)
    hardened = contents(root)
    check("apply wrote files", len(hardened) > 4, True)
    check("a second apply", ask("apply", "--detailed-exitcode").strip().splitlines()[-1:], ["Nothing to change."])
    check("the root after a second apply", contents(root), hardened)
    report = json.loads(ask("verify", "--format", "json"))
    preflight = json.loads(ask("preflight", "--format", "json"))
    check("the history has the run", len(json.loads(ask("history", "--format", "json"))["runs"]), 1)
    ask("rollback")
    check("files of ours after the rollback", [path for path in contents(root) if "k3s-harden" not in path], [])
    ask("uninstall")
    check("the root after an uninstall", sorted(os.listdir(root)), [])
    os.rmdir(root)
    return {"verify": report, "preflight": preflight, "files": {path: text for path, text in hardened.items()
                                                              if not path.startswith("/var/lib/k3s-harden")}}


def contents(root):
    """Returns the content of each file."""
    return {path[len(root):]: digest(path) for folder, _, files in os.walk(root) for path in (os.path.join(folder, name) for name in files)}
