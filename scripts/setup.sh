#!/usr/bin/env bash
# Brings what ChaosWeb's demo, tests and checks need to this machine: the Python packages into
# .venv, and Prometheus, Chromium, PostgreSQL and docker-compose from the system's own packages.
# Safe to repeat; says nothing when nothing is to be done. Never starts a service.
#
# PYTHON=/path/to/python   the interpreter for .venv (3.11 or newer)
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# --- what is there ------------------------------------------------------------------------------

is_recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
  local candidate
  for candidate in ${PYTHON:+"$PYTHON"} python3.11 python3 python3.12 python3.13; do
    if is_recent "$candidate"; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  return 1
}

makes_venvs() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

has_venv() { is_recent .venv/bin/python && .venv/bin/python -m pip --version >/dev/null 2>&1; }

has() {
  case "$1" in
    prometheus) command -v prometheus ;;
    chromium) command -v chromium || command -v chromium-browser || [ -d /Applications/Chromium.app ] ;;
    postgresql)
      command -v postgres || compgen -G '/usr/lib/postgresql/*/bin/postgres' ||
        compgen -G '/opt/homebrew/opt/postgresql@*/bin/postgres' ||
        compgen -G '/usr/local/opt/postgresql@*/bin/postgres'
      ;;
    docker-compose) command -v docker-compose || docker compose version ;;
    *) die "no rule tells whether $1 is installed" ;;
  esac >/dev/null 2>&1
}

missing_programs() {
  local program
  for program in prometheus chromium postgresql docker-compose; do
    has "$program" || printf '%s ' "$program"
  done
}

# --- the system's packages ----------------------------------------------------------------------

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

may_install() {
  [ "$(id -u)" = 0 ] || { command -v sudo && sudo -n true; } >/dev/null 2>&1
}

system_kind() {
  if command -v apt-get >/dev/null 2>&1; then
    echo apt
  elif [ "$(uname -s)" = Darwin ] && command -v brew >/dev/null 2>&1; then
    echo brew
  else
    echo other
  fi
}

# Debian starts a service as soon as its package is unpacked, unless policy-rc.d forbids it.
policy=/usr/sbin/policy-rc.d
kept_policy=$policy.before-chaosweb
log=""

forbid_services() {
  if [ ! -e "$kept_policy" ] && [ -e "$policy" ]; then as_root mv "$policy" "$kept_policy"; fi
  printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
  as_root chmod 755 "$policy"
}

restore_services() {
  as_root rm -f "$policy"
  if [ -e "$kept_policy" ]; then as_root mv "$kept_policy" "$policy"; fi
}

tidy() {
  local status=$?
  if [ -n "$log" ]; then
    restore_services
    rm -f "$log"
  fi
  exit "$status"
}

apt_get() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=300 "$@" \
    </dev/null >>"$log" 2>&1
}

apt_install() {
  log=$(mktemp)
  trap tidy EXIT
  trap 'exit 130' INT TERM
  forbid_services
  if ! apt_get install --no-install-recommends "$@"; then
    if ! { apt_get update && apt_get install --no-install-recommends "$@"; }; then
      tail -n 20 "$log" >&2
      die "apt-get could not install: $*"
    fi
  fi
  restore_services
  rm -f "$log"
  log=""
}

# The tests start servers of their own: Debian's must not take their ports at the next boot.
disable_services() {
  local service
  command -v systemctl >/dev/null 2>&1 || return 0
  for service in "$@"; do
    case "$service" in
      prometheus | postgresql) as_root systemctl disable "$service" >/dev/null 2>&1 || true ;;
    esac
  done
}

# --- 1. an interpreter that can make a virtual environment -----------------------------------------

if ! has_venv; then
  python=$(find_python) || python=""
  if [ -z "$python" ] && [ "$(system_kind)" = apt ] && may_install; then
    say "installing python3"
    apt_install python3 python3-venv
    python=$(find_python) || die "this system's python3 is older than 3.11: install Python 3.11 and run again with PYTHON=/path/to/python3.11."
  fi
  [ -n "$python" ] || die "no Python 3.11 or newer was found: install it (Debian 12: apt-get install python3 python3-venv; macOS: brew install python@3.11) and run again."
  if ! makes_venvs "$python"; then
    venv_package=python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv
    if [ "$(system_kind)" = apt ] && may_install; then
      say "installing $venv_package"
      apt_install "$venv_package"
    fi
    makes_venvs "$python" || die "$python cannot make virtual environments: install its venv module (Debian: apt-get install $venv_package) and run again."
  fi
  say "making .venv with $("$python" --version)"
  "$python" -m venv --clear .venv
fi

# --- 2. the Python packages, all pinned by hash ------------------------------------------------------

uv_pin=$(awk '/^uv==/ { inside = 1 } inside { print } inside && !/\\$/ { exit }' requirements-dev.txt)
[ -n "$uv_pin" ] || die "requirements-dev.txt does not pin uv: run 'make lock'."
uv_version=$(printf '%s\n' "$uv_pin" | sed -n 's/^uv==\([^ ;]*\).*/\1/p')
if [ "$(.venv/bin/uv --version 2>/dev/null | cut -d ' ' -f 2)" != "$uv_version" ]; then
  say "installing uv $uv_version"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
    --requirement /dev/stdin <<<"$uv_pin" || die "pip could not install uv $uv_version (see above)."
fi
# uv does not read pip's configuration: hand it the index that pip would use, if one is set.
if [ -z "${UV_DEFAULT_INDEX:-}" ]; then
  index=$(.venv/bin/python -m pip config get global.index-url 2>/dev/null || true)
  if [ -n "${PIP_INDEX_URL:-$index}" ]; then export UV_DEFAULT_INDEX="${PIP_INDEX_URL:-$index}"; fi
fi
.venv/bin/uv pip sync --quiet --python .venv/bin/python --require-hashes requirements-dev.txt ||
  die "uv could not install requirements-dev.txt into .venv (see above)."

# --- 3. the programs that the demo and the tests start -----------------------------------------------

read -r -a wanted <<<"$(missing_programs)" || true
if [ "${#wanted[@]}" -gt 0 ]; then
  case "$(system_kind)" in
    apt)
      may_install || die "missing: ${wanted[*]}; as root, run: apt-get install --no-install-recommends ${wanted[*]}"
      say "installing ${wanted[*]}"
      packages=()
      for program in "${wanted[@]}"; do
        case "$program" in
          # Ubuntu has Chromium only as a snap. Pages need at least one font to be measured.
          chromium) grep -qi '^ID=ubuntu' /etc/os-release || packages+=(chromium fonts-liberation) ;;
          *) packages+=("$program") ;;
        esac
      done
      if [ "${#packages[@]}" -gt 0 ]; then
        apt_install "${packages[@]}"
        disable_services "${packages[@]}"
      fi
      ;;
    brew)
      for program in "${wanted[@]}"; do
        say "installing $program"
        case "$program" in
          chromium) brew install --quiet --cask chromium ;;
          postgresql) brew install --quiet postgresql@15 ;;
          *) brew install --quiet "$program" ;;
        esac </dev/null
      done
      ;;
    other) die "missing: ${wanted[*]}; install them with this system's package manager and run again." ;;
  esac
  read -r -a wanted <<<"$(missing_programs)" || true
  [ "${#wanted[@]}" -eq 0 ] || die "still missing: ${wanted[*]}; install by hand (on Ubuntu, Chromium is a snap: snap install chromium) and run again."
fi
