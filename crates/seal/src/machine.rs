//! Recognise the machine that a keystore was made on, by two factors: hardware and environment.
//!
//! This is a lock against a folder that is copied or stolen, not an identity: whoever controls a
//! machine can make it answer anything, and some machines show nothing that tells them from
//! another of the same model.

use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use tally_core::cbor::Writer;
use tally_core::hash::sha256;

use crate::secret::Key;

/// Most that is read of one file about the machine, in bytes.
const MAX_SOURCE: u64 = 16 * 1024;

/// Most network interfaces that are looked at.
const MAX_INTERFACES: usize = 64;

/// The parts that makers and installers give to one machine only.
const INDIVIDUAL: [&str; 6] = [
    "system uuid",
    "system serial",
    "board serial",
    "device serial",
    "network interface",
    "machine id",
];

/// Where a keystore learns which machine it is on.
pub trait Machine {
    /// What the machine shows now. What cannot be read is left out.
    fn fingerprint(&self) -> Fingerprint;
}

/// What a machine shows of itself.
#[derive(Clone, Debug)]
pub struct Fingerprint {
    /// The board, the processor, the wired network interfaces.
    pub hardware: Factor,
    /// The installed system and the user.
    pub environment: Factor,
}

/// One factor of a fingerprint. `Debug` shows what it was made from, not the values.
#[derive(Clone)]
pub struct Factor {
    digest: Key,
    parts: Vec<&'static str>,
}

impl Factor {
    /// Hashes named values, in the order given.
    pub fn new(parts: &[(&'static str, String)]) -> Self {
        let mut w = Writer::new();
        w.array(parts.len() as u64);
        for (name, value) in parts {
            w.array(2);
            w.text(name);
            w.text(value);
        }
        let mut names: Vec<_> = parts.iter().map(|(name, _)| *name).collect();
        names.dedup();
        Self { digest: Key::new(sha256(&w.into_bytes())), parts: names }
    }

    /// The names of what the factor was made from; none when the machine shows nothing.
    pub fn parts(&self) -> &[&'static str] {
        &self.parts
    }

    /// Whether a part is meant to differ between two machines of one model.
    pub fn names_one_device(&self) -> bool {
        self.parts.iter().any(|part| INDIVIDUAL.contains(part))
    }

    pub(crate) fn key(&self) -> &Key {
        &self.digest
    }

    /// Eight bytes that tell whether the factor changed. The salt keeps two wallets' apart.
    pub(crate) fn tag(&self, salt: &[u8; 16]) -> [u8; 8] {
        let mut w = Writer::new();
        w.array(3);
        w.text("tally/v1/seal/factor");
        w.bytes(salt);
        w.bytes(self.digest.expose());
        let hash = sha256(&w.into_bytes());
        std::array::from_fn(|i| hash[i])
    }
}

impl fmt::Debug for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.parts).finish()
    }
}

/// Which factors are not those that a keystore is bound to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Differs {
    /// Other hardware, same system and user: a disk in another computer, or a replaced board.
    Hardware,
    /// Same hardware, another system installation or user.
    Environment,
    /// Both: another computer.
    Both,
}

impl fmt::Display for Differs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hardware => "the hardware differs",
            Self::Environment => "the installed system or the user differs",
            Self::Both => "hardware and installed system both differ",
        })
    }
}

/// The machine that this program runs on, as Linux shows it under `/sys`, `/proc` and `/etc`.
#[derive(Clone, Debug)]
pub struct HostMachine {
    root: PathBuf,
}

impl HostMachine {
    /// Reads below `/`.
    pub fn new() -> Self {
        Self::under("/")
    }

