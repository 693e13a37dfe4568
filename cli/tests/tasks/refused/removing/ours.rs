use harness::engine::{Container, Engine, Mark, Seen};

async fn remove(engine: Engine) -> harness::Result<()> {
    match engine.look::<Container>("a-name", &Mark::owner("ours")).await? {
        Seen::Ours(container) => Ok(container.remove().await?),
        Seen::Foreign(_) | Seen::Gone => Ok(()),
    }
}

fn main() {}
