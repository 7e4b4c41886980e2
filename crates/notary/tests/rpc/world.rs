//! A served network, whom to trust, and what an owner sends.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tally_core::cbor::{Encode, from_bytes, to_bytes};
use tally_core::keys::SecretKey;
use tally_core::notary::{
    CertificationData, CertificationRequest, ProofResponse, StateHash, StateId, TransactionHash,
    TrustBase,
};
use tally_core::time::Time;
use tally_notary::rpc::{Config, Server};

use crate::client::Client;
use crate::stand_in::{self, StandIn};

pub struct World {
    pub address: SocketAddr,
    pub trust: TrustBase,
    pub backend: StandIn,
    _server: Server,
}

pub fn config() -> Config {
    Config::new(([127, 0, 0, 1], 0).into())
}

impl World {
    pub async fn new() -> Self {
        Self::with(config()).await
    }

    pub async fn with(config: Config) -> Self {
        let backend = StandIn::start();
        let server = Server::start(config, backend.clone()).await.unwrap();
        Self { address: server.address(), trust: stand_in::trust(), backend, _server: server }
    }

    pub async fn client(&self) -> Client {
        Client::connect(self.address).await
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

pub fn unhex(text: &Value) -> Vec<u8> {
    let text = text.as_str().unwrap();
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

pub fn encoded<T: Encode>(object: &T) -> String {
    hex(&to_bytes(object))
}

pub fn owner() -> SecretKey {
    SecretKey::new([0x22; 32]).unwrap()
}

/// A spend of the state `source` by the transaction `transaction`.
pub fn spend(source: u16, transaction: u8) -> CertificationRequest {
    let mut state = [0; 32];
    state[..2].copy_from_slice(&source.to_be_bytes());
    request(StateHash::new(state), transaction, None)
}

pub fn request(source: StateHash, transaction: u8, until: Option<Time>) -> CertificationRequest {
    let transaction = TransactionHash::new([transaction; 32]);
    CertificationRequest::new(CertificationData::signed(&owner(), source, transaction, until))
}

impl Client {
    pub async fn certify(&mut self, request: &CertificationRequest) -> Value {
        self.result("certification_request", json!(encoded(request))).await
    }

    pub async fn certify_all(&mut self, requests: &[CertificationRequest]) -> Value {
        let requests: Vec<_> = requests.iter().map(encoded).collect();
        self.result("certify", json!({ "requests": requests })).await
    }

    pub async fn inclusion(&mut self, state: StateId) -> ProofResponse {
        let params = json!({ "stateId": state.to_string() });
        from_bytes(&unhex(&self.result("get_inclusion_proof.v2", params).await)).unwrap()
    }
}
