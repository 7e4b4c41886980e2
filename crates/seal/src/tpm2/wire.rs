//! Write commands and read responses in the TPM's own form (TPM 2.0 Part 1, 18).

use tpm2_protocol::data::{TpmCc, TpmRc};

use super::TpmError;
use super::transport::MAX_MESSAGE;

const ST_NO_SESSIONS: u16 = 0x8001;
const ST_SESSIONS: u16 = 0x8002;
const RS_PASSWORD: u32 = 0x4000_0009;
const CONTINUE_SESSION: u8 = 1;

/// Appends integers and sized buffers, big-endian.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bytes(Vec<u8>);

impl Bytes {
    pub(crate) fn u8(mut self, n: u8) -> Self {
        self.0.push(n);
        self
    }

    pub(crate) fn u16(mut self, n: u16) -> Self {
        self.0.extend_from_slice(&n.to_be_bytes());
        self
    }

    pub(crate) fn u32(mut self, n: u32) -> Self {
        self.0.extend_from_slice(&n.to_be_bytes());
        self
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// A TPM2B: the length in two bytes, then the bytes.
    pub(crate) fn sized(self, bytes: &[u8]) -> Self {
        let length = u16::try_from(bytes.len()).expect("what is sent is a few hundred bytes");
        self.u16(length).raw(bytes)
    }

    pub(crate) fn into_vec(self) -> Vec<u8> {
        self.0
    }
}

/// How one of a command's handles is authorised, or by which session it is audited.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Auth {
    session: u32,
    nonce: Vec<u8>,
    attributes: u8,
    hmac: Vec<u8>,
}

impl Auth {
    /// The empty password.
    pub(crate) fn empty() -> Self {
        Self::password(&[])
    }

    /// A password.
    pub(crate) fn password(password: &[u8]) -> Self {
        let attributes = CONTINUE_SESSION;
        Self { session: RS_PASSWORD, nonce: Vec::new(), attributes, hmac: password.to_vec() }
    }

    /// A session, with the nonce and authenticator of this one command.
    pub(crate) fn session(session: u32, nonce: Vec<u8>, attributes: u8, hmac: Vec<u8>) -> Self {
        Self { session, nonce, attributes, hmac }
    }
}

/// A command before it is authorised.
#[derive(Clone, Debug)]
pub(crate) struct Command {
    pub(crate) code: TpmCc,
    pub(crate) handles: Vec<u32>,
    pub(crate) parameters: Vec<u8>,
}

impl Command {
    pub(crate) fn new(code: TpmCc, handles: &[u32], parameters: Bytes) -> Self {
        Self { code, handles: handles.to_vec(), parameters: parameters.into_vec() }
    }

    /// The command as it is sent.
    pub(crate) fn marshal(&self, auths: &[Auth]) -> Vec<u8> {
        let mut body = Bytes::default();
        for handle in &self.handles {
            body = body.u32(*handle);
        }
        let tag = if auths.is_empty() {
            ST_NO_SESSIONS
        } else {
            let area = auths.iter().fold(Bytes::default(), |area, auth| {
                let Auth { session, nonce, attributes, hmac } = auth;
                area.u32(*session).sized(nonce).u8(*attributes).sized(hmac)
            });
            let area = area.into_vec();
            let length = u32::try_from(area.len()).expect("three sessions are 300 bytes");
            body = body.u32(length).raw(&area);
            ST_SESSIONS
        };
        let body = body.raw(&self.parameters).into_vec();
        let length = u32::try_from(body.len() + 10).expect("what is sent is a few hundred bytes");
        Bytes::default().u16(tag).u32(length).u32(self.code.value()).raw(&body).into_vec()
    }
}

/// What a TPM answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// It did it.
    Done(Response),
    /// It did not, for this reason.
    Refused(u32),
}

/// The response to a command that was done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Response {
    /// Handle of what was made, if the command makes something.
    pub(crate) handle: u32,
    /// The parameters.
    pub(crate) parameters: Vec<u8>,
    /// The TPM's nonce of each session, in the order of the command.
    pub(crate) nonces: Vec<Vec<u8>>,
}

