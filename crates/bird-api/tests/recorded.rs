//! The responses that `cargo xtask drift --record contract/responses` recorded decode.

use bird_api::types::Connector;

#[test]
fn every_recorded_response_decodes() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../contract/responses");
    let mut decoded = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let connector = serde_json::from_str::<Connector>(&text);
        connector.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        decoded += 1;
    }
    assert!(decoded > 0);
}
