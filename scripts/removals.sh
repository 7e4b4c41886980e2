#!/usr/bin/env bash
# Remove one rule at a time and see that the test that is named for it fails.
#
#   scripts/removals.sh                  every removal: hours
#   scripts/removals.sh NAME...          these
#   scripts/removals.sh --check          that each still applies, names a test that is there, and is in
#                                        docs/adversaries.md; nothing is compiled
#   scripts/removals.sh --some SECONDS   as many of tally-core's as fit, others each day
#
# A removal is tests/removals/NAME.patch. Before its patch it says `rule:`, the rules that it removes, and
# `test:`, the arguments of `cargo test` for one test, whose full name comes last.
# A removal survives if that test still passes. A test that does not pass without the removal shows nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

TEST_SECONDS=900 # for one build and one test; a test that hangs has noticed

removals=tests/removals
work=${CARGO_TARGET_DIR:-$PWD/target}/removals
case $work in /*) ;; *) work=$PWD/$work ;; esac
tree=$work/tree
# The copy lies inside this repository, of which its patches know nothing.
export GIT_CEILING_DIRECTORIES=$work CARGO_TARGET_DIR=$work/build
# Of a change of one line little has to be built again; fast code is of no use here.
export CARGO_INCREMENTAL=1 CARGO_PROFILE_DEV_DEBUG=none CARGO_PROFILE_DEV_OPT_LEVEL=0
export CARGO_TERM_COLOR=never

# Two at a time would take each other's rules out.
mkdir -p "$work"
exec 9>"$work/lock"
flock 9

names() { find "$removals" -name '*.patch' -printf '%f\n' | sed 's/\.patch$//' | sort; }

# field NAME FIELD: what a removal says of itself.
field() { sed -n "1,/^\$/s/^$2: //p" "$removals/$1.patch"; }

# Copies what git knows, as it is now. Only a file that differs is written, so that what is built anew is what
# changed, and nothing that a removal left behind is taken for new.
copy() {
    local file
    mkdir -p "$tree"
    git ls-files -z | while IFS= read -r -d '' file; do
        [ ! -f "$file" ] || cmp -s "$file" "$tree/$file" || cp --parents --preserve=mode "$file" "$tree"
    done
    comm -13 <(git ls-files | sort) <(cd "$tree" && find . -type f -printf '%P\n' | sort) |
        while IFS= read -r file; do rm "$tree/$file"; done
}

apply() { git -C "$tree" apply "$@"; }

# run NAME: runs a removal's test in the copy. 0: it passed. 1: it failed. 2: it was not run.
run() {
    local arguments test log=$work/log status=0
    read -ra arguments <<<"$(field "$1" test)"
    test=${arguments[-1]}
    unset 'arguments[-1]'
    (cd "$tree" && timeout --kill-after=10 "$TEST_SECONDS" \
        cargo test --quiet "${arguments[@]}" -- --exact "$test") >"$log" 2>&1 9>&- || status=$?
    if grep -q '^test result: ok. 1 passed' "$log"; then
        return 0
    elif grep -q '^test result: FAILED. 0 passed; 1 failed' "$log" ||
        { [ "$status" -ge 124 ] && grep -q '^running 1 test' "$log"; }; then
        return 1
    fi
    tail -n 30 "$log" >&2
    return 2
}

check() {
    local name test faults=0 count=0
    copy
    for name in $(names); do
        count=$((count + 1))
        apply --check "$PWD/$removals/$name.patch" ||
            { echo "removals: $name does not apply: make it anew for what the rule is now"; faults=$((faults + 1)); }
        test=$(field "$name" test)
        git grep -qw "${test##*[: ]}" -- '*.rs' ||
            { echo "removals: $name names a test that is not there: $test"; faults=$((faults + 1)); }
        [ -n "$(field "$name" rule)" ] && grep -q "\`$name\`" docs/adversaries.md ||
            { echo "removals: $name has no rule, or no line in docs/adversaries.md"; faults=$((faults + 1)); }
    done
    for name in $(sed -n 's/^|.*| `\([a-z0-9-]*\)` |$/\1/p' docs/adversaries.md); do
        [ -f "$removals/$name.patch" ] ||
            { echo "removals: docs/adversaries.md names $name, which is not there"; faults=$((faults + 1)); }
    done
    [ "$count" -gt 0 ] || { echo "removals: there is none"; exit 1; }
    echo "removals: $count, $faults to mend"
    [ "$faults" -eq 0 ]
}

# try SECONDS NAME...: runs these removals, in order, starting none after so many seconds.
try() {
    local seconds=$1 name outcome run=0 survivors=() broken=()
    local -A passes=()
    shift
    copy
    for name in "$@"; do
        [ -f "$removals/$name.patch" ] || { echo "removals: no $name"; exit 2; }
        [ $SECONDS -lt "$seconds" ] || break
        run=$((run + 1))
        if ! apply "$PWD/$removals/$name.patch"; then
            broken+=("$name")
            continue
        fi
        outcome=0
        run "$name" || outcome=$?
        apply -R "$PWD/$removals/$name.patch"
        case $outcome in
        0) survivors+=("$name") && echo "removals: $name SURVIVES: $(field "$name" test)" ;;
        1) passes[$(field "$name" test)]=$name && echo "removals: $name is noticed" ;;
        *) broken+=("$name") && echo "removals: $name does not build, or its test was not run" ;;
        esac
    done
    # One build of each crate as it is: what failed must not fail anyway.
    for test in "${!passes[@]}"; do
        run "${passes[$test]}" || { broken+=("${passes[$test]}") && echo "removals: it fails anyway: $test"; }
    done
    [ ${#broken[@]} -eq 0 ] || echo "removals: broken: ${broken[*]}"
    echo "survivors: ${#survivors[@]} of $run${survivors[*]:+: ${survivors[*]}}"
    [ "$run" -gt 0 ] && [ ${#survivors[@]} -eq 0 ] && [ ${#broken[@]} -eq 0 ]
}

# The removals of the crate that is built fast, once each, from another one on each day.
from_today() {
    local all shift
    mapfile -t all < <(grep -l '^test: -p tally-core ' "$removals"/*.patch | sed 's|.*/\(.*\)\.patch|\1|')
    shift=$((10#$(date -u +%s) / 86400 * 7 % ${#all[@]}))
    printf '%s\n' "${all[@]:shift}" "${all[@]:0:shift}"
}

case ${1:-} in
--check) check ;;
--some)
    [ $# -eq 2 ] || { sed -n '4,8s/^#   //p' "$0" >&2 && exit 2; }
    mapfile -t today < <(from_today)
    try "$2" "${today[@]}"
    ;;
-*) sed -n '4,8s/^#   //p' "$0" >&2 && exit 2 ;;
'')
    mapfile -t all < <(names)
    try 1000000 "${all[@]}"
    ;;
*) try 1000000 "$@" ;;
esac
