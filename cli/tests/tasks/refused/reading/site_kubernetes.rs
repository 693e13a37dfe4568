use harness::stack::Site;

async fn reach_into(site: Site) {
    let _ = site.kube(); //~ E0599 kube
}

fn main() {}
