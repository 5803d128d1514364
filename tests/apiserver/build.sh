#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the kube-apiserver and the kubectl of one release, and kine, from the Go module proxy: build.sh RELEASE DIRECTORY.
# What is built already stays; run.sh calls this. The newest minor shares Go's build cache with tests/it/component_flags
# and tests/it/judges, because all of them build without optimization (a third of the time, and it starts all the same).
set -euo pipefail
release=$1 directory=$2
kine=v0.17.5

mkdir -p "$directory/$release"
directory=$(cd "$directory" && pwd)
export GOWORK=off GOFLAGS='-mod=mod -buildvcs=false'

if [ ! -x "$directory/kine-$kine" ]; then
  printf 'building kine %s\n' "$kine" >&2
  mkdir -p "$directory/bin"
  # sqlite is C: it needs gcc.
  GOFLAGS=-buildvcs=false GOBIN="$directory/bin" nice -n 15 go install "github.com/k3s-io/kine@$kine"
  mv "$directory/bin/kine" "$directory/kine-$kine"
fi

cd "$directory/$release"
[ ! -x kube-apiserver ] || [ ! -x kubectl ] || exit 0

# As Kubernetes' own go.mod, but with its staging modules as they are published.
printf 'module bed\n' > go.mod
source=$(go mod download -json "k8s.io/kubernetes@$release" | jq -r .Dir)
{
  go mod edit -json "$source/go.mod" | jq -r '"module bed\n\ngo \(.Go)\n"'
  printf 'require k8s.io/kubernetes %s\n' "$release"
  go mod edit -json "$source/go.mod" | jq -r --arg staging "v0.${release#v1.}" '
    .Replace[]? | if .New.Version then "replace \(.Old.Path) => \(.New.Path) \(.New.Version)"
                  else "replace \(.Old.Path) => \(.Old.Path) \($staging)" end'
} > go.mod.new
mv go.mod.new go.mod
cp "$source/go.sum" go.sum
chmod u+w go.sum
case $release in
  v1.25.16)
    # The proxy does not serve this module in the version that belongs to the release; it holds a few constants.
    go mod edit -replace k8s.io/cluster-bootstrap=k8s.io/cluster-bootstrap@v0.25.9 ;;
esac
for program in kube-apiserver kubectl; do
  printf '//go:build tools\n\npackage tools\n\nimport _ "k8s.io/kubernetes/cmd/%s"\n' "$program" > "$program.go"
done

version=k8s.io/component-base/version minor=${release#v1.}
for program in kube-apiserver kubectl; do
  [ ! -x "$program" ] || continue
  printf 'building %s %s\n' "$program" "$release" >&2
  nice -n 15 go build -tags providerless -gcflags='all=-N -l' -ldflags="-s -w \
    -X $version.gitVersion=$release -X $version.gitMajor=1 -X $version.gitMinor=${minor%%.*}" \
    -o "$program.new" "k8s.io/kubernetes/cmd/$program"
  mv "$program.new" "$program"
done