    /// Reads below another folder, laid out like `/`.
    pub fn under(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn hardware(&self) -> Vec<(&'static str, String)> {
        // Firmware versions and processor flags are left out: updates change them.
        const BOARD: [(&str, &str); 8] = [
            ("system uuid", "sys/class/dmi/id/product_uuid"),
            ("system serial", "sys/class/dmi/id/product_serial"),
            ("board serial", "sys/class/dmi/id/board_serial"),
            ("system vendor", "sys/class/dmi/id/sys_vendor"),
            ("system model", "sys/class/dmi/id/product_name"),
            ("board model", "sys/class/dmi/id/board_name"),
            ("device serial", "sys/firmware/devicetree/base/serial-number"),
            ("device model", "sys/firmware/devicetree/base/model"),
        ];
        const PROCESSOR: [&str; 7] = [
            "vendor_id",
            "cpu family",
            "model",
            "model name",
            "CPU implementer",
            "CPU architecture",
            "CPU part",
        ];
        let mut parts: Vec<_> =
            BOARD.iter().filter_map(|(name, path)| Some((*name, self.read(path)?))).collect();
        let processor = self.read("proc/cpuinfo").unwrap_or_default();
        parts.extend(
            PROCESSOR.iter().filter_map(|key| Some(("processor", field(&processor, ':', key)?))),
        );
        parts.extend(self.wired_addresses().into_iter().map(|a| ("network interface", a)));
        parts
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let system = self.read("etc/os-release").unwrap_or_default();
        let status = self.read("proc/self/status").unwrap_or_default();
        // The second number is the effective user.
        let user = field(&status, ':', "Uid")
            .and_then(|ids| ids.split_whitespace().nth(1).map(str::to_owned));
        [
            ("machine id", self.read("etc/machine-id")),
            ("system", field(&system, '=', "ID")),
            ("user", user),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }

    /// Permanent addresses of built-in wired interfaces, sorted. Wireless ones change theirs, those
    /// on USB come and go, virtual ones have no device.
    fn wired_addresses(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.root.join("sys/class/net")) else {
            return Vec::new();
        };
        let mut addresses: Vec<_> = entries
            .take(MAX_INTERFACES)
            .filter_map(|entry| permanent_address(&entry.ok()?.path()))
            .collect();
        addresses.sort_unstable();
        addresses
    }

    fn read(&self, path: &str) -> Option<String> {
        read_trimmed(&self.root.join(path))
    }
}

impl Default for HostMachine {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine for HostMachine {
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint {
            hardware: Factor::new(&self.hardware()),
            environment: Factor::new(&self.environment()),
        }
    }
}

fn permanent_address(interface: &Path) -> Option<String> {
    let bus = fs::canonicalize(interface.join("device/subsystem")).ok()?;
    let built_in = bus.file_name().is_some_and(|name| name == "pci" || name == "platform");
    let wireless = interface.join("phy80211").exists() || interface.join("wireless").exists();
    let permanent = read_trimmed(&interface.join("addr_assign_type")).as_deref() == Some("0");
    if built_in && !wireless && permanent { read_trimmed(&interface.join("address")) } else { None }
}

/// The start of a file without surrounding blanks and zero bytes; nothing when that is empty.
fn read_trimmed(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(MAX_SOURCE).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!text.is_empty()).then(|| text.to_owned())
}

