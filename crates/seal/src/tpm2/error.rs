//! What a TPM could not do, and what to do next.

use tally_core::seal::Slot;

/// Why a TPM did not do what it was asked.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TpmError {
    /// There is no TPM at the address, or it may not be used.
    #[error("no TPM at {address}: {why}")]
    Absent {
        /// Where it was looked for.
        address: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// Another process of ours has the seal open.
    #[error("another program has this seal open: close it, then try again")]
    InUse,
    /// It asked for patience until ours ended: it limits writes, or is busy.
    #[error("the TPM is busy or slows down its writes ({rc}): try again in a minute")]
    Busy {
        /// The last response code.
        rc: String,
    },
    /// It refuses passwords for a while, after wrong ones.
    #[error(
        "the TPM is locked after wrong passwords, which were not ours: wait, or reset its lockout with its owner's tools"
    )]
    LockedOut,
    /// No room for another counter.
    #[error(
        "the TPM has no room for another counter ({made} were made): free NV indices with its owner's tools, or ask for fewer"
    )]
    NoSpace {
        /// How many counters were made before.
        made: u16,
    },
    /// Its owner, or its endorsement hierarchy, has a password.
    #[error(
        "the TPM's {hierarchy} has a password or is switched off: use a TPM that you own, or clear its password with the tool that set it"
    )]
    OwnerAuth {
        /// Which hierarchy.
        hierarchy: &'static str,
    },
    /// A counter is no longer there, or it is another one.
    #[error(
        "counter {counter} of this seal was deleted or replaced: its coin moves with a signature once its lock ends, nothing is lost; use another counter"
    )]
    CounterDeleted {
        /// Which of the seal's counters.
        counter: u32,
    },
    /// None of the counters is there.
    #[error(
        "the TPM was cleared since this seal was enrolled: its coins move with signatures once their locks end, nothing is lost; enroll again"
    )]
    Cleared,
    /// Another TPM than the one that was enrolled.
    #[error(
        "this is not the TPM that the seal was enrolled with: put the disk back into its machine, or enroll again"
    )]
    OtherTpm,
    /// The firmware is not the one that was enrolled.
    #[error(
        "the TPM's firmware is now {now:#018x} and was enrolled as {enrolled:#018x}: enroll again, the seal stays the same"
    )]
    Firmware {
        /// Version in the certificate.
        enrolled: u64,
        /// Version that the TPM says.
        now: u64,
    },
    /// A slot gives no proof for this transaction.
    #[error("counter {counter} at {value}: {fault}", counter = slot.counter, value = slot.value)]
    Slot {
        /// Which slot.
        slot: Slot,
        /// What is wrong with it.
        fault: SlotFault,
    },
    /// An answer that makes no sense here.
    #[error("the TPM answered {command} with {what}: try again, and report it if it stays")]
    Unexpected {
        /// The command.
        command: String,
        /// The response code, or what is wrong with the response.
        what: String,
    },
}

/// Why a slot gives no proof.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum SlotFault {
    /// A power cut or crash came between the increment and the attestation.
    #[error(
        "the power went between two commands, so this slot gives no proof any more; the coin moves with a signature once its lock ends, nothing is lost"
    )]
    Burned,
    /// The counter moved without this seal.
    #[error(
        "something else moved the counter, so this slot gives no proof any more; the coin moves with a signature once its lock ends"
    )]
    Moved,
    /// It was proved for another transaction.
    #[error("this slot has paid already, with another transaction: nothing was done")]
    Spent,
    /// The counter has not come to this slot yet.
    #[error("the counter has not reached this slot: it was set back, or the slot is made up")]
    Ahead,
    /// Not a slot of this seal.
    #[error("this slot is of another seal: nothing was done")]
    Foreign,
    /// Every counter is taken.
    #[error("every counter is taken: merge coins, or take this one under a signature alone")]
    NoneFree,
}

impl TpmError {
    /// Stable code of this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Absent { .. } => "TPM_ABSENT",
            Self::InUse => "TPM_IN_USE",
            Self::Busy { .. } => "TPM_BUSY",
            Self::LockedOut => "TPM_LOCKED_OUT",
            Self::NoSpace { .. } => "TPM_NO_SPACE",
            Self::OwnerAuth { .. } => "TPM_OWNER_AUTH",
            Self::CounterDeleted { .. } => "TPM_COUNTER_DELETED",
            Self::Cleared => "TPM_CLEARED",
            Self::OtherTpm => "TPM_OTHER",
            Self::Firmware { .. } => "TPM_FIRMWARE",
            Self::Slot { fault, .. } => fault.code(),
            Self::Unexpected { .. } => "TPM_UNEXPECTED",
        }
    }
}

impl SlotFault {
    /// Stable code of this fault.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Burned => "TPM_SLOT_BURNED",
            Self::Moved => "TPM_SLOT_MOVED",
            Self::Spent => "TPM_SLOT_SPENT",
            Self::Ahead => "TPM_SLOT_AHEAD",
            Self::Foreign => "TPM_SLOT_FOREIGN",
            Self::NoneFree => "TPM_NO_FREE_COUNTER",
        }
    }
}