impl Answer {
    /// Reads a response; `makes_handle` says whether this command's has a handle in front.
    pub(crate) fn parse(bytes: &[u8], makes_handle: bool) -> Option<Self> {
        let mut r = Fields::new(bytes);
        let (tag, size, code) = (r.u16()?, r.u32()?, r.u32()?);
        if bytes.len() > MAX_MESSAGE || usize::try_from(size).ok()? != bytes.len() {
            return None;
        }
        if code != 0 {
            return Some(Self::Refused(code));
        }
        let handle = if makes_handle { r.u32()? } else { 0 };
        if tag == ST_NO_SESSIONS {
            let parameters = r.rest().to_vec();
            return Some(Self::Done(Response { handle, parameters, nonces: Vec::new() }));
        }
        let length = usize::try_from(r.u32()?).ok()?;
        let parameters = r.take(length)?.to_vec();
        let mut nonces = Vec::new();
        while !r.is_empty() {
            nonces.push(r.sized()?.to_vec());
            r.u8()?;
            r.sized()?;
        }
        Some(Self::Done(Response { handle, parameters, nonces }))
    }
}

/// Reads integers and sized buffers.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// A TPM2B.
    pub(crate) fn sized(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A response that does not have the form that its command's has.
pub(crate) fn malformed(command: TpmCc) -> TpmError {
    let what = "bytes that make no sense".into();
    TpmError::Unexpected { command: command.to_string(), what }
}

/// A response code by its name, where it has one.
pub(crate) fn name_of(code: u32) -> String {
    TpmRc::try_from(code).map_or_else(|_| format!("{code:#010x}"), |rc| rc.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_command_is_header_handles_authorisations_and_parameters() {
        let command = Command::new(TpmCc::NvRead, &[1, 2], Bytes::default().u16(8).u16(0));
        let plain = command.marshal(&[]);
        assert_eq!(plain[..10], [0x80, 1, 0, 0, 0, 22, 0, 0, 1, 0x4e]);
        assert_eq!(plain[10..], [0, 0, 0, 1, 0, 0, 0, 2, 0, 8, 0, 0]);
        let authorised = command.marshal(&[Auth::empty()]);
        assert_eq!(authorised[..6], [0x80, 2, 0, 0, 0, 35]);
        let area = [0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 1, 0, 0];
        assert_eq!(authorised[18..31], area);
    }

    #[test]
    fn a_response_with_sessions_gives_its_handle_parameters_and_nonces() {
        let body =
            [&[0x80, 0, 0, 1][..], &[0, 0, 0, 2, 7, 8], &[0, 1, 5, 1, 0, 0], &[0, 0, 1, 0, 0]];
        let body = body.concat();
        let length = u8::try_from(body.len() + 10).unwrap();
        let bytes = [&[0x80, 2, 0, 0, 0, length, 0, 0, 0, 0][..], &body].concat();
        let expected =
            Response { handle: 0x8000_0001, parameters: vec![7, 8], nonces: vec![vec![5], vec![]] };
        assert_eq!(Answer::parse(&bytes, true), Some(Answer::Done(expected)));
        for cut in 0..bytes.len() {
            assert_eq!(Answer::parse(&bytes[..cut], true), None);
        }
    }

    #[test]
    fn a_refusal_gives_its_code_with_its_name() {
        let bytes = [0x80, 1, 0, 0, 0, 10, 0, 0, 9, 0x22];
        assert_eq!(Answer::parse(&bytes, true), Some(Answer::Refused(0x922)));
        assert_eq!(name_of(0x922), "TPM_RC_RETRY");
        assert_eq!(name_of(0x000b_0143), "0x000b0143");
    }

    proptest! {
        #[test]
        fn no_response_makes_the_reader_panic(bytes: Vec<u8>, makes_handle: bool) {
            let _ = Answer::parse(&bytes, makes_handle);
        }
    }
}
