#!/usr/bin/env bash
# Build the agent for wasm32-unknown-unknown, without std, and run a payment and its settlement in it.
# Fails if the agent does not build there, if the module imports anything, or if it pays or settles wrongly.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=$(scripts/install-wasm-tools.sh)
node=$(scripts/install-node.sh)
target=${CARGO_TARGET_DIR:-$PWD/target}/wasm
llvm=$tools/usr/lib/llvm-22

# The same versions as everywhere else.
cp Cargo.lock xtask/wasm-check/Cargo.lock
(
    export RUSTC=$tools/usr/bin/rustc
    export LD_LIBRARY_PATH=$tools/usr/lib/x86_64-linux-gnu:$llvm/lib
    export CC_wasm32_unknown_unknown=$llvm/bin/clang AR_wasm32_unknown_unknown=$llvm/bin/llvm-ar
    export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$llvm/bin/wasm-ld
    # Debian has no core library for this target: cargo builds it from source, which only a compiler
    # that is told to be unstable does.
    export RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$target
    cd xtask/wasm-check
    cargo build --quiet --release --target wasm32-unknown-unknown -Zbuild-std=core,alloc,panic_abort
)
module=$target/wasm32-unknown-unknown/release/wasm_check.wasm
echo "wasm: $(wc -c <"$module") bytes"
"$node/node" --test-reporter=spec xtask/wasm-check/run.mjs "$module"
