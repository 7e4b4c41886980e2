//! What the agent learns of a network of which one validator in four lies, is old, is silent or is not
//! there, and what it believes of an answer.

mod check;
mod endpoints;
mod errands;
mod length;
mod lies;
mod properties;
mod states;
mod window;
