//! Who is let through, over files and restarts.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tally_core::time::Time;

use super::*;
use crate::hex;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
/// 1 January 2027, 00:00 UTC.
const NEW_YEAR: u64 = 1_798_761_600;

struct Desk {
    folder: tempfile::TempDir,
    time: Arc<AtomicU64>,
}

impl Desk {
    fn new(text: &str) -> Self {
        let desk = Self {
            folder: tempfile::tempdir().unwrap(),
            time: Arc::new(AtomicU64::new(NEW_YEAR - 100)),
        };
        desk.write(text);
        desk
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("subscriptions.json")
    }

    fn write(&self, text: &str) {
        fs::write(self.path(), text).unwrap();
    }

    fn open(&self) -> Result<Quotas, QuotaError> {
        let time = self.time.clone();
        Quotas::open(Some(self.path()), Clock::new(move || Time::from_unix(time.load(Relaxed))))
    }
}

fn file(per_second: u32, per_month: u64) -> String {
    let hash = hex::encode(&sha256(b"secret"));
    format!(
        r#"{{"anonymous":{{"per_second":{per_second},"may_certify":false}},
            "keys":[{{"name":"shop","sha256":"{hash}","per_month":{per_month}}}]}}"#
    )
}

#[tokio::test]
async fn without_a_file_everybody_may_ask_anything() {
    let quotas = Quotas::open(None, Clock::system()).unwrap();
    assert_eq!(quotas.admit(Some(b"whatever"), HERE, 1_000, true), Ok(()));
}

#[tokio::test]
async fn certifying_needs_a_key_where_the_file_says_so() {
    let quotas = Desk::new(&file(20, 10)).open().unwrap();
    assert_eq!(quotas.admit(None, HERE, 1, true), Err(Denied::KeyNeeded));
    assert_eq!(quotas.admit(None, HERE, 1, false), Ok(()));
    assert_eq!(quotas.admit(Some(b"secret"), HERE, 1, true), Ok(()));
    assert_eq!(quotas.admit(Some(b"Secret"), HERE, 1, true), Err(Denied::KeyUnknown));
}

#[tokio::test(start_paused = true)]
async fn each_address_has_its_own_rate() {
    let quotas = Desk::new(&file(20, 10)).open().unwrap();
    assert_eq!(quotas.admit(None, HERE, 20, false), Ok(()));
    let Err(Denied::Second(wait)) = quotas.admit(None, HERE, 1, false) else { panic!() };
    assert_eq!(quotas.admit(None, THERE, 1, false), Ok(()));
    tokio::time::sleep(wait).await;
    assert_eq!(quotas.admit(None, HERE, 1, false), Ok(()));
}

#[tokio::test]
async fn a_month_is_used_up_survives_a_restart_and_ends() {
    let desk = Desk::new(&file(20, 10));
    let quotas = desk.open().unwrap();
    assert_eq!(quotas.admit(Some(b"secret"), HERE, 8, true), Ok(()));
    quotas.save();
    let quotas = desk.open().unwrap();
    assert_eq!(
        quotas.admit(Some(b"secret"), HERE, 3, true),
        Err(Denied::Month(Duration::from_secs(100)))
    );
    assert_eq!(quotas.admit(Some(b"secret"), HERE, 2, true), Ok(()));
    desk.time.store(NEW_YEAR, Relaxed);
    assert_eq!(quotas.admit(Some(b"secret"), HERE, 10, true), Ok(()));
    desk.time.store(NEW_YEAR - 1, Relaxed);
    assert!(quotas.admit(Some(b"secret"), HERE, 1, true).is_err(), "a clock that is set back");
}

#[tokio::test]
async fn a_changed_file_is_read_and_a_broken_one_changes_nothing() {
    let desk = Desk::new(&file(20, 1));
    let quotas = desk.open().unwrap();
    assert_eq!(
        quotas.admit(Some(b"secret"), HERE, 5, true),
        Err(Denied::Month(Duration::from_secs(100)))
    );
    desk.write(&file(20, 1_000));
    quotas.refresh();
    assert_eq!(quotas.admit(Some(b"secret"), HERE, 5, true), Ok(()));
    desk.write("{\"keys\":");
    quotas.refresh();
    assert_eq!(quotas.admit(Some(b"secret"), HERE, 5, true), Ok(()));
    fs::remove_file(desk.path()).unwrap();
    quotas.refresh();
    assert_eq!(quotas.admit(Some(b"secret"), HERE, 5, true), Ok(()));
}

#[test]
fn a_file_that_says_something_else_is_refused() {
    let hash = hex::encode(&[1; 32]);
    let key = format!(r#"{{"name":"a","sha256":"{hash}"}}"#);
    for text in [
        String::new(),
        "{}".into(),
        r#"{"anonymous":{"may_certify":true},"keys":[],"more":1}"#.into(),
        r#"{"anonymous":{"may_certify":true,"per_secnd":1},"keys":[]}"#.into(),
        r#"{"anonymous":{"may_certify":true},"keys":[{"name":"a","sha256":"12"}]}"#.into(),
        format!(r#"{{"anonymous":{{"may_certify":true}},"keys":[{key},{key}]}}"#),
    ] {
        let refused = Desk::new(&text).open();
        assert!(matches!(refused, Err(QuotaError::Content(..))), "{text}");
    }
    let desk = Desk::new("");
    fs::remove_file(desk.path()).unwrap();
    assert!(matches!(desk.open(), Err(QuotaError::Read(..))));
}

#[tokio::test]
async fn more_addresses_than_are_remembered_are_turned_away_until_some_are_quiet() {
    let quotas = Desk::new(&file(1_000_000, 10)).open().unwrap();
    let far = Duration::from_secs(1_000_000);
    for i in 0..MAX_ADDRESSES as u32 {
        let mut bucket = Bucket::default();
        bucket.take(1, 1, far).unwrap();
        quotas.state().buckets.insert(Who::Address(Ipv4Addr::from_bits(i).into()), bucket);
    }
    let new = Ipv4Addr::new(200, 0, 0, 1).into();
    assert!(matches!(quotas.admit(None, new, 1, false), Err(Denied::Second(_))));
    let quiet = Who::Address(Ipv4Addr::from_bits(7).into());
    quotas.state().buckets.insert(quiet, Bucket::default());
    assert_eq!(quotas.admit(None, new, 1, false), Ok(()));
}
