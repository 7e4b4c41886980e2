//! Ask a TPM for the dozen things that a seal needs of it.

use std::thread;
use std::time::Duration;

use tally_core::seal::tpm::KEY_ATTRIBUTES;
use tpm2_protocol::data::{TpmCc, TpmRc, TpmRcBase};

use super::TpmError;
use super::transport::{Address, Transport, absent};
use super::wire::{Answer, Auth, Bytes, Command, Fields, Response, malformed, name_of};

const RH_OWNER: u32 = 0x4000_0001;
pub(crate) const RH_NULL: u32 = 0x4000_0007;
pub(crate) const RH_ENDORSEMENT: u32 = 0x4000_000b;
const ALG_SHA256: u16 = 0x000b;
const ALG_NULL: u16 = 0x0010;

/// How often a command is sent again when the TPM asks for it, each time after twice the wait: at
/// most half a minute in all.
const RETRIES: u32 = 10;
const FIRST_WAIT: Duration = Duration::from_millis(25);

/// What the attestation key's template has for a point, so that no other program makes the same
/// key by chance.
const KEY_LABEL: &[u8] = b"tally/v1/seal/tpm2";

/// An open TPM 2.0.
///
/// Nothing of it is locked: another process may use the same TPM between any two commands. What is
/// proved stays true all the same, see `spec/seal.md`.
#[derive(Debug)]
pub struct Tpm {
    address: Address,
    transport: Transport,
}

/// Why a command was not done.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The TPM's response code, to `command`.
    Refused { command: TpmCc, code: u32 },
    /// Anything else.
    Other(TpmError),
}

impl Fault {
    /// The kind of a response code, whatever handle, session or parameter it is about.
    pub(crate) fn base(&self) -> Option<TpmRcBase> {
        match self {
            Self::Refused { code, .. } => TpmRc::try_from(*code).ok().map(|rc| rc.base()),
            Self::Other(_) => None,
        }
    }

    /// Whether there is no key or counter at the handle that was named.
    pub(crate) fn is_no_such_handle(&self) -> bool {
        self.base() == Some(TpmRcBase::Handle)
    }
}

impl From<TpmError> for Fault {
    fn from(error: TpmError) -> Self {
        Self::Other(error)
    }
}

impl From<Fault> for TpmError {
    fn from(fault: Fault) -> Self {
        let base = fault.base();
        let (command, code) = match fault {
            Fault::Other(error) => return error,
            Fault::Refused { command, code } => (command, code),
        };
        match base {
            Some(base) if asks_for_patience(base) => Self::Busy { rc: name_of(code) },
            Some(TpmRcBase::Lockout) => Self::LockedOut,
            Some(TpmRcBase::NvSpace) => Self::NoSpace { made: 0 },
            Some(
                TpmRcBase::AuthFail
                | TpmRcBase::BadAuth
                | TpmRcBase::Hierarchy
                | TpmRcBase::AuthUnavailable
                | TpmRcBase::Disabled,
            ) => Self::OwnerAuth { hierarchy: hierarchy_of(command) },
            _ => Self::Unexpected { command: command.to_string(), what: name_of(code) },
        }
    }
}

fn asks_for_patience(base: TpmRcBase) -> bool {
    matches!(base, TpmRcBase::Retry | TpmRcBase::NvRate | TpmRcBase::Yielded | TpmRcBase::Testing)
}

fn hierarchy_of(command: TpmCc) -> &'static str {
    match command {
        TpmCc::NvDefineSpace | TpmCc::NvUndefineSpace => "owner hierarchy",
        TpmCc::Clear => "lockout hierarchy",
        _ => "endorsement hierarchy",
    }
}

/// A counter as the TPM shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct NvPublic {
    pub(crate) area: Vec<u8>,
    pub(crate) name: Vec<u8>,
}

/// A key that lies in the TPM until it is flushed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Loaded {
    pub(crate) handle: u32,
    pub(crate) public: Vec<u8>,
}

impl Tpm {
    /// Opens the TPM at `address`, and starts it if it is one in software that was not started.
    ///
    /// # Errors
    /// [`TpmError::Absent`] and what a TPM may answer.
    pub fn open(address: &Address) -> Result<Self, TpmError> {
        let transport = Transport::open(address)?;
        let mut tpm = Self { address: address.clone(), transport };
        if !tpm.transport.has_resource_manager() {
            match tpm.firmware().map_err(|e| e.base()) {
                Err(Some(TpmRcBase::Initialize)) => tpm.startup()?,
                _ => tpm.flush_leftovers()?,
            }
        }
        Ok(tpm)
    }

    /// Where it is.
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// Sends one command of any kind: for tools and tests. Each of the first `passwords` handles is
    /// authorised by the empty password. Gives the response's parameters.
    ///
    /// # Errors
    /// [`TpmError`] with what the TPM answered.
    pub fn execute(
        &mut self,
        code: u32,
        handles: &[u32],
        passwords: usize,
        parameters: &[u8],
    ) -> Result<Vec<u8>, TpmError> {
        let command = Command::new(known(code)?, handles, Bytes::default().raw(parameters));
        Ok(self.run(&command, &vec![Auth::empty(); passwords])?.parameters)
    }

