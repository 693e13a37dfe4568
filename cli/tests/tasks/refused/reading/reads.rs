use harness::scenario::ScenarioResult;
use harness::scenario::reading::scenario;
use harness::stack::{Account, Site};

async fn reads(site: Site) -> ScenarioResult {
    site.get("/api/v2/items").await?.expect_status(401)?;
    Ok(())
}

async fn reads_signed_in(account: Account) -> ScenarioResult {
    account.get("/api/v2/items").await?.expect_status(200)?;
    Ok(())
}

fn main() {
    let _ = [scenario(reads), scenario(reads_signed_in)];
}
