use harness::engine::{Image, Owned};

async fn remove(image: Owned<Image>) -> harness::Result<()> {
    image.remove().await //~ E0599 remove
}

fn main() {}
