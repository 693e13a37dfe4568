use harness::stack::Account;

async fn write(account: Account) {
    let _ = account.post("/api/v2/items", &()).await; //~ E0599 post
}

fn main() {}
