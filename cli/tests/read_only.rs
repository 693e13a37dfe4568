//! What a scenario of the smoke suite cannot write: it does not compile.

/// Checks the dependencies once more, in a folder of its own.
#[test]
#[ignore = "it takes a minute or more; .ci/run runs it: cargo test -p cli --test read_only -- --ignored"]
fn what_writes_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/read_only/*.rs");
}
