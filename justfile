# Run `just` for this list. Nothing here is needed to use Tally: each recipe is a command or two.

_list:
    @{{ just_executable() }} --list --unsorted

# Everything a change must pass before it is sent, in one go.
ci:
    .ci/run

# All tests, as the README runs them.
test:
    bash -euo pipefail -c "$(scripts/readme-block.sh test)"

# The story: one coin, two merchants, no network.
demo:
    cargo run --release -p tally-cli -- demo

# Sizes and speeds beside what this machine's own primitives cost.
bench:
    cargo bench -p tally-bench

# Requests that four validators certify a second on this machine, and how long one takes.
bench-notary seconds="60":
    cargo build --release -p tally-cli --features processes --bin tally --example bench_notary
    dir=${CARGO_TARGET_DIR:-target}/release; "$dir/examples/bench_notary" "$dir/tally" {{ seconds }}

# Format and lints.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo clippy --workspace --lib --bins -- -D warnings -D clippy::too_many_lines

# Which room may import which; what a file may hold; that rules are numbered once; that the protocol needs no std.
layering:
    cargo xtask layering
    cargo xtask purity
    cargo xtask hygiene
    cargo xtask spec
    cargo xtask no-std

# The agent without a system: built for WebAssembly, where it imports nothing, and pays in Node.js.
wasm:
    scripts/wasm.sh

# Every fuzz target, this many seconds each.
fuzz seconds="60":
    scripts/fuzz.sh --seconds {{ seconds }}

# One hour for each fuzz target.
fuzz-long:
    scripts/fuzz.sh --seconds 3600

# One random life of a network of validators, with what broke it: `just sim 7` or `just sim SEED=7`.
sim seed="1":
    SEED={{ trim_start_match(seed, "SEED=") }} cargo test -p tally-notary --test sim whatever_fails -- --nocapture

# Ten thousand of them, a quarter of an hour on two cores.
sim-long:
    SEEDS=10000 cargo test --release -p tally-notary --test sim whatever_fails -- --nocapture

# One random life of a few devices, with everything that happens in it.
sim-devices seed="1":
    cargo run --release -p tally-sim -- --seed {{ trim_start_match(seed, "SEED=") }}

# Ten thousand of them, and one line in the end.
sim-devices-long:
    cargo run --release -p tally-sim -- --seeds 10000

# One random life of three agents, or ten thousand of them.
life seed="1":
    LIFE={{ seed }} cargo test -p tally-testkit --test lives

lives-long:
    LIVES=10000 cargo test --release -p tally-testkit --test lives

# Take rules out, and live lives without them to see which one fails: docs/simulation.md; an hour or two.
campaign *rules:
    scripts/campaign.sh {{ rules }}

# What fails under four validators as processes: kills, a frozen one, a cut network, a full disk.
faults-notary:
    cargo test -p tally-cli --features processes --test faults

# Explore every order of messages, losses and crashes of the production state machines.
model-check:
    cargo test --release -p tally-sim model -- --include-ignored --nocapture \
        --skip model_of_a_copied_payer_whose_money_is_paid_on \
        --skip model_of_a_restored_payer_with_a_crash_never_signs_two_successors \
        --skip model_of_a_sealed_payer_who_pays_with_change \
        --skip model_of_a_sealed_payer_message_by_message

# The same with the four largest bounds: hours, and more than 20 GiB of memory.
model-check-all:
    cargo test --release -p tally-sim model -- --include-ignored --nocapture

# What an owner may try against a TPM in software, 5,000 proofs long; a minute or two.
seal-audit-long:
    cargo test --release -p tally-seal --test audit long_audit -- --ignored --nocapture

# Every small change of the seals' verifier must be noticed by a test; needs cargo-mutants.
seal-mutants:
    cargo mutants -p tally-core --features p256 -C=--lib -f 'crates/core/src/seal/*.rs' -- seal::

# Take out one rule at a time and see that its test fails: docs/adversaries.md; an hour or two.
removals:
    scripts/removals.sh

# Change the code in small ways and see that a test notices; needs cargo-mutants.
mutants package="tally-core":
    cargo mutants --package {{ package }}
