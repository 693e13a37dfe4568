use harness::engine::Engine;

async fn remove(engine: Engine) -> harness::Result<()> {
    engine.docker()?.args(["rm", "--force", "a-name"]).run().await.map(drop) //~ E0624 docker
}

fn main() {}
