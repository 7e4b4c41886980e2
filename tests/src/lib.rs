//! Helpers for the end-to-end tests, which drive the real binary.
