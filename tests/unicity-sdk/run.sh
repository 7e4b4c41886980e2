#!/usr/bin/env bash
# Runs the public SDK of the wire format against a development network of four validators, each a process.
# TALLY_BIN names the program, which is built if that is not set. Installs Node.js if there is none.
set -euo pipefail
cd "$(dirname "$0")"

if [ -z "${TALLY_BIN:-}" ]; then
    cargo build --quiet --package tally-cli
    TALLY_BIN=${CARGO_TARGET_DIR:-../../target}/debug/tally
fi
tally=$(realpath "$TALLY_BIN")
node=$(../../scripts/install-node.sh)
PATH=$node:$PATH

npm ci --no-audit --no-fund --loglevel=error

work=$(mktemp -d)
"$tally" --json devnet up --validators 4 --dir "$work/net" >"$work/up.json" 2>"$work/up.log" &
network=$!
finish() {
    status=$?
    kill -INT "$network" 2>/dev/null || true
    # Its validators end when it does, however it ends.
    for _ in $(seq 150); do
        kill -0 "$network" 2>/dev/null || break
        sleep 0.1
    done
    kill -KILL "$network" 2>/dev/null || true
    wait "$network" 2>/dev/null || true
    [ "$status" -eq 0 ] || tail -n 50 "$work"/up.log "$work"/net/*/log.txt >&2 || true
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT

# One whole line of JSON from a program that goes on says that the network is ready.
ready() {
    sleep 0.1
    kill -0 "$network" 2>/dev/null || { echo "the network did not start" >&2; exit 1; }
    [ "$(wc -l <"$work/up.json")" -ge 1 ]
}
for _ in $(seq 600); do
    ready && break
done
ready || { echo "the network was not ready in 60 seconds" >&2; exit 1; }

node --test-reporter=spec suite.mjs <"$work/up.json"
