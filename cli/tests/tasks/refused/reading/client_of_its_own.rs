use harness::http::{self, HttpOptions};

fn main() {
    let _ = http::writer(HttpOptions::new("https://app.jetscale.ai")); //~ E0425 writer
}
