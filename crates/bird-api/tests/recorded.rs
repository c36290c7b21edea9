//! Tests that the responses saved by `cargo xtask drift --record contract/responses` decode.

use bird_api::numbers::types::{
    AlphaSenderList, LongCode, LongCodeList, RequirementList, ShortCodeList, UseCaseList,
};
use bird_api::types::Connector;

fn decode<T: serde::de::DeserializeOwned>(text: &str) -> Result<(), serde_json::Error> {
    serde_json::from_str::<T>(text).map(drop)
}

#[test]
fn every_recorded_response_decodes() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../contract/responses");
    let mut decoded = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let decode = match path.file_name().unwrap().to_str().unwrap().split('-').next().unwrap() {
            "getConnector" => decode::<Connector>,
            "getLongCode" => decode::<LongCode>,
            "listLongCodes" => decode::<LongCodeList>,
            "listShortCodes" => decode::<ShortCodeList>,
            "listAlphaSenders" => decode::<AlphaSenderList>,
            "listRequirements" => decode::<RequirementList>,
            "listUseCases" => decode::<UseCaseList>,
            operation => panic!("unknown operation {operation}"),
        };
        decode(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        decoded += 1;
    }
    assert!(decoded > 0);
}
