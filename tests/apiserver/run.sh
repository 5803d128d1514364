#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A real kube-apiserver on a hardened root: run.sh MINOR (1.24, 1.25, or 1.36 and newer), or several of them.
#
# For each minor it builds kube-apiserver, kubectl and kine once (from the Go module proxy, 4 to 10 minutes; kept under
# target/apiserver), brings a root to the benchmark with `k3s-harden apply`, and starts the server as K3s would: with
# the arguments that `k3s-harden effective-config` predicts, in K3s's server directory, on kine with sqlite. bed.py then
# proves, a line each, that
#
# - the server gets ready, with the profiles cis and strict, and preflight says so;
# - every object of policy.yaml is accepted with strict validation;
# - an ordinary user's privileged pod is refused in default, and a decent one is admitted;
# - the pods of examples/container are accepted, admitted under the Pod Security level that they claim, and refused under baseline;
# - Secrets are encrypted in the datastore, by secretbox too (1.33 and newer); the audit log has its lines, the mode 0600 and no Secret in it;
# - `verify --live` says of real objects what they are: one mutation a proof, and exactly the controls that it changes;
#   a cluster that does not answer is never a pass;
# - with anonymous_health (1.34 and newer) only three health paths answer a client without credentials, and 401 all else;
# - what preflight says would not start does not start, and what it passes starts;
# - from 1.36 on, the policies of server/admission.d are in force at the first request and stay, whatever is deleted, and
#   objects like those of a stock K3s are admitted (K3S_HARDEN_BED_POLICIES=1: these proofs alone).
#
# It ends with "N passed, N failed", and with 1 if any failed. About five minutes each once it is built.
#
# It needs root, Go, gcc, jq, openssl, Python 3, unshare, mount and ip. Everything happens in mount, network and
# process namespaces of its own, on an overlay of / whose upper side is memory: nothing is written to this machine but
# target/, nothing listens outside of the namespace, and everything ends with it (or after 15 minutes).
set -euo pipefail
cd "$(dirname "$0")/../.."
[ $# -gt 0 ] || { sed -n '2s/^# //p' tests/apiserver/run.sh >&2; exit 64; }
[ "$(id -u)" = 0 ] || { echo 'this has to be run by root' >&2; exit 77; }

target=${CARGO_TARGET_DIR:-target}
# The third tier of tests names the binary that it was built with.
if [ -z "${BINARY:-}" ]; then
  cargo build --locked --quiet
  BINARY=$target/debug/k3s-harden
fi
failed=0
for minor in "$@"; do
  release=$(grep -Eom 1 "v${minor//./\\.}\.[0-9]+" tests/it/support/kubernetes.rs) || {
    printf 'tests/it/support/kubernetes.rs has no release of %s\n' "$minor" >&2
    exit 64
  }
  toolchain=local
  case $minor in
    1.24 | 1.25) toolchain=go1.20.14 ;;
  esac
  GOTOOLCHAIN=$toolchain tests/apiserver/build.sh "$release" "$target/apiserver"
  base=$(mktemp -d)
  timeout --kill-after=10 900 unshare --mount --propagation private --net --pid --fork --kill-child \
    python3 tests/apiserver/bed.py "$minor" "$BINARY" "$target/apiserver/$release/kube-apiserver" \
    "$target/apiserver/$release/kubectl" "$(ls "$target"/apiserver/kine-*)" "$base" || failed=1
  # Not with what is in it: the mount has ended with its namespace.
  rmdir "$base"
done
exit "$failed"