    /// Sends a command, and again for as long as the TPM asks for patience.
    pub(crate) fn run(&mut self, command: &Command, auths: &[Auth]) -> Result<Response, Fault> {
        let makes_handle = matches!(
            command.code,
            TpmCc::CreatePrimary | TpmCc::StartAuthSession | TpmCc::Load | TpmCc::LoadExternal
        );
        let bytes = command.marshal(auths);
        let mut wait = FIRST_WAIT;
        for attempt in 0..=RETRIES {
            let response =
                self.transport.exchange(&bytes).map_err(|e| absent(&self.address, &e))?;
            let code = match Answer::parse(&response, makes_handle) {
                None => return Err(malformed(command.code).into()),
                Some(Answer::Done(response)) => return Ok(response),
                Some(Answer::Refused(code)) => code,
            };
            let patience = TpmRc::try_from(code).is_ok_and(|rc| asks_for_patience(rc.base()));
            if !patience || attempt == RETRIES {
                return Err(Fault::Refused { command: command.code, code });
            }
            thread::sleep(wait);
            wait *= 2;
        }
        Err(malformed(command.code).into())
    }

    fn startup(&mut self) -> Result<(), TpmError> {
        let command = Command::new(TpmCc::Startup, &[], Bytes::default().u16(0));
        self.run(&command, &[])?;
        Ok(())
    }

    /// Version of the firmware, as it is in all that the TPM attests.
    pub(crate) fn firmware(&mut self) -> Result<u64, Fault> {
        const FIRMWARE_VERSION_1: u32 = 0x10b;
        let values = self.properties(FIRMWARE_VERSION_1, 2)?;
        match values[..] {
            [high, low] => Ok(u64::from(high) << 32 | u64::from(low)),
            _ => Err(malformed(TpmCc::GetCapability).into()),
        }
    }

    /// The maker's four letters, such as `IBM `.
    pub(crate) fn maker(&mut self) -> Result<String, Fault> {
        const MANUFACTURER: u32 = 0x105;
        let values = self.properties(MANUFACTURER, 1)?;
        let bytes = values.first().copied().unwrap_or_default().to_be_bytes();
        let letters = bytes.iter().filter(|b| b.is_ascii_graphic()).map(|b| char::from(*b));
        Ok(letters.collect())
    }

    fn properties(&mut self, first: u32, count: u32) -> Result<Vec<u32>, Fault> {
        const CAP_TPM_PROPERTIES: u32 = 6;
        let parameters = Bytes::default().u32(CAP_TPM_PROPERTIES).u32(first).u32(count);
        let command = Command::new(TpmCc::GetCapability, &[], parameters);
        let response = self.run(&command, &[])?;
        let mut r = Fields::new(&response.parameters);
        let read = || {
            let (_more, _kind, found) = (r.u8()?, r.u32()?, r.u32()?);
            (0..found.min(count)).map(|_| r.u32().and_then(|_| r.u32())).collect()
        };
        let values: Option<Vec<u32>> = { read }();
        values.ok_or_else(|| malformed(TpmCc::GetCapability).into())
    }

    /// Handles in use from `first` on, of the kind that its first byte says.
    pub(crate) fn handles(&mut self, first: u32) -> Result<Vec<u32>, Fault> {
        const CAP_HANDLES: u32 = 1;
        const MOST: u32 = 254;
        let parameters = Bytes::default().u32(CAP_HANDLES).u32(first).u32(MOST);
        let command = Command::new(TpmCc::GetCapability, &[], parameters);
        let response = self.run(&command, &[])?;
        let mut r = Fields::new(&response.parameters);
        let read = || {
            let (_more, _kind, found) = (r.u8()?, r.u32()?, r.u32()?);
            (0..found.min(MOST)).map(|_| r.u32()).collect()
        };
        let handles: Option<Vec<u32>> = { read }();
        handles.ok_or_else(|| malformed(TpmCc::GetCapability).into())
    }

