use harness::engine::Mark;

fn mark() -> Mark {
    Mark { label: String::new(), value: None } //~ E0451 label
}

fn main() {}
