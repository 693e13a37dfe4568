use std::time::Duration;

use harness::cluster::{Change, Home};

async fn change(home: &Home) {
    let _ = Change::take(home, "deploying", Duration::MAX).await; //~ E0624 take
}

fn main() {}
