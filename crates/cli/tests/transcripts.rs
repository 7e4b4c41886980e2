//! What the program prints stays as it was shown to people, until it is changed on purpose.

#[test]
fn transcripts_stay_as_they_are() {
    trycmd::TestCases::new()
        .env("TALLY_WALLET", "nowhere")
        .env("TALLY_STATE", "nowhere-state")
        .case("tests/cmd/*.trycmd");
}
