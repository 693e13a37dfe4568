use harness::stack::Site;

async fn write(site: Site) {
    let _ = site.put("/api/v2/items", &()).await; //~ E0599 put
}

fn main() {}
