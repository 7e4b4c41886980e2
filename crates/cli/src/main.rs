//! `tally`: one binary, every face of the wallet.
fn main() {}
