use harness::scenario::ScenarioResult;
use harness::scenario::reading::scenario;
use harness::stack::Stack;

async fn changes_something(_: Stack) -> ScenarioResult {
    Ok(())
}

fn main() {
    let _ = scenario(changes_something); //~ E0277 ReadOnly
}
