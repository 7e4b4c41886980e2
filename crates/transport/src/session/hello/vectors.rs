//! `spec/vectors/session-hellos.json`: hellos for other implementations, good and refused.

use serde_json::{Value as Json, json};

use super::*;

/// Set this variable to write the vectors anew.
const WRITE: &str = "TALLY_WRITE_VECTORS";
const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/vectors/session-hellos.json");

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn bytes(json: &Json) -> Vec<u8> {
    let (pairs, _) = json.as_str().expect("a text").as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16);
    pairs.iter().map(|pair| byte(pair).expect("two digits")).collect()
}

fn cases() -> Json {
    let secret = KemSecret::from_seed([7; 32]);
    let (said, context) = (b"card, generation, fields, signature", [3; 32]);
    let greeting = greet(&secret.public(), &[9; 64]).expect("a good key");
    let (hello, root) = greeting.seal(&context, said).expect("a short text");
    type Edit = (&'static str, fn(&mut Vec<u8>));
    let edits: [Edit; 8] = [
        ("empty", |hello| hello.clear()),
        ("another_version", |hello| hello[0] = 2),
        ("another_hint", |hello| hello[1] ^= 1),
        ("another_ciphertext", |hello| hello[9] ^= 1),
        ("another_text", |hello| hello[1129] ^= 1),
        ("another_tag", |hello| *hello.last_mut().expect("not empty") ^= 1),
        ("cut_short", |hello| hello.truncate(1144)),
        ("too_long", |hello| hello.resize(MAX_HELLO + 1, 0)),
    ];
    let refused = edits.map(|(name, edit)| {
        let mut bent = hello.clone();
        edit(&mut bent);
        let error = open(&[&secret], &bent, &mut Budget::default()).expect_err("it was bent");
        json!({ "name": name, "hello": text(&bent), "code": error.code() })
    });
    json!({
        "about": "HELLO-3 and HELLO-4: what HPKE with X-Wing makes of a text, and hellos that are refused.",
        "seed": text(&[7; 32]), "public_key": text(&secret.public().to_bytes()),
        "randomness": text(&[9; 64]), "text": text(said), "context": text(&context),
        "hello": text(&hello), "root": text(&root.0.0), "refused": refused,
    })
}

#[test]
fn the_vectors_are_what_this_program_does() {
    let made = serde_json::to_string_pretty(&cases()).expect("JSON") + "\n";
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(PATH, &made).expect("written");
    }
    let stored = std::fs::read_to_string(PATH).expect("the file is there");
    assert_eq!(stored, made, "set {WRITE} to write them anew");
}

/// Read as another implementation would: from the file alone.
#[test]
fn the_vectors_open_and_are_refused_as_they_say() {
    let all: Json =
        serde_json::from_str(&std::fs::read_to_string(PATH).expect("there")).expect("JSON");
    let seed = <[u8; 32]>::try_from(bytes(&all["seed"])).expect("32 bytes");
    let secret = KemSecret::from_seed(seed);
    let read = |hello: &[u8]| open(&[&secret], hello, &mut Budget::default());
    let opened = read(&bytes(&all["hello"])).expect("a good hello");
    assert_eq!(opened.text, bytes(&all["text"]));
    let context = <[u8; 32]>::try_from(bytes(&all["context"])).expect("32 bytes");
    assert_eq!(opened.root(&context).0.0.to_vec(), bytes(&all["root"]));
    let refused = all["refused"].as_array().expect("a list");
    assert_eq!(refused.len(), 8);
    for case in refused {
        let error = read(&bytes(&case["hello"])).expect_err("it is refused");
        assert_eq!(error.code(), case["code"], "{}", case["name"]);
    }
}
