#!/usr/bin/env bash
# Search random lives of agents for rules that are taken out: which life fails without which rule?
#
#   scripts/campaign.sh            every rule of agents, devices, histories, predicates and notaries: an hour or two
#   scripts/campaign.sh NAME...    these
#
# A rule is a patch of tests/removals. In a copy of the repository `cargo xtask switches` puts each behind a
# switch, so that one program lives with and without any of them; scripts/campaign.rs lives the lives. A row says
# the rule, the seed of a life that fails without it, and why; several rules in one row make a life fail only
# together. In the end come the rules without which no life failed.
# It fails if a life fails with every rule.
# `LIVES` is how many are lived (10000), from `FIRST` on (0); none begins after `WITHIN` seconds.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$PWD/target/campaign
tree=$work/tree
# The copy lies inside this repository, of which its patches know nothing.
export GIT_CEILING_DIRECTORIES=$work CARGO_TARGET_DIR=$work/build CARGO_INCREMENTAL=1 CARGO_TERM_COLOR=never
export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=256 CARGO_PROFILE_RELEASE_DEBUG=none
export CARGO_PROFILE_RELEASE_OPT_LEVEL=2 RUST_BACKTRACE=0
export LIVES=${LIVES:-10000} FIRST=${FIRST:-0} WITHIN=${WITHIN:-1000000} NAMES="$*"

mkdir -p "$tree"
exec 9>"$work/lock"
flock 9

# Only a file that differs is written, so that what is built anew is what changed.
git ls-files -z | while IFS= read -r -d '' file; do
    [ ! -f "$file" ] || cmp -s "$file" "$tree/$file" || cp --parents --preserve=mode "$file" "$tree"
done
cp scripts/campaign.rs "$tree/crates/testkit/tests/"

# Not the forms of objects, cards and seals, which lives do not break.
mapfile -t names < <(
    grep -lE '^\+\+\+ b/crates/(agent|core/src/(device|evidence|notary|predicate|trade))' tests/removals/*.patch |
        sed 's|.*/\(.*\)\.patch|\1|'
)
for name in "$@"; do
    [[ " ${names[*]} " == *" $name "* ]] || { echo "campaign: no $name" >&2; exit 2; }
done
cargo run --quiet --package xtask -- switches "$tree" "${names[@]}" 9>&-
cd "$tree"
cargo test --release --quiet -p tally-testkit --test campaign --no-run >"$work/log" 2>&1 9>&- ||
    { tail -n 40 "$work/log" >&2; exit 1; }
# A life that takes all memory has failed.
ulimit -v 4000000
exec cargo test --release --quiet -p tally-testkit --test campaign -- --ignored --exact --nocapture search 2>"$work/log"
