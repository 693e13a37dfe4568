use harness::stack::Site;

async fn reach_into(site: Site) {
    let _ = site.kube();
}

fn main() {}
