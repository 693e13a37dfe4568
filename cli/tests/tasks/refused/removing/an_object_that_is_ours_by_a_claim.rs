use harness::engine::{Container, Engine, Owned};

fn claim(object: Container, engine: Engine) -> Owned<Container> {
    Owned { object, engine } //~ E0451 object
}

fn main() {}
