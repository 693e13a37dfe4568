use harness::http::{Client, HttpOptions};

fn main() {
    let _ = Client::with(HttpOptions::new("https://app.jetscale.ai")); //~ E0624 with
}
