use harness::http::Client;

fn main() {
    let _ = Client::new("https://app.jetscale.ai");
}
