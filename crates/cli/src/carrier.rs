//! Bring objects in from files and pictures, and put them out.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use serde::Serialize;
use tally_core::object::{MAX_OBJECT_FILE, Object};
use tally_transport::file::{self, Existing};
use tally_transport::qr;

use crate::args::Deliver;
use crate::error::{CliError, Exit};
use crate::output::Out;

const PNG_MAGIC: &[u8] = b"\x89PNG\r\n\x1a\n";
/// How long each picture of a loop is shown.
const FRAME_TIME: Duration = Duration::from_millis(125);

/// An object that was read, and where from.
#[derive(Debug)]
pub struct Loaded {
    /// The object.
    pub object: Object,
    /// Its size as an object file, in bytes.
    pub size: usize,
    /// Whether it was read from a picture.
    pub picture: bool,
}

/// Where an object was put.
#[derive(Serialize, Clone, PartialEq, Eq, Debug, Default)]
pub struct Delivered {
    /// The object file.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "crate::output::path_if_any"
    )]
    pub out: Option<PathBuf>,
    /// The picture.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "crate::output::path_if_any"
    )]
    pub png: Option<PathBuf>,
    /// Its size as an object file, in bytes.
    pub bytes: usize,
}

impl Delivered {
    /// Where it was put, as lines.
    pub fn text(&self) -> String {
        let line = |path: &PathBuf| format!("written: {} ({} bytes)\n", path.display(), self.bytes);
        let out = self.out.as_ref().map(line).unwrap_or_default();
        let png = self.png.as_ref().map(line).unwrap_or_default();
        out + &png
    }
}

/// Reads the bytes of a file, or of the code in a picture; gives whether it was a picture.
///
/// # Errors
/// [`CliError`] when the file cannot be read, or the picture has no code.
pub fn read_bytes(path: &Path) -> Result<(Vec<u8>, bool), CliError> {
    let bytes = file::read(path, qr::MAX_PICTURE_BYTES)?;
    if bytes.starts_with(PNG_MAGIC) {
        return Ok((qr::decode_image(&bytes)?, true));
    }
    Ok((bytes, false))
}

/// Reads an object from a file or a picture.
///
/// # Errors
/// [`CliError`] when it cannot be read, or is no object.
pub fn load(path: &Path) -> Result<Loaded, CliError> {
    let (bytes, picture) = read_bytes(path)?;
    if bytes.len() > MAX_OBJECT_FILE {
        return Err(tally_core::cbor::DecodeError::TooLarge.into());
    }
    let object = Object::from_file(&bytes).map_err(|e| not_an_object(path, &bytes, e))?;
    Ok(Loaded { object, size: bytes.len(), picture })
}

fn not_an_object(path: &Path, bytes: &[u8], error: tally_core::cbor::DecodeError) -> CliError {
    if bytes.starts_with(tally_core::object::MAGIC) {
        return error.into();
    }
    CliError::new(
        Exit::Refused,
        "OBJECT_UNKNOWN",
        format!("{} is no object of Tally's", path.display()),
        "check the name; a picture must be a PNG with the whole code in it",
    )
}

/// An object of another kind than the command takes.
pub fn wrong_kind(found: &Object, wanted: &str) -> CliError {
    CliError::new(
        Exit::Refused,
        "OBJECT_KIND",
        format!("this is a file of kind \"{}\", and {wanted} is needed here", found.kind()),
        "see what it is with `tally inspect`",
    )
}

/// Puts an object where the user wants it.
///
/// # Errors
/// [`CliError`] when it cannot be written. Nothing that exists is replaced.
pub fn deliver(object: &Object, to: &Deliver, out: Out) -> Result<Delivered, CliError> {
    let bytes = object.to_file();
    if let Some(path) = &to.out {
        file::write(path, &bytes, Existing::Keep)?;
    }
    if let Some(path) = &to.png {
        write_picture(path, &bytes)?;
    }
    if to.qr {
        show_code(&bytes, out)?;
    }
    Ok(Delivered { out: to.out.clone(), png: to.png.clone(), bytes: bytes.len() })
}

/// Checks that what is wanted can be written, before something is made that must not be lost.
///
/// # Errors
/// [`CliError`] when a file exists already, or its folder does not.
pub fn check(to: &Deliver) -> Result<(), CliError> {
    for path in [&to.out, &to.png].into_iter().flatten() {
        if path.exists() {
            return Err(file::FileError::Exists(path.clone()).into());
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if folder.is_some_and(|folder| !folder.is_dir()) {
            return Err(file::FileError::Missing(path.clone()).into());
        }
    }
    Ok(())
}

/// Insists on a place for what would otherwise be lost.
///
/// # Errors
/// [`CliError`] when no place is given.
pub fn require(to: &Deliver) -> Result<(), CliError> {
    if to.out.is_none() && to.png.is_none() && !to.qr {
        return Err(CliError::usage(
            "NO_PLACE",
            "nothing says where to put it",
            "add --out FILE, --png FILE or --qr",
        ));
    }
    check(to)
}

fn write_picture(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let picture = qr::encode_image(bytes)?;
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut f| f.write_all(&picture).and_then(|()| f.sync_all()));
    written.map_err(|e| match e.kind() {
        io::ErrorKind::AlreadyExists => file::FileError::Exists(path.to_owned()).into(),
        _ => file::FileError::Io { path: path.to_owned(), source: e }.into(),
    })
}

/// Shows a code: one, or a loop of them until Enter is pressed. Beside a JSON document it goes to
/// the standard error.
fn show_code(bytes: &[u8], out: Out) -> Result<(), CliError> {
    if bytes.len() <= qr::MAX_STILL {
        out.note(&qr::terminal(bytes)?);
        return Ok(());
    }
    let frames: Vec<String> = qr::terminal_frames(bytes, qr::FRAME_BYTES)?.collect();
    if !(io::stderr().is_terminal() && io::stdin().is_terminal()) {
        frames.iter().for_each(|frame| out.note(frame));
        return Ok(());
    }
    let (stop, stopped) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = io::stdin().read_line(&mut String::new());
        let _ = stop.send(());
    });
    for frame in frames.iter().cycle() {
        out.note(&format!("\x1b[2J\x1b[H{frame}\nPress Enter when the other side has it."));
        if stopped.recv_timeout(FRAME_TIME) != Err(mpsc::RecvTimeoutError::Timeout) {
            break;
        }
    }
    Ok(())
}
