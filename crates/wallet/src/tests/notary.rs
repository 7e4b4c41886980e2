//! Validators for tests: the interface over real HTTP, before a stand-in that agrees with nobody.

#[path = "../../../notary/tests/rpc/stand_in.rs"]
#[allow(dead_code)]
mod stand_in;

use std::time::Duration;

use tally_notary::rpc::{Config, Server};
use tally_transport::http::Url;
use tokio::runtime::Runtime;

use self::stand_in::StandIn;
use crate::Wallet;
use crate::notary::write_trust_base;

/// A validator that is served in this process.
pub(super) struct Validator {
    runtime: Option<Runtime>,
    backend: StandIn,
    url: Url,
}

impl Validator {
    /// Starts one. Two of them sign with one key, and know nothing of one another.
    pub(super) fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let (backend, url) = runtime.block_on(async {
            let backend = StandIn::start();
            let config = Config::new(([127, 0, 0, 1], 0).into());
            let server = Server::start(config, backend.clone()).await.unwrap();
            let url = Url::new(&format!("http://{}/", server.address())).unwrap();
            // It is stopped with the runtime.
            std::mem::forget(server);
            (backend, url)
        });
        Self { runtime: Some(runtime), backend, url }
    }

    pub(super) fn url(&self) -> Url {
        self.url.clone()
    }

    /// Stops making blocks, or goes on.
    pub(super) fn freeze(&self, frozen: bool) {
        self.backend.freeze(frozen);
    }

    /// Has a wallet ask it.
    pub(super) fn serve(&self, wallets: &mut [&mut Wallet]) {
        for wallet in wallets {
            wallet.add_notary(self.url(), &trust_file()).unwrap();
        }
    }
}

impl Drop for Validator {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_millis(100));
        }
    }
}

/// The trust base of all validators.
pub(super) fn trust_file() -> Vec<u8> {
    write_trust_base(&stand_in::trust()).into_bytes()
}
