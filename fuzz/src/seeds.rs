//! Write what the targets start from: objects of the protocol, made by its own devices.
//!
//! `cargo run --manifest-path fuzz/Cargo.toml --bin seeds` writes the same files every time.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::Path;
use tally_core::fields::Fields;

use tally_core::amount::Amount;
use tally_core::card::Signed;
use tally_core::cbor::{Blob, Encode, Writer, from_bytes, to_bytes};
use tally_core::device::{Device, Input};
use tally_core::hash::Tag;
use tally_core::id::{DeviceId, Digest};
use tally_core::invoice::{INVOICE_VERSION, Invoice};
use tally_core::keys::SecretKey;
use tally_core::message::{Accept, Message};
use tally_core::notary::{CertificationData, CertificationRequest, StateHash, TransactionHash};
use tally_core::object::Object;
use tally_core::packet::{HELLO_VERSION, Hello, Packet};
use tally_core::predicate::Predicate;
use tally_core::seal::SealCertificate;
use tally_notary::backend::Batch;
use tally_notary::block::{Block, Entry};
use tally_notary::certify::SealMessage;
use tally_notary::ledger::{Base, Ledger, Tip};
use tally_sim::Bare;
use tally_testkit::{NOW, Scene};
use tally_transport::qr::Frames;
use tally_transport::session::{KemSecret, greet};

fn main() -> io::Result<()> {
    let scene = Scene::new(3, 1000);
    let mut people: Vec<Bare> = scene.people.iter().map(Bare::of).collect();
    let copy = people[0].clone();
    let pay = |payee, units| {
        let (payee, amount) = (scene.id(payee), Amount::new(units));
        Input::Pay { payee, asset: scene.asset, amount }
    };
    messages(&scene, &mut people, 0, pay(1, 400), true)?;
    people[0] = copy;
    messages(&scene, &mut people, 0, pay(2, 300), false)?;
    messages(&scene, &mut people, 1, Input::Meet { contact: scene.id(2) }, true)?;
    objects(&scene, &people[1].device)?;
    for (number, pocket) in people[1].device.ledger().pockets().enumerate() {
        write("core_evidence", &format!("received_{number}"), &to_bytes(&pocket.evidence))?;
    }
    for (number, change) in people[1].disk.values().enumerate() {
        write("core_change", &format!("stored_{number}"), change)?;
    }
    for (name, bytes) in
        [("short", &b"\x05hello"[..]), ("too_long", b"\xad\x02x"), ("not_shortest", b"\x81\0x")]
    {
        write("transport_frame", name, bytes)?;
    }
    frames()?;
    vectors("notary_proof", "notary-proofs.json", 12)?;
    vectors("notary_request", "notary-requests.json", 6)?;
    vectors("notary_token", "unicity-flow.json", 8)?;
    notary()?;
    seals()?;
    write("device_trade", "a_payment", &[0, 0, 100, 8, 0, 0, 8, 0, 0, 8, 0, 0, 8, 0, 0])?;
    write(
        "device_trade",
        "crash_and_retry",
        &[0, 0, 9, 8, 0, 0, 8, 0, 0, 3, 0, 0, 1, 0, 0, 8, 0, 0],
    )?;
    write(
        "device_trade",
        "crossing",
        &[0, 0, 9, 0, 4, 9, 8, 0, 0, 8, 0, 0, 8, 0, 0, 8, 0, 0, 2, 0, 0],
    )
}

/// Gives somebody an input and delivers all that follows; keeps one message of each kind if it is to.
fn messages(
    scene: &Scene,
    people: &mut [Bare],
    who: usize,
    input: Input,
    kept: bool,
) -> io::Result<()> {
    let mut inputs = VecDeque::from([(who, input)]);
    while let Some((who, input)) = inputs.pop_front() {
        let effects = people[who].act(scene.people[who].key(), input);
        let effects = effects.map_err(|error| io::Error::other(error.code()))?;
        for (to, message) in effects.send {
            if kept {
                keep(&message)?;
            }
            let (from, to) = (scene.id(who), people.iter().position(|p| p.device.id() == to));
            let to = to.ok_or_else(|| io::Error::other("nobody is to hear it"))?;
            let nonce = people[to].nonce_for(&message);
            let message = Box::new(from_bytes(&to_bytes(&message)).map_err(io::Error::other)?);
            inputs.push_back((to, Input::Message { from, message, nonce }));
        }
    }
    Ok(())
}

fn keep(message: &Message) -> io::Result<()> {
    write("core_message", &message.name().replace(' ', "_"), &to_bytes(message))?;
    if let Message::Commit(_) = message {
        let plain = Packet { hello: None, envelope: blob(message) };
        write("core_packet", "plain", &plain.to_wire())?;
    }
    Ok(())
}

