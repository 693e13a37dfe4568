use harness::stack::Site;

async fn write(site: Site) {
    let _ = site.post("/api/v2/items", &()).await; //~ E0599 post
}

fn main() {}
