#!/usr/bin/env bash
# Take out one rule at a time, and live lives of agents until one fails.
#
#   scripts/campaign.sh            every rule that a life can reach: hours
#   scripts/campaign.sh NAME...    these
#
# A rule is a patch of tests/removals. For each a row of a table is printed: the seed of the first life that
# fails, or after how many lives none did. `LIVES` and `WITHIN`, in seconds, say when a search ends. One that is
# killed since it does not end says nothing. What is not run has no row.
set -euo pipefail
cd "$(dirname "$0")/.."

lives=${LIVES:-10000}
within=${WITHIN:-180}
work=$PWD/target/campaign
tree=$work/tree
# The copy lies inside this repository, of which its patches know nothing.
export GIT_CEILING_DIRECTORIES=$work CARGO_TARGET_DIR=$work/build CARGO_INCREMENTAL=1 CARGO_TERM_COLOR=never
export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=256 CARGO_PROFILE_RELEASE_DEBUG=none
export CARGO_PROFILE_RELEASE_OPT_LEVEL=2 RUST_BACKTRACE=0

mkdir -p "$tree"
exec 9>"$work/lock"
flock 9

# Only a file that differs is written, so that what is built anew is what changed.
git ls-files -z | while IFS= read -r -d '' file; do
    cmp -s "$file" "$tree/$file" || cp --parents --preserve=mode "$file" "$tree"
done

# What honest people can run into, without a cheat: not the forms of objects, nor what only a forger breaks.
reached() {
    grep -lE '^\+\+\+ b/crates/(agent|core/src/(device|evidence|notary|predicate|trade))' tests/removals/*.patch |
        sed 's|.*/\(.*\)\.patch|\1|'
}

# search: lives lives in the copy as it is; says what came of it.
search() {
    local log=$work/log status=0
    (cd "$tree" && cargo test --release --quiet -p tally-testkit --test lives --no-run) >"$log" 2>&1 9>&- ||
        { echo "does not build"; return; }
    (cd "$tree" && STOP=1 LIVES=$lives WITHIN=$within timeout --kill-after=5 $((within + 60)) \
        cargo test --release --quiet -p tally-testkit --test lives -- --nocapture) >"$log" 2>&1 9>&- || status=$?
    if grep -q '^failed lives: ' "$log"; then
        sed -n 's/^failed lives: \[\([0-9]*\).*/\1/p' "$log" | head -n 1
    elif [ "$status" -ge 124 ]; then
        echo "did not end in time"
    elif [ "$status" -eq 0 ]; then
        sed -n 's/^\([0-9]*\) lives from 0 on: .*/none in \1/p' "$log"
    else
        echo "not run"
    fi
}

if [ $# -gt 0 ]; then names=("$@"); else mapfile -t names < <(reached); fi
for name in "${names[@]}"; do
    patch=$PWD/tests/removals/$name.patch
    git -C "$tree" apply "$patch" || { echo "| \`$name\` | does not apply |"; continue; }
    echo "| \`$name\` | $(search) |"
    git -C "$tree" apply -R "$patch"
done
