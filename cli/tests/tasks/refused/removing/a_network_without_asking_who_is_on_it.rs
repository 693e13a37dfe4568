use harness::engine::{Network, Owned};

async fn remove(network: Owned<Network>) -> harness::Result<()> {
    network.remove().await //~ E0599 remove
}

fn main() {}
