#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Writes an Ignition configuration for a hardened K3s node: make.sh RELEASE ROLE [FILE]. Needs k3s-harden and no node.
set -eu
release=${1:?make.sh RELEASE ROLE [FILE]} role=${2:?make.sh RELEASE ROLE [FILE]} file=${3:-k3s-harden.ign}
root=$(mktemp -d)
trap 'rmdir "$root"' EXIT
k3s-harden render --quiet --root "$root" --k3s-version "$release" --role "$role" --as ignition --out "$file"
