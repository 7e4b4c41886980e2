//! Carry sealed messages between two devices, knowing nothing of what they say.
