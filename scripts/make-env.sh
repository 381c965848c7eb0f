#!/usr/bin/env bash
# Writes .env from .env.example, with a fresh random secret wherever a secret is left empty.
# An existing .env is never touched: its secrets open the database.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

if [ -e .env ]; then
  echo "make-env: .env is there already and stays as it is"
  exit 0
fi

# 32 random bytes in URL-safe base64, which is also the form of a Fernet key.
random_key() { head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n'; }
# Only digits and letters: this one is written into a URL.
random_password() { head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n'; }

umask 077
draft=$(mktemp .env.XXXXXX)
trap 'rm -f "$draft"' EXIT
while IFS= read -r line || [ -n "$line" ]; do
  case "$line" in
    SECRET_KEY= | CHAOSWEB_FIELD_KEY=) printf '%s%s\n' "$line" "$(random_key)" ;;
    POSTGRES_PASSWORD= | METRICS_TOKEN=) printf '%s%s\n' "$line" "$(random_password)" ;;
    *) printf '%s\n' "$line" ;;
  esac
done <.env.example >"$draft"
mv "$draft" .env
trap - EXIT
echo "make-env: wrote .env with fresh secrets; keep a copy of CHAOSWEB_FIELD_KEY where backups are kept"
