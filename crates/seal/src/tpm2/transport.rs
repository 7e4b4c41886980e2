//! Carry a command to a TPM and its response back: a device file, or the socket of a TPM in
//! software.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::TpmError;

/// Longest command or response, in bytes; the kernel has the same limit.
pub const MAX_MESSAGE: usize = 4096;

/// How long a TPM in software may take for one command.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

const HEADER: usize = 10;

/// Where a TPM is. Text: `device:/dev/tpmrm0`, `tcp:127.0.0.1:2321` or `unix:/run/swtpm.sock`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Address {
    /// A device file of the kernel. The one with a resource manager, `/dev/tpmrm0`, is right.
    Device(PathBuf),
    /// Host and port of swtpm's server socket.
    Tcp(String),
    /// Path of swtpm's server socket.
    Unix(PathBuf),
}

impl Default for Address {
    /// The kernel's first TPM, behind its resource manager.
    fn default() -> Self {
        Self::Device("/dev/tpmrm0".into())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(path) => write!(f, "device:{}", path.display()),
            Self::Tcp(to) => write!(f, "tcp:{to}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl FromStr for Address {
    type Err = TpmError;

    fn from_str(text: &str) -> Result<Self, TpmError> {
        match text.split_once(':') {
            Some(("device", path)) if !path.is_empty() => Ok(Self::Device(path.into())),
            Some(("tcp", to)) if to.contains(':') => Ok(Self::Tcp(to.to_owned())),
            Some(("unix", path)) if !path.is_empty() => Ok(Self::Unix(path.into())),
            _ => Err(TpmError::Absent {
                address: text.to_owned(),
                why: "this is no address: write device:PATH, tcp:HOST:PORT or unix:PATH".into(),
            }),
        }
    }
}

/// An open way to a TPM.
#[derive(Debug)]
pub(crate) enum Transport {
    Device(File),
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Transport {
    pub(crate) fn open(address: &Address) -> Result<Self, TpmError> {
        let opened = match address {
            Address::Device(path) => {
                OpenOptions::new().read(true).write(true).open(path).map(Self::Device)
            }
            Address::Tcp(to) => connect(to).map(Self::Tcp),
            Address::Unix(path) => UnixStream::connect(path).and_then(|stream| {
                stream.set_read_timeout(Some(ANSWER_WITHIN))?;
                Ok(Self::Unix(stream))
            }),
        };
        opened.map_err(|e| absent(address, &e))
    }

    /// Whether the kernel gives this process its own view of keys and sessions.
    pub(crate) fn has_resource_manager(&self) -> bool {
        matches!(self, Self::Device(_))
    }

    /// Sends one command, and waits for its response.
    pub(crate) fn exchange(&mut self, command: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Device(file) => {
                // One write is one command, and one read is the whole response.
                if file.write(command)? != command.len() {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                let mut response = vec![0; MAX_MESSAGE];
                let length = file.read(&mut response)?;
                response.truncate(length);
                Ok(response)
            }
            Self::Tcp(stream) => over_stream(stream, command),
            Self::Unix(stream) => over_stream(stream, command),
        }
    }
}

pub(crate) fn absent(address: &Address, error: &io::Error) -> TpmError {
    let why = match (address, error.kind()) {
        (Address::Device(_), io::ErrorKind::NotFound) => {
            "this machine shows no TPM: switch it on in the firmware's settings".to_owned()
        }
        (Address::Device(_), io::ErrorKind::PermissionDenied) => {
            "you may not use it: join the group tss, then log in again".to_owned()
        }
        (_, io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => "it does not answer".to_owned(),
        _ => error.to_string(),
    };
    TpmError::Absent { address: address.to_string(), why }
}

fn connect(to: &str) -> io::Result<TcpStream> {
    let address = to.to_socket_addrs()?.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
    let stream = TcpStream::connect_timeout(&address, ANSWER_WITHIN)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn over_stream(stream: &mut (impl Read + Write), command: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(command)?;
    let mut response = vec![0; HEADER];
    stream.read_exact(&mut response)?;
    let size = response.get(2..6).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes);
    let size = size.and_then(|size| usize::try_from(size).ok()).unwrap_or(0);
    if !(HEADER..=MAX_MESSAGE).contains(&size) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    response.resize(size, 0);
    if let Some(rest) = response.get_mut(HEADER..) {
        stream.read_exact(rest)?;
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_shown() {
        for text in ["device:/dev/tpmrm0", "tcp:127.0.0.1:2321", "unix:/run/swtpm.sock"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for text in ["", "/dev/tpmrm0", "device:", "tcp:2321", "unix:", "http:x"] {
            assert_eq!(text.parse::<Address>().unwrap_err().code(), "TPM_ABSENT");
        }
    }

    #[test]
    fn a_tpm_that_is_not_there_is_named_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let address = Address::Device(dir.path().join("tpmrm0"));
        let error = Transport::open(&address).unwrap_err();
        assert_eq!(error.code(), "TPM_ABSENT");
        assert!(error.to_string().contains("switch it on"));
        let socket = Address::Unix(dir.path().join("socket"));
        assert_eq!(Transport::open(&socket).unwrap_err().code(), "TPM_ABSENT");
    }

    #[test]
    fn a_response_that_claims_a_senseless_length_is_refused() {
        struct Says([u8; 10], usize);
        impl Read for Says {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                let rest = self.0.get(self.1..).unwrap_or_default();
                let n = rest.len().min(into.len());
                into[..n].copy_from_slice(&rest[..n]);
                self.1 += n;
                Ok(n)
            }
        }
        impl Write for Says {
            fn write(&mut self, from: &[u8]) -> io::Result<usize> {
                Ok(from.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        for size in [0_u32, 9, 4097, u32::MAX] {
            let mut header = [0; 10];
            header[2..6].copy_from_slice(&size.to_be_bytes());
            let refused = over_stream(&mut Says(header, 0), &[]).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
        }
        let mut short = [0; 10];
        short[5] = 11;
        assert!(over_stream(&mut Says(short, 0), &[]).is_err());
    }
}
