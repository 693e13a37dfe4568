use harness::http::{Client, Options};

fn main() {
    let _ = Client::with(Options::new("https://app.jetscale.ai")); //~ E0624 with
}
