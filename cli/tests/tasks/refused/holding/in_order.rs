use harness::cluster::{Hold, ClusterState, Use};

async fn provision(hold: &mut Hold, cluster_state: &ClusterState) -> harness::Result<Use> {
    let change = hold.free()?.change(cluster_state, "deploying").await?;
    let _ = change.alone().await?;
    Ok(change.begin_use().await?)
}

fn main() {}
