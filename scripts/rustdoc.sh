#!/usr/bin/env bash
# rustdoc that looks at the error code of a `compile_fail` example. The stable one takes any error for the one
# that is meant, so that a misspelt example would pass: `RUSTDOC=$PWD/scripts/rustdoc.sh cargo test --doc`.
RUSTC_BOOTSTRAP=1 exec rustdoc "$@"
