#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes the root of a Debian release for the test beds: root.sh RELEASE DIRECTORY PACKAGE...
# It is made once, from where this machine's own apt takes its packages, and never written to afterwards.
set -eu
umask 022
release=$1 root=$2
shift 2
mkdir -p "${root%/*}"
# One after the other, also where several test programs want it at once.
exec 9> "$root.lock"
flock 9
wanted=$(printf '%s\n' "$release" "$@")
if [ "$(cat "$root.made" 2> /dev/null)" = "$wanted" ]; then
  exit 0
fi

mirror() {
  # shellcheck disable=SC2016 # a field of apt's
  apt-get indextargets --format '$(REPO_URI)' | grep -m 1 '/debian/\{0,1\}$'
}
mirror=$(mirror) || { apt-get update -qq; mirror=$(mirror); }
rm -rf "$root" "$root.made"
include=$(IFS=,; printf '%s' "$*")
# Nothing of it has to outlive this machine, and dpkg syncs every file.
mmdebstrap --quiet --variant=minbase --include="$include" \
  --dpkgopt=force-unsafe-io --dpkgopt=path-exclude=/usr/share/man/* --dpkgopt=path-exclude=/usr/share/locale/* \
  --dpkgopt=path-exclude=/usr/share/doc/* --aptopt='Acquire::Languages "none"' \
  "$release" "$root" "$mirror"
# A node says who it is at its first boot.
: > "$root/etc/machine-id"
printf '%s' "$wanted" > "$root.made"
