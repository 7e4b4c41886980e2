//! Decide, from bytes alone, what a payment is worth: the Tally protocol without I/O.
