use harness::stack::Site;

async fn write(site: Site) {
    let _ = site.delete("/api/v2/items/1").await; //~ E0599 delete
}

fn main() {}
