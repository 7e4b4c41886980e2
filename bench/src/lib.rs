//! Measurements of Tally, each beside the primitive cost it rests on.
