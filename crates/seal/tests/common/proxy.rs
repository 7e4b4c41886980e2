//! Stands between a program and a TPM, and answers or hangs up in its place.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use tally_seal::tpm2::Address;

/// What happens to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The TPM gets it and answers.
    Pass,
    /// The TPM does not get it; this response code comes back.
    Refuse(u32),
    /// The line is dead before the TPM gets it.
    DieBefore,
    /// The TPM does it, and the line is dead before its answer comes.
    DieAfter,
}

type Rule = Box<dyn FnMut(u32) -> Fate + Send>;

/// A socket of its own in front of another.
pub struct Proxy {
    path: PathBuf,
    rule: Arc<Mutex<Rule>>,
}

impl Proxy {
    /// Listens at `path`, and passes everything on to the TPM at `to`.
    pub fn start(path: &Path, to: &Address) -> Self {
        let Address::Unix(to) = to.clone() else { unreachable!("a socket") };
        let listener = UnixListener::bind(path).expect("a socket");
        let rule: Arc<Mutex<Rule>> = Arc::new(Mutex::new(Box::new(|_| Fate::Pass)));
        let own = Arc::clone(&rule);
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                serve(client, &to, &own);
            }
        });
        Self { path: path.to_owned(), rule }
    }

    pub fn address(&self) -> Address {
        Address::Unix(self.path.clone())
    }

    /// From now on, what happens to a command of this code.
    pub fn rule(&self, rule: impl FnMut(u32) -> Fate + Send + 'static) {
        *self.rule.lock().expect("no panic before") = Box::new(rule);
    }
}

fn message(stream: &mut UnixStream) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 10];
    stream.read_exact(&mut bytes).ok()?;
    let size = u32::from_be_bytes(bytes[2..6].try_into().expect("4 bytes"));
    bytes.resize(size as usize, 0);
    stream.read_exact(&mut bytes[10..]).ok()?;
    Some(bytes)
}

fn serve(mut client: UnixStream, to: &Path, rule: &Mutex<Rule>) {
    // When the TPM is off, the client sees a dead line.
    let Ok(mut tpm) = UnixStream::connect(to) else { return };
    while let Some(command) = message(&mut client) {
        let code = u32::from_be_bytes(command[6..10].try_into().expect("4 bytes"));
        let fate = (rule.lock().expect("no panic before"))(code);
        match fate {
            Fate::DieBefore => return,
            Fate::Refuse(code) => {
                let refusal = [&[0x80, 1, 0, 0, 0, 10][..], &code.to_be_bytes()].concat();
                if client.write_all(&refusal).is_err() {
                    return;
                }
            }
            Fate::Pass | Fate::DieAfter => {
                if tpm.write_all(&command).is_err() {
                    return;
                }
                let Some(answer) = message(&mut tpm) else { return };
                if fate == Fate::DieAfter || client.write_all(&answer).is_err() {
                    return;
                }
            }
        }
    }
}
