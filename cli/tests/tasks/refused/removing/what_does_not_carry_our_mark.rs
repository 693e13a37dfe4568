use harness::engine::{Container, Engine, Mark, Seen};

async fn remove(engine: Engine) -> harness::Result<()> {
    match engine.look::<Container>("a-name", &Mark::owner("ours")).await? {
        Seen::Foreign(container) => container.remove().await, //~ E0599 remove
        _ => Ok(()),
    }
}

fn main() {}