    /// A process that was killed leaves its keys and sessions behind where no resource manager
    /// cleans up; the TPM has room for three.
    fn flush_leftovers(&mut self) -> Result<(), TpmError> {
        const KINDS: [u32; 3] = [0x0200_0000, 0x0300_0000, 0x8000_0000];
        for kind in KINDS {
            for handle in self.handles(kind)? {
                if handle >> 24 == kind >> 24 {
                    self.flush(handle)?;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn flush(&mut self, handle: u32) -> Result<(), Fault> {
        // The handle to flush is a parameter of this command.
        let command = Command::new(TpmCc::FlushContext, &[], Bytes::default().u32(handle));
        self.run(&command, &[]).map(|_| ())
    }

    /// Makes a primary key in the endorsement hierarchy: the same key from the same template, also
    /// after a Clear.
    pub(crate) fn create_primary(&mut self, template: &[u8]) -> Result<Loaded, Fault> {
        let no_secret = Bytes::default().sized(&[]).sized(&[]).into_vec();
        let parameters = Bytes::default().sized(&no_secret).sized(template).sized(&[]).u32(0);
        let command = Command::new(TpmCc::CreatePrimary, &[RH_ENDORSEMENT], parameters);
        let response = self.run(&command, &[Auth::empty()])?;
        let public = Fields::new(&response.parameters).sized().map(<[u8]>::to_vec);
        let public = public.ok_or_else(|| malformed(TpmCc::CreatePrimary))?;
        Ok(Loaded { handle: response.handle, public })
    }

    /// Makes the attestation key.
    pub(crate) fn create_attestation_key(&mut self) -> Result<Loaded, Fault> {
        const ECC: u16 = 0x0023;
        const ECDSA: u16 = 0x0018;
        const NIST_P256: u16 = 0x0003;
        let label = tally_core::hash::sha256(KEY_LABEL);
        let template = Bytes::default()
            .u16(ECC)
            .u16(ALG_SHA256)
            .u32(KEY_ATTRIBUTES)
            .sized(&[])
            .u16(ALG_NULL)
            .u16(ECDSA)
            .u16(ALG_SHA256)
            .u16(NIST_P256)
            .u16(ALG_NULL)
            .sized(&label)
            .sized(&[]);
        self.create_primary(&template.into_vec())
    }

    /// Makes an NV index of the owner's, with an empty password.
    pub(crate) fn nv_define(
        &mut self,
        handle: u32,
        attributes: u32,
        size: u16,
    ) -> Result<(), Fault> {
        let public =
            Bytes::default().u32(handle).u16(ALG_SHA256).u32(attributes).sized(&[]).u16(size);
        let parameters = Bytes::default().sized(&[]).sized(&public.into_vec());
        let command = Command::new(TpmCc::NvDefineSpace, &[RH_OWNER], parameters);
        self.run(&command, &[Auth::empty()]).map(|_| ())
    }

    pub(crate) fn nv_undefine(&mut self, handle: u32) -> Result<(), Fault> {
        let command = Command::new(TpmCc::NvUndefineSpace, &[RH_OWNER, handle], Bytes::default());
        self.run(&command, &[Auth::empty()]).map(|_| ())
    }

    pub(crate) fn nv_public(&mut self, handle: u32) -> Result<NvPublic, Fault> {
        let command = Command::new(TpmCc::NvReadPublic, &[handle], Bytes::default());
        let response = self.run(&command, &[])?;
        let mut r = Fields::new(&response.parameters);
        let read = || Some(NvPublic { area: r.sized()?.to_vec(), name: r.sized()?.to_vec() });
        let public = { read }();
        public.ok_or_else(|| malformed(TpmCc::NvReadPublic).into())
    }

    pub(crate) fn nv_increment(&mut self, handle: u32) -> Result<(), Fault> {
        let command = Command::new(TpmCc::NvIncrement, &[handle, handle], Bytes::default());
        self.run(&command, &[Auth::empty()]).map(|_| ())
    }

    /// The value of a counter.
    pub(crate) fn nv_read_counter(&mut self, handle: u32) -> Result<u64, Fault> {
        let parameters = Bytes::default().u16(8).u16(0);
        let command = Command::new(TpmCc::NvRead, &[handle, handle], parameters);
        let response = self.run(&command, &[Auth::empty()])?;
        let value = Fields::new(&response.parameters).sized().and_then(|b| Fields::new(b).u64());
        value.ok_or_else(|| malformed(TpmCc::NvRead).into())
    }

    /// What lies in an ordinary NV index, such as a maker's certificate.
    pub(crate) fn nv_read_all(&mut self, handle: u32) -> Result<Vec<u8>, Fault> {
        const PIECE: u16 = 512;
        let public = self.nv_public(handle)?;
        let size = public.area.last_chunk::<2>().map_or(0, |b| u16::from_be_bytes(*b));
        let mut content = Vec::with_capacity(size.into());
        for offset in (0..size).step_by(PIECE.into()) {
            let parameters = Bytes::default().u16(PIECE.min(size - offset)).u16(offset);
            let command = Command::new(TpmCc::NvRead, &[handle, handle], parameters);
            let response = self.run(&command, &[Auth::empty()])?;
            let piece = Fields::new(&response.parameters).sized();
            content.extend_from_slice(piece.ok_or_else(|| malformed(TpmCc::NvRead))?);
        }
        Ok(content)
    }

    /// Clears the owner's part of the TPM: keys and counters of every program are lost.
    pub(crate) fn clear(&mut self) -> Result<(), Fault> {
        const RH_LOCKOUT: u32 = 0x4000_000a;
        let command = Command::new(TpmCc::Clear, &[RH_LOCKOUT], Bytes::default());
        self.run(&command, &[Auth::empty()]).map(|_| ())
    }
}

/// The command with this number.
pub(crate) fn known(code: u32) -> Result<TpmCc, TpmError> {
    TpmCc::try_from(code).map_err(|_| TpmError::Unexpected {
        command: format!("{code:#x}"),
        what: "no command of this number".into(),
    })
}
