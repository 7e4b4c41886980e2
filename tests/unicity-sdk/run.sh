#!/usr/bin/env bash
# Runs the public SDK of the wire format against a development network of four validators.
# TALLY_BIN names the program; needs node 20.19 or later and npm.
set -euo pipefail

: "${TALLY_BIN:?set TALLY_BIN to the path of the tally program}"
tally=$(realpath "$TALLY_BIN")
cd "$(dirname "$0")"

npm ci --no-audit --no-fund --loglevel=error

work=$(mktemp -d)
"$tally" devnet up --validators 4 --dir "$work/net" >"$work/up.json" 2>"$work/up.log" &
network=$!
finish() {
    status=$?
    kill -INT "$network" 2>/dev/null || true
    wait "$network" 2>/dev/null || true
    [ "$status" -eq 0 ] || tail -n 50 "$work/up.log" >&2
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT

# One whole line of JSON says that the network is ready.
for _ in $(seq 300); do
    [ "$(wc -l <"$work/up.json")" -ge 1 ] && break
    kill -0 "$network" 2>/dev/null || { echo "the network did not start" >&2; exit 1; }
    sleep 0.1
done
[ "$(wc -l <"$work/up.json")" -ge 1 ] || { echo "the network was not ready in 30 seconds" >&2; exit 1; }

node suite.mjs <"$work/up.json"
