use harness::cluster::{Hold, ClusterState, Use};

async fn provision(hold: &mut Hold, home: &ClusterState) -> harness::Result<Use> {
    let change = hold.free()?.change(home, "deploying").await?;
    let _ = change.alone().await?;
    Ok(change.begin_use().await?)
}

fn main() {}
