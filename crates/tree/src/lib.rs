//! Commit to a set of key-value pairs in 32 bytes, and prove what is in it and what is not.
