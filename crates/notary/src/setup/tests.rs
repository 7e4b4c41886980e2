use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tally_core::id::NetworkId;
use tally_core::keys::SecretKey;
use tally_core::time::Time;

use super::*;
use crate::trust_file;

fn plan(validators: u16) -> Plan {
    let address = |port: u16| std::net::SocketAddr::from(([127, 0, 0, 1], port));
    Plan {
        network: NetworkId::LOCAL,
        time: Time::from_unix(1_755_000_000),
        enrollers: vec![SecretKey::new([3; 32]).unwrap().public()],
        addresses: (0..validators).map(|n| (address(7_000 + n), address(8_000 + n))).collect(),
    }
}

#[test]
fn what_init_writes_is_read_back_and_fits_together() {
    let folder = tempfile::tempdir().unwrap();
    let made = init(folder.path(), &plan(4)).unwrap();
    let genesis = Genesis::load(&made.genesis).unwrap();
    let text = fs::read_to_string(&made.trust_base).unwrap();
    assert_eq!(trust_file::from_json(&text).unwrap(), genesis.trust().unwrap());
    assert_eq!(genesis.trust().unwrap().quorum(), 3);
    for (path, validator) in made.configs.iter().zip(&genesis.validators) {
        let config = Config::load(path).unwrap();
        assert_eq!(config.name, validator.name.as_str());
        assert_eq!(config.enrollers().unwrap(), plan(4).enrollers);
        let keys = Keys::load(&config.keys).unwrap();
        assert_eq!(
            (keys.vote.id(), keys.seal.public()),
            (validator.vote.clone(), validator.seal.clone())
        );
        assert_eq!(Genesis::load(&config.genesis).unwrap(), genesis);
    }
}

#[test]
fn two_networks_of_one_plan_have_different_chains() {
    let folder = tempfile::tempdir().unwrap();
    let block = |name: &str| {
        let made = init(&folder.path().join(name), &plan(1)).unwrap();
        Genesis::load(&made.genesis).unwrap().block().hash()
    };
    assert_ne!(block("a"), block("b"));
}

#[test]
fn keys_that_others_can_read_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    init(folder.path(), &plan(1)).unwrap();
    let path = folder.path().join("v0/keys.json");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(Keys::load(&path).unwrap_err().code(), "SETUP_RIGHTS");
}

#[test]
fn a_network_is_never_written_over_another() {
    let folder = tempfile::tempdir().unwrap();
    init(folder.path(), &plan(1)).unwrap();
    assert_eq!(init(folder.path(), &plan(1)).unwrap_err().code(), "SETUP_EXISTS");
}

#[test]
fn a_number_of_validators_that_is_not_3f_and_1_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for validators in [0, 2, 3, 5, 6, 103] {
        let refused = init(folder.path(), &plan(validators)).unwrap_err();
        assert_eq!(refused.code(), "SETUP_COUNT", "{validators}");
    }
}

#[test]
fn a_changed_genesis_is_another_network_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let made = init(folder.path(), &plan(4)).unwrap();
    let good = fs::read_to_string(&made.genesis).unwrap();
    let first = Genesis::load(&made.genesis).unwrap().trust().unwrap();
    for (from, to, code) in [
        ("\"network\": 3", "\"network\": 0", Some("SETUP_FIELD")),
        ("\"v3\"", "\"v0\"", Some("TRUST_DUPLICATE_ID")),
        ("\"shard\": \"80\"", "\"shard\": \"00\"", Some("SETUP_FIELD")),
        ("\"voteKey\": \"", "\"voteKey\": \"00", Some("SETUP_FIELD")),
        ("\"epoch\"", "\"epok\"", Some("SETUP_JSON")),
        ("\"v3\"", "\"v9\"", None),
        ("\"epoch\": 1", "\"epoch\": 2", None),
    ] {
        fs::write(&made.genesis, good.replacen(from, to, 1)).unwrap();
        match (Genesis::load(&made.genesis), code) {
            (Err(error), code) => assert_eq!(Some(error.code()), code, "{to}"),
            (Ok(other), code) => {
                assert_eq!(code, None, "{to}");
                let other = other.trust().unwrap();
                assert_ne!(other.partition().configuration, first.partition().configuration);
            }
        }
    }
}

#[test]
fn what_is_no_key_of_an_enroller_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let made = init(folder.path(), &plan(1)).unwrap();
    let good = Config::load(&made.configs[0]).unwrap();
    for enrollers in
        [vec!["03".repeat(32)], vec!["00".repeat(33)], vec![good.enrollers[0].clone(); 65]]
    {
        let path = folder.path().join("config.json");
        Config { enrollers, ..good.clone() }.save(&path).unwrap();
        assert_eq!(Config::load(&path).unwrap_err().code(), "SETUP_FIELD");
        fs::remove_file(&path).unwrap();
    }
}