fn objects(scene: &Scene, device: &Device) -> io::Result<()> {
    let (payee, payer) = (&scene.people[1], &scene.people[0]);
    let policy = tally_testkit::policy(&scene.issuer);
    write("core_policy", "asset", &to_bytes(&policy))?;
    write("core_object", "policy", &Object::Policy(policy).to_file())?;
    write("core_object", "card", &Object::Card(payee.card()).to_file())?;
    for proof in device.forks().values() {
        write("core_fork", "coin", &to_bytes(proof))?;
        write("core_object", "fork", &Object::Fork(proof.clone()).to_file())?;
    }
    let owner = Predicate::Signature(payee.key().public());
    let accept = Accept { nonce: tally_core::id::Nonce::new([5; 16]), owner };
    let (asset, amount, expires_at) = (scene.asset, Amount::new(250), NOW.plus(600));
    let card = payee.card();
    let (version, least) = (INVOICE_VERSION, tally_core::tier::Tier::Signed);
    let fields = Fields::at(NOW);
    let invoice = Invoice { version, card, asset, amount, accept, expires_at, least, fields };
    let payload = to_bytes(&invoice);
    let signature = payee.key().sign(&Signed::digest(Tag::Invoice, &payload));
    let signed = Signed::new(payload, signature).map_err(io::Error::other)?;
    write("core_invoice", "invoice", &to_bytes(&signed))?;
    let (card, fields, to) = (payer.card(), Fields::at(NOW), DeviceId::new([7; 32]));
    let signature = payer.key().sign(&Hello::digest(&card, &to, 1, &fields, &[9; 40]));
    let hello = Hello { version: HELLO_VERSION, card, generation: 1, fields, signature };
    write("core_hello", "hello", &to_bytes(&hello))?;
    let receiver = KemSecret::from_seed([5; KemSecret::BYTES]).public();
    let greeting = greet(&receiver, &[6; 64]).map_err(io::Error::other)?;
    let sealed = greeting.seal(&[8; 32], &to_bytes(&hello));
    let (hello, _) = sealed.map_err(io::Error::other)?;
    write("transport_hello", "hello", &hello)?;
    let hello = Blob::new(hello).map_err(io::Error::other)?;
    let packet = Packet { hello: Some(hello), envelope: Blob::default() };
    write("core_packet", "hello", &packet.to_wire())?;
    write("core_object", "packet", &Object::Packet(packet).to_file())
}

