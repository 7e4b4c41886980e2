//! Run the whole world under one seed, and model-check the production state machines.
