#!/bin/sh
# Writes .sqlx/, what `query!` knows of the database when there is none: starts a Postgres of its own, gives it the
# migrations, and lets the macros ask it. Run it after every change of SQL; needs an installed server, and no sqlx-cli.
set -eu
cd "$(dirname "$0")/.."
bin=${POSTGRES_BIN:-$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)}
home=$(mktemp -d)
account=$(id -un)
if [ "$(id -u)" = 0 ]; then
    account=$(id -un postgres 2>/dev/null || echo nobody)
    chown "$account" "$home"
fi
as() { if [ "$(id -un)" = "$account" ]; then "$@"; else setpriv --reuid="$account" --regid="$(id -g "$account")" --clear-groups -- "$@"; fi; }
trap 'as "$bin/pg_ctl" -D "$home/data" stop -m immediate >/dev/null 2>&1 || true; rm -rf -- "$home"' EXIT INT TERM

cd "$home"
as "$bin/initdb" -D "$home/data" -U gateway -A trust -E UTF8 --no-sync >/dev/null
as "$bin/pg_ctl" -D "$home/data" -l "$home/data/log" -w -o "-c listen_addresses='' -k $home -F" start >/dev/null
cd - >/dev/null
export PGHOST="$home" PGUSER=gateway PGDATABASE=postgres PGOPTIONS='-c search_path=claude_gateway'
"$bin/psql" -qX -c 'CREATE SCHEMA claude_gateway'
for migration in migrations/sql/*.sql; do
    "$bin/psql" -qX -v ON_ERROR_STOP=1 -f "$migration"
done

rm -rf .sqlx
mkdir .sqlx
# The macros write while they expand, so the crates must be expanded anew.
touch gateway/src/lib.rs operator/src/lib.rs
encoded=$(printf %s "$home" | sed 's,/,%2F,g')
DATABASE_URL="postgres://gateway@$encoded/postgres?options=-c%20search_path%3Dclaude_gateway" \
    SQLX_OFFLINE_DIR="$PWD/.sqlx" SQLX_OFFLINE=false cargo check -p gateway -p operator --lib
echo "$(ls .sqlx | wc -l) statements"
