//! What a scenario of the smoke suite cannot write: it does not compile.

#[test]
fn what_writes_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/read_only/*.rs");
}
