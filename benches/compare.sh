#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Measures k3s-harden beside what else a person could run: compare.sh [--write] [ROW…]
#
# It builds the binary as it is shipped and, where Go and Python's venv are, kube-bench from its source and Ansible; all of it
# stays below target/compare. Then it prints a table for each row, or for the rows that are named (a wrong name lists them);
# --write also puts them into docs/PERFORMANCE.md. It takes about ten minutes. On a machine that does other things at the same
# time, only the ratios mean something.
#
# It needs strace, and bwrap for kube-bench. BENCH_BINARY names a binary that is built already, BENCH_RUNS how often each program
# runs (100).
set -euo pipefail
cd "$(dirname "$0")/.."
page=docs/PERFORMANCE.md
mark='<!-- Below: what benches/compare.sh --write has measured. -->'
target=${CARGO_TARGET_DIR:-target}
made=$target/compare
kube_bench=github.com/aquasecurity/kube-bench@v0.15.6
ansible='ansible-core==2.19.14'

write=0
if [ "${1:-}" = --write ]; then
  write=1
  shift
fi
mkdir -p "$made"
made=$(cd "$made" && pwd)

if [ -z "${BENCH_BINARY:-}" ]; then
  RUSTFLAGS='-C target-feature=+crt-static' \
    cargo build --locked --profile dist --target "$(uname -m)-unknown-linux-gnu" --bin k3s-harden
  BENCH_BINARY=$target/$(uname -m)-unknown-linux-gnu/dist/k3s-harden
fi
BENCH_BINARY=$(realpath "$BENCH_BINARY")
export BENCH_BINARY

if command -v go > /dev/null && command -v bwrap > /dev/null; then
  [ -e "$made/go.mod" ] || printf 'module compare\n' > "$made/go.mod"
  source=$(cd "$made" && go mod download -json "$kube_bench" | sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p')
  [ -x "$made/kube-bench" ] || (cd "$source" && go build -buildvcs=false -o "$made/kube-bench" .)
  export BENCH_KUBE_BENCH=$made/kube-bench BENCH_KUBE_BENCH_CFG=$source/cfg
fi
if python3 -c 'import ensurepip' 2> /dev/null; then
  if [ ! -x "$made/venv/bin/ansible-playbook" ]; then
    python3 -m venv "$made/venv"
    "$made/venv/bin/pip" install --quiet "$ansible"
  fi
  export BENCH_ANSIBLE=$made/venv/bin/ansible-playbook
fi

tables=$made/tables.md
# The bench itself is built like the tests, so that their dependencies are not built again.
cargo bench --locked --quiet --profile dev --bench compare -- "$@" | tee "$tables"
if [ "$write" = 1 ]; then
  {
    sed "/^$mark\$/q" "$page"
    printf '\nk3s-harden %s, %s cores (%s), Linux %s, %s.\n\n' "$(git rev-parse --short HEAD)" "$(nproc)" \
      "$(sed -n 's/^model name\s*: //p' /proc/cpuinfo | sort -u | head -n 1)" "$(uname -r)" "$(date --utc +%F)"
    # One empty line at the end is enough.
    sed -e :a -e '/^\n*$/{$d;N;ba' -e '}' "$tables"
  } > "$page.new"
  mv "$page.new" "$page"
fi
