//! Keep a device's key, and keep the device from forking as far as its hardware can.
