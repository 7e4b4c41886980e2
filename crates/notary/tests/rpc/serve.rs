//! The stand-in as a process of its own, whose memory can be measured.

use serde_json::json;
use tokio::io::{AsyncReadExt, stdin};

use crate::world::World;

/// Says where it is in one line of JSON.
#[tokio::test]
#[ignore = "the other half of the tests of memory, which start it: serves until its standard input ends"]
async fn serve() {
    let world = World::new().await;
    eprintln!("{}", json!({ "urls": [format!("http://{}", world.address)] }));
    let mut input = Vec::new();
    stdin().read_to_end(&mut input).await.unwrap();
}
