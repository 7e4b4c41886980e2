#!/usr/bin/env bash
# Print the fenced block that follows the line `<!-- NAME -->` in README.md, so that what the
# README tells a visitor to run is what the checks run.
set -euo pipefail

name=${1:?usage: scripts/readme-block.sh NAME}
readme=$(dirname "$0")/../README.md

if [ ! -f "$readme" ]; then
    echo "readme-block: README.md is missing" >&2
    exit 1
fi
block=$(awk -v marker="<!-- $name -->" '
    !marked      { marked = ($0 == marker); next }
    /^```/       { if (open) exit; open = 1; next }
    open         { print; next }
    /^[^ \t]/    { exit }
' "$readme")
if [ -z "$block" ]; then
    echo "readme-block: README.md has no fenced block right after a line \`<!-- $name -->\`" >&2
    exit 1
fi
printf '%s\n' "$block"
