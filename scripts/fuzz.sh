#!/usr/bin/env bash
# Fuzz with libFuzzer, guided by coverage, on a stock stable toolchain.
#
#   scripts/fuzz.sh --short                  every target, about three minutes in all
#   scripts/fuzz.sh --seconds N [TARGET...]  N seconds a target
#   scripts/fuzz.sh --replay TARGET FILE     run one input, with a backtrace
#   scripts/fuzz.sh --list                   the targets
#
# As many targets run at once as there are cores. An input that fails is kept in
# fuzz/artifacts/TARGET/; what was learned stays in fuzz/corpus/TARGET/ for the next run.
set -euo pipefail
cd "$(dirname "$0")/.."

SHORT_SECONDS=180 # of processor time for all targets together
MEMORY_MB=1024    # more than any input may cost
INPUT_SECONDS=10  # longer than any input may take

usage() {
    sed -n '4,7s/^#   //p' "$0" >&2
    exit 2
}

build() {
    if ! command -v "${CXX:-c++}" >/dev/null; then
        echo "fuzz: libFuzzer is C++ and there is no C++ compiler: install g++ or clang, or set CXX" >&2
        exit 1
    fi
    local host folder
    host=$(rustc -vV | sed -n 's/^host: //p')
    folder=${CARGO_TARGET_DIR:+$CARGO_TARGET_DIR/fuzz}
    folder=${folder:-fuzz/target}
    # The coverage that libFuzzer reads, by LLVM's own pass, which stable rustc can be told to run.
    # Naming the target keeps it out of build scripts and procedural macros.
    RUSTFLAGS="-Cpasses=sancov-module \
        -Cllvm-args=-sanitizer-coverage-level=4 \
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
        -Cllvm-args=-sanitizer-coverage-pc-table \
        -Cllvm-args=-sanitizer-coverage-trace-compares" \
        cargo build --quiet --release --manifest-path fuzz/Cargo.toml --bin fuzz \
        --target "$host" --target-dir "$folder"
    FUZZ=$folder/$host/release/fuzz
    case $FUZZ in /*) ;; *) FUZZ=$PWD/$FUZZ ;; esac
    export FUZZ
}

# Each line: name, then the longest input worth trying, in bytes.
list() {
    TALLY_FUZZ_TARGET=--list "$FUZZ" 2>/dev/null # libFuzzer looks for sanitizers, aloud
}

run_one() {
    local target=$1 seconds=$2 longest=$3 log input
    local folders=("fuzz/corpus/$target") # what is new is written to the first
    mkdir -p "fuzz/corpus/$target" "fuzz/artifacts/$target"
    [ ! -d "fuzz/seeds/$target" ] || folders+=("fuzz/seeds/$target")
    log=fuzz/artifacts/$target/log
    if TALLY_FUZZ_TARGET=$target "$FUZZ" "${folders[@]}" \
        -max_total_time="$seconds" -max_len="$longest" -timeout="$INPUT_SECONDS" \
        -rss_limit_mb="$MEMORY_MB" -artifact_prefix="fuzz/artifacts/$target/" \
        -print_final_stats=1 >"$log" 2>&1; then
        awk -v target="$target" '
            /cov: /                      { cov = $4; for (i = 1; i < NF; i++) if ($i == "cov:") cov = $(i + 1) }
            /number_of_executed_units/   { runs = $2 }
            /average_exec_per_sec/       { rate = $2 }
            END { printf "fuzz: %-24s %10d runs  %7d a second  %5d edges\n", target, runs, rate, cov }
        ' "$log"
    else
        grep -v '^#' "$log" | tail -n 40
        input=$(sed -n 's/.*Test unit written to //p' "$log")
        echo "fuzz: $target FAILED; replay with: scripts/fuzz.sh --replay $target $input"
        return 1
    fi
}
export -f run_one
export INPUT_SECONDS MEMORY_MB

run_all() {
    local seconds=$1 plan cores
    shift
    plan=$(list)
    cores=$(getconf _NPROCESSORS_ONLN)
    if [ $# -gt 0 ]; then
        for target in "$@"; do
            if ! grep -q "^$target " <<<"$plan"; then
                echo "fuzz: no target $target; there are:" >&2
                cut -d' ' -f1 <<<"$plan" >&2
                exit 2
            fi
        done
        plan=$(grep -E "^($(IFS='|' && echo "$*")) " <<<"$plan")
    fi
    if [ "$seconds" = short ]; then
        seconds=$((SHORT_SECONDS / $(wc -l <<<"$plan")))
        seconds=$((seconds < 5 ? 5 : seconds > 30 ? 30 : seconds))
    fi
    echo "fuzz: $(wc -l <<<"$plan") targets, $seconds s each, $cores at once"
    # xargs fails when any run does.
    awk -v seconds="$seconds" '{ print $1, seconds, $2 }' <<<"$plan" |
        xargs -L 1 -P "$cores" bash -c 'run_one "$@"' run_one
}

case ${1:-} in
--short) build && run_all short ;;
--seconds)
    [ $# -ge 2 ] || usage
    seconds=$2
    shift 2
    build && run_all "$seconds" "$@"
    ;;
--replay)
    [ $# -eq 3 ] || usage
    build
    RUST_BACKTRACE=1 TALLY_FUZZ_TARGET=$2 "$FUZZ" "$3"
    ;;
--list) build && list | cut -d' ' -f1 ;;
*) usage ;;
esac
