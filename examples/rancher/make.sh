#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Writes a hardened K3s cluster for Rancher: make.sh NAME RELEASE [FOLDER]. Needs k3s-harden and no node.
set -eu
name=${1:?make.sh NAME RELEASE [FOLDER]} release=${2:?make.sh NAME RELEASE [FOLDER]} folder=${3:-.}
mkdir -p "$folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# An empty root: what this machine has of K3s is nothing to the cluster.
mkdir "$work/root"
render() {
  k3s-harden render --quiet --root "$work/root" --k3s-version "$release" --role server --as "$1" --out "$work/$1.yaml"
  # The cluster's name is left open, in its own object and in the Secret that is for it.
  sed "s/# the cluster's name/$name/" "$work/$1.yaml" > "$folder/$1.yaml"
}
render rancher-files
render rancher-cluster