/// What a validator reads: of clients, of other validators, and of its own disk.
fn notary() -> io::Result<()> {
    let failed = io::Error::other::<Box<dyn std::error::Error + Send + Sync>>;
    let key = SecretKey::new([0x22; 32]).map_err(io::Error::other)?;
    let spend = |source: u8, transaction: u8| {
        let (source, transaction) = ([source; 32], [transaction; 32]);
        let (source, transaction) = (StateHash::new(source), TransactionHash::new(transaction));
        CertificationRequest::new(CertificationData::signed(&key, source, transaction, None))
    };
    let batch = Batch::new(vec![spend(1, 3), spend(2, 3)]).map_err(|e| failed(e.into()))?;
    let entry = Entry::new(batch).map_err(|e| failed(e.into()))?;
    write("notary_batch", "two_spends", entry.as_bytes())?;
    let genesis = Block::genesis(Digest::new([9; 32]), NOW);
    write("notary_block", "genesis", &genesis.encode())?;
    let ledger = Ledger::new(Tip::from(&genesis), Base::default());
    let made = ledger.build(&genesis.hash(), NOW.plus(1), vec![entry]);
    let made = made.map_err(|e| failed(e.into()))?;
    write("notary_block", "first", &made.block.encode())?;
    write("notary_gossip", "want", &SealMessage::Want(7).encode())?;
    let share = SealMessage::Share(7, key.sign(&Digest::new([4; 32])));
    write("notary_gossip", "share", &share.encode())?;
    write("notary_store", "another_byte", &[1, 0, 40, 0xff])?;
    write("notary_store", "a_long_file", &[[0; 3], [2, 1, 0]].concat())?;
    let call = |id: &str, method: &str, params: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)
    };
    let request: String = to_bytes(&spend(1, 3)).iter().map(|b| format!("{b:02x}")).collect();
    let certify = call("1", "certification_request", &format!("\"{request}\""));
    let both = format!("[{certify},{}]", call("\"a\"", "get_block", r#"{"blockNumber":"latest"}"#));
    let state = r#"{"stateId":"0000000000000000000000000000000000000000000000000000000000000001","waitMs":5}"#;
    write("notary_call", "two_calls", both.as_bytes())?;
    write("notary_call", "proof", call("2", "get_inclusion_proof.v2", state).as_bytes())?;
    let range = r#"{"from":0,"to":"latest"}"#;
    write("notary_call", "growth", call("3", "get_consistency_proof", range).as_bytes())?;
    let answers = [
        r#"{"result":{"blockNumber":"2"}}"#,
        r#"{"result":{"to":"2","after":"00","steps":[{"blockNumber":"1","rootHash":"","leaves":"","proof":"00"}]}}"#,
        r#"{"error":{"code":-32003,"message":"no","data":{"code":"BLOCK_NOT_FOUND"}}}"#,
    ];
    write("notary_audit", "answers", answers.join("\n").as_bytes())
}

/// What is said of hardware seals: proofs and certificates, lists, and both sides of an enrollment.
fn seals() -> io::Result<()> {
    for (target, field) in [("seal_proof", "proof"), ("seal_certificate", "certificate")] {
        let text = fs::read_to_string(vector("seal-slots.json"))?;
        let all: serde_json::Value = serde_json::from_str(&text)?;
        for (number, case) in all["valid"].as_array().into_iter().flatten().enumerate() {
            let bytes = case[field].as_str().and_then(unhex_any).unwrap_or_default();
            write(target, &format!("recorded_{number}"), &bytes)?;
        }
    }
    let text = fs::read_to_string(vector("seal-certificates.json"))?;
    let all: serde_json::Value = serde_json::from_str(&text)?;
    let bytes = |json: &serde_json::Value| json.as_str().and_then(unhex_any).unwrap_or_default();
    write("seal_revocation", "list", &bytes(&all["revocation"]))?;
    let certificate = bytes(&all["valid"][0]["bytes"]);
    write("seal_certificate", "issued", &certificate)?;
    let object = |items: u64, fill: &dyn Fn(&mut Writer)| {
        let mut w = Writer::new();
        w.array(items);
        fill(&mut w);
        w.into_bytes()
    };
    write("seal_answer", "certificate", &[&[0x82, 2][..], &certificate].concat())?;
    let challenge = object(5, &|w| {
        w.uint(1);
        (0..2).for_each(|n| [n; 32].encode(w));
        (0..2).for_each(|n| w.bytes(&[n; 68]));
    });
    write("seal_answer", "challenge", &challenge)?;
    let refusal = object(3, &|w| {
        w.uint(4);
        w.text("ENROLL_CHAIN");
        w.text("no");
    });
    write("seal_answer", "refusal", &refusal)?;
    // A certificate's terms begin with version, network and hardware; the request has them too.
    let hardware = from_bytes::<SealCertificate>(&certificate).map_err(io::Error::other)?;
    let der: Vec<u8> = [&[0x30, 0x40, 0x30, 0x3c][..], &[2, 1, 0].repeat(20), &[5, 0]].concat();
    let request = object(2, &|w| {
        w.uint(1);
        w.array(6);
        1_u8.encode(w);
        hardware.terms().network.encode(w);
        hardware.terms().hardware.encode(w);
        w.bytes(&der);
        w.array(1);
        w.bytes(&der);
        [7; 32].encode(w);
    });
    write("seal_request", "request", &request)?;
    let proof = object(4, &|w| {
        w.uint(2);
        [7; 32].encode(w);
        [8; 32].encode(w);
        w.array(1);
        w.array(6);
        (1..5).for_each(|n| w.uint(n));
        true.encode(w);
        [9; 64].encode(w);
    });
    write("seal_request", "proof", &proof)?;
    write("seal_authority", "der", &der)?;
    let pem = "-----BEGIN CERTIFICATE-----\nMEAwPAIBAA==\n-----END CERTIFICATE-----\n";
    write("seal_authority", "pem", pem.as_bytes())
}

fn vector(file: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/vectors").join(file)
}

fn unhex_any(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    rest.is_empty().then(|| pairs.iter().map(byte).collect())?
}

fn blob<const N: usize>(message: &Message) -> Blob<N> {
    Blob::new(to_bytes(message)).unwrap_or_default()
}

fn frames() -> io::Result<()> {
    let frames = Frames::new(&[7; 400], 120).map_err(io::Error::other)?;
    let mut bytes = Vec::new();
    for frame in frames.take(5) {
        bytes.push(u8::try_from(frame.len()).unwrap_or(u8::MAX));
        bytes.extend(frame);
    }
    write("transport_qr", "a_loop", &bytes)
}

/// The longest hexadecimal texts of a file of vectors.
fn vectors(target: &str, file: &str, most: usize) -> io::Result<()> {
    let text = fs::read_to_string(vector(file))?;
    let mut found: Vec<Vec<u8>> = text.split('"').filter_map(unhex).collect();
    found.sort_by_key(|bytes| std::cmp::Reverse(bytes.len()));
    found.dedup();
    for (number, bytes) in found.iter().take(most).enumerate() {
        write(target, &format!("vector_{number}"), bytes)?;
    }
    Ok(())
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    unhex_any(text).filter(|bytes| bytes.len() > 64)
}

fn write(target: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), bytes)
}
