//! A network of which one validator in four lies, is old, is silent or is not there.

mod check;
mod errands;
mod length;
mod lies;
mod properties;
mod states;
mod window;
mod world;
