#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# From a bare machine to a verified K3s node, as root. Every step stops at the first failure, so K3s is never installed
# on a node that is not hardened, or on which it would not start.
#
# K3S_VERSION     the K3s release, such as v1.33.4+k3s1
# MEDIA           a folder with the files of that release, for a machine without a network: k3s (k3s-arm64 …),
#                 sha256sum-ARCH.txt, k3s-airgap-images-ARCH.tar.zst, and install.sh (what get.k3s.io gives)
# K3S_HARDEN_URL, K3S_HARDEN_SHA256   where k3s-harden comes from, if it is not in the PATH, and what it has to be
# ROOT            another root than /, to try it
set -eu
here=$(dirname -- "$0")
root=${ROOT:-/}
root=${root%/}
: "${K3S_VERSION:?name the K3s release: K3S_VERSION=v1.33.4+k3s1}"
media=${MEDIA:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
step() { printf '\n== %s\n' "$*"; }

if [ -n "${K3S_HARDEN_URL:-}" ]; then
  step 'k3s-harden, and whether it is the right one'
  curl -fsSL -o "$work/k3s-harden" "$K3S_HARDEN_URL"
  printf '%s  %s\n' "${K3S_HARDEN_SHA256:?say what it has to be}" "$work/k3s-harden" | sha256sum --check --quiet -
  mkdir -p "$root/usr/local/bin"
  install -m 0755 "$work/k3s-harden" "$root/usr/local/bin/k3s-harden"
  PATH=$root/usr/local/bin:$PATH
fi

if [ -n "$media" ]; then
  step 'whether the medium is whole'
  (cd "$media" && sha256sum --check --ignore-missing sha256sum-*.txt)
  [ -f "$media/install.sh" ] || { printf 'there is no install.sh in %s\n' "$media" >&2; exit 66; }
else
  step 'the installer of K3s'
  # Into a file: a download that breaks off must not run as far as it came.
  curl -fsSL -o "$work/install.sh" https://get.k3s.io
fi

step 'harden'
"$here/harden.sh"

step 'would K3s start?'
k3s-harden preflight --root "$root/"

step 'install K3s'
if [ -n "$media" ]; then
  mkdir -p "$root/usr/local/bin"
  binary=$media/k3s
  [ "$(uname -m)" != aarch64 ] || binary=$media/k3s-arm64
  install -m 0755 "$binary" "$root/usr/local/bin/k3s"
  # As K3s makes it: nobody but root looks into it.
  [ -d "$root/var/lib/rancher/k3s/agent" ] || mkdir -m 0700 "$root/var/lib/rancher/k3s/agent"
  mkdir -p "$root/var/lib/rancher/k3s/agent/images"
  for images in "$media"/k3s-airgap-images-*; do
    cp "$images" "$root/var/lib/rancher/k3s/agent/images/"
  done
  INSTALL_K3S_SKIP_DOWNLOAD=true sh "$media/install.sh"
else
  INSTALL_K3S_VERSION=$K3S_VERSION sh "$work/install.sh"
fi

step 'is it hardened?'
k3s-harden verify --root "$root/" --only-findings
