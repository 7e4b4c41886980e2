//! One test for each way to spend a coin twice, named after it.

mod coin;
mod deadlines;
mod evidence;
mod malice;
mod network;
mod race;
mod replay;
