//! Hold a person's money: durable store, keystore, trade driver, acceptance policy, backup.
