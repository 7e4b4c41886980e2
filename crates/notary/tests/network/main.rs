//! A network of real validators on sockets and files, within this process.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use tally_core::keys::SecretKey;
use tally_core::notary::{CertificationData, CertificationRequest, StateHash, TransactionHash};
use tally_notary::backend::{Backend as _, Batch, Outcome};
use tally_notary::devnet::Devnet;
use tally_notary::rules::TallyEngine;
use tally_notary::validator::Service;

const WAIT: Duration = Duration::from_secs(20);

fn request(coin: u8, payment: u8) -> CertificationRequest {
    let key = SecretKey::new([7; 32]).expect("a scalar");
    let (source, to) = (StateHash::new([coin; 32]), TransactionHash::new([payment; 32]));
    CertificationRequest::new(CertificationData::signed(&key, source, to, None))
}

fn service(network: &Devnet, number: usize) -> Service {
    Service::new(network.node(number).expect("it runs").validator().clone())
}

fn post(url: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).expect("it listens");
    write!(
        stream,
        "POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn four_validators_certify_one_of_two_conflicting_spends_and_remember_it_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let network = Devnet::start(folder.path(), 4).expect("a network");
    let (mine, yours) = (request(1, 10), request(1, 11));
    let (one, two) = (service(&network, 1), service(&network, 2));
    let (first, second) = tokio::join!(
        one.certify(Batch::from(mine.clone()), WAIT),
        two.certify(Batch::from(yours.clone()), WAIT)
    );
    let outcomes = [first.expect("accepted"), second.expect("accepted")];
    let winners = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Certified { .. }));
    assert_eq!(winners.count(), 1, "{outcomes:?}");
    let won = if matches!(outcomes[0], Outcome::Certified { .. }) { &mine } else { &yours };
    let check = async |network: &Devnet| {
        for number in 0..4 {
            let proof = service(network, number).inclusion(won.state_id, WAIT).await;
            let proof = proof.expect("ready").proof;
            proof
                .verify(&won.data.spend(), network.trust_base(), &TallyEngine::default())
                .expect("a proof of the winner");
        }
    };
    check(&network).await;
    let height =
        post(&network.urls()[3], r#"{"jsonrpc":"2.0","id":1,"method":"get_block_height"}"#);
    assert!(height.starts_with("HTTP/1.1 200") && height.contains("result"), "{height}");

    drop((one, two, network));
    let network = Devnet::start(folder.path(), 4).expect("the same network");
    check(&network).await;
    let late = service(&network, 0).certify(Batch::from(won.clone()), WAIT).await;
    assert!(matches!(late, Ok(Outcome::Certified { .. })), "{late:?}");
}