/// The value of the first line `key <separator> value`, without quotes.
fn field(text: &str, separator: char, key: &str) -> Option<String> {
    text.lines()
        .filter_map(|line| line.split_once(separator))
        .find(|(name, _)| name.trim() == key)
        .map(|(_, value)| value.trim().trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn put(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn machine() -> (tempfile::TempDir, HostMachine) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        put(root, "sys/class/dmi/id/product_uuid", "4c4c4544-0042\n");
        put(root, "proc/cpuinfo", "processor\t: 0\nmodel name\t: Fast\nflags\t: a b\n");
        put(root, "proc/self/status", "Name:\ttally\nUid:\t1000\t1001\t1000\t1000\n");
        put(root, "etc/machine-id", "0123\n");
        put(root, "etc/os-release", "NAME=\"Debian\"\nVERSION_ID=\"12\"\nID=\"debian\"\n");
        let machine = HostMachine::under(root);
        (dir, machine)
    }

    fn interface(root: &Path, name: &str, bus: &str, kind: &str) {
        put(root, &format!("sys/class/net/{name}/address"), &format!("02:00:{name}"));
        put(root, &format!("sys/class/net/{name}/addr_assign_type"), kind);
        fs::create_dir_all(root.join(format!("sys/bus/{bus}"))).unwrap();
        let device = root.join(format!("sys/class/net/{name}/device"));
        fs::create_dir_all(&device).unwrap();
        symlink(root.join(format!("sys/bus/{bus}")), device.join("subsystem")).unwrap();
    }

    #[test]
    fn the_factors_are_made_from_what_lasts() {
        let (dir, machine) = machine();
        assert_eq!(machine.fingerprint().hardware.parts(), ["system uuid", "processor"]);
        assert_eq!(machine.fingerprint().environment.parts(), ["machine id", "system", "user"]);
        assert!(machine.fingerprint().hardware.names_one_device());
        let before = machine.fingerprint();
        put(dir.path(), "proc/cpuinfo", "processor\t: 1\nmodel name\t: Fast\nflags\t: c\n");
        put(dir.path(), "etc/os-release", "ID=debian\nVERSION_ID=\"13\"\n");
        let after = machine.fingerprint();
        assert_eq!(before.hardware.tag(&[0; 16]), after.hardware.tag(&[0; 16]));
        assert_eq!(before.environment.tag(&[0; 16]), after.environment.tag(&[0; 16]));
    }

    #[test]
    fn every_source_changes_its_own_factor_only() {
        for (path, text, hardware) in [
            ("sys/class/dmi/id/product_uuid", "other", true),
            ("sys/class/dmi/id/board_serial", "new", true),
            ("proc/cpuinfo", "model name: Slow", true),
            ("etc/machine-id", "4567", false),
            ("proc/self/status", "Uid:\t1000\t0\t0\t0", false),
            ("etc/os-release", "ID=fedora", false),
        ] {
            let (dir, machine) = machine();
            let before = machine.fingerprint();
            put(dir.path(), path, text);
            let after = machine.fingerprint();
            let changed = |a: &Factor, b: &Factor| a.tag(&[0; 16]) != b.tag(&[0; 16]);
            assert_eq!(changed(&before.hardware, &after.hardware), hardware, "{path}");
            assert_eq!(changed(&before.environment, &after.environment), !hardware, "{path}");
        }
    }

    #[test]
    fn only_built_in_wired_interfaces_count() {
        let (dir, machine) = machine();
        interface(dir.path(), "eth1", "pci", "0\n");
        interface(dir.path(), "eth0", "platform", "0\n");
        interface(dir.path(), "usb0", "usb", "0\n");
        interface(dir.path(), "rnd0", "pci", "3\n");
        interface(dir.path(), "wlan0", "pci", "0\n");
        fs::create_dir(dir.path().join("sys/class/net/wlan0/phy80211")).unwrap();
        put(dir.path(), "sys/class/net/veth0/address", "02:00:00");
        assert_eq!(machine.wired_addresses(), ["02:00:eth0", "02:00:eth1"]);
    }

    #[test]
    fn a_machine_that_shows_nothing_still_has_a_fingerprint() {
        let dir = tempfile::tempdir().unwrap();
        let fingerprint = HostMachine::under(dir.path()).fingerprint();
        assert!(fingerprint.hardware.parts().is_empty());
        assert!(!fingerprint.hardware.names_one_device());
        assert!(fingerprint.environment.parts().is_empty());
    }

    #[test]
    fn a_processor_alone_names_a_model_not_a_device() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "proc/cpuinfo", "model name: Fast\n");
        let hardware = HostMachine::under(dir.path()).fingerprint().hardware;
        assert_eq!(hardware.parts(), ["processor"]);
        assert!(!hardware.names_one_device());
    }

    #[test]
    fn identifiers_do_not_show() {
        let (_dir, machine) = machine();
        assert!(!format!("{:?}", machine.fingerprint()).contains("4c4c4544"));
    }
}
