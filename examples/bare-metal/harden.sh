#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Brings this machine to the CIS benchmark for K3s; run it as root before K3s is installed.
set -eu
here=$(dirname -- "$0")
root=${ROOT:-/}
export K3S_HARDEN_ROOT="$root"
export K3S_HARDEN_K3S_VERSION="${K3S_VERSION:?name the version that will be installed: K3S_VERSION=v1.33.4+k3s1}"
if [ -n "${OWNER:-}" ]; then
  export K3S_HARDEN_OWNER="$OWNER"
fi

settings=${root%/}/etc/k3s-harden/settings.yaml
if [ ! -e "$settings" ]; then
  mkdir -p "${settings%/*}"
  cp "$here/settings.yaml" "$settings"
fi

k3s-harden plan
k3s-harden apply
# Proof that it is done: a second run finds nothing to change (2 would mean that it did).
k3s-harden apply --detailed-exitcode
