//! Try to spend one coin twice in every way we know, against real validators.
//!
//! There is nothing here but tests: `cargo test -p tally-double-spend`. Validators run as threads of the
//! test, agree over sockets and keep their blocks on disk; clients ask them over HTTP and believe only
//! what they can verify against the trust base. No test looks at the text of a message.
