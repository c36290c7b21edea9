//! Tests that connectors and numbers decode.

use bird_api::numbers::types::LongCode;
use bird_api::types::{Capabilities, Connector, EndpointType, NumberType};
use serde_json::{Value, json};

/// The example of a connector in Bird's documentation "Installing an SMS channel".
const EXAMPLE: &str = include_str!("connector.json");
const ID: &str = "123e4567-e89b-12d3-a456-426614174000";

fn example() -> Value {
    serde_json::from_str(EXAMPLE).unwrap()
}

fn decode(value: Value) -> Connector {
    serde_json::from_value(value).unwrap()
}

/// Decodes the example with the value at a JSON pointer replaced.
fn with(pointer: &str, value: Value) -> Connector {
    let mut example = example();
    *example.pointer_mut(pointer).unwrap() = value;
    decode(example)
}

#[test]
fn the_documented_example_decodes_into_typed_values() {
    let connector = decode(example());
    let id = Some(ID.parse().unwrap());
    assert_eq!((Some(connector.id), connector.workspace_id), (id, id));
    assert_eq!(connector.arguments.unwrap()["someArgument"], "someValue");
    assert_eq!(connector.channel.unwrap().channel_id, id);
    let number = connector.number.unwrap();
    let joined = "mms-inbound,mms-outbound,sms-inbound,sms-outbound".to_owned();
    assert_eq!(number.capabilities, Some(Capabilities::Joined(joined)));
    assert_eq!(number.number_type, Some(NumberType::Mobile));
    assert_eq!(number.endpoint_type, Some(EndpointType::AlphaNumber));
    let streams = connector.data_fetching.unwrap().streams.unwrap();
    assert_eq!(streams[0].incremental, Some(false));
    assert_eq!(streams[0].duplicates_filter_capacity, Some(0));
    assert_eq!(connector.created_at, "2025-01-21T01:43:10.940Z".parse().unwrap());
}

#[test]
fn the_documented_example_survives_a_round_trip() {
    let back = serde_json::to_value(decode(example())).unwrap();
    let mut expected = example();
    // The times are encoded without the trailing zero.
    for field in ["createdAt", "updatedAt"] {
        expected[field] = "2025-01-21T01:43:10.94Z".into();
    }
    assert_eq!(back, expected);
}

#[test]
fn the_contract_contains_the_documented_example() {
    let contract: Value = yaml_serde::from_str(include_str!("../openapi.yaml")).unwrap();
    assert_eq!(contract["components"]["examples"]["ReadyConnector"]["value"], example());
}

#[test]
fn capabilities_decode_from_a_string_a_list_or_null() {
    let list = with("/number/capabilities", json!(["sms-inbound", "sms-outbound"]));
    let expected = Capabilities::List(vec!["sms-inbound".into(), "sms-outbound".into()]);
    assert_eq!(list.number.unwrap().capabilities, Some(expected));
    let null = with("/number/capabilities", Value::Null);
    assert_eq!(null.number.unwrap().capabilities, None);
    let missing = with("/number", json!({}));
    assert_eq!(missing.number.unwrap().capabilities, None);
}

#[test]
fn an_unknown_enum_value_is_kept() {
    let connector = with("/number/numberType", json!("some-new-type"));
    let number = connector.number.as_ref().unwrap();
    assert_eq!(number.number_type, Some(NumberType::Unknown("some-new-type".into())));
    assert_eq!(number.number_type.as_ref().unwrap().to_string(), "some-new-type");
    assert_eq!(serde_json::to_value(&connector).unwrap()["number"]["numberType"], "some-new-type");
    let connector = with("/number/endpointType", json!("short-code"));
    let endpoint_type = connector.number.unwrap().endpoint_type;
    assert_eq!(endpoint_type, Some(EndpointType::Unknown("short-code".into())));
}

#[test]
fn null_decodes_as_absent_in_every_optional_field() {
    let Value::Object(fields) = example() else { panic!() };
    for name in fields.keys().filter(|name| !["id", "name", "createdAt"].contains(&name.as_str())) {
        let null = with(&format!("/{name}"), Value::Null);
        let back = serde_json::to_value(null).unwrap();
        assert!(back.get(name).is_none(), "{name}");
    }
    for pointer in [
        "/channel/channelId",
        "/number/profileAttachments",
        "/number/profileAttachments/0/variables",
        "/number/capabilities",
        "/dataFetching/streams",
        "/dataFetching/streams/0/incremental",
    ] {
        with(pointer, Value::Null);
    }
}

#[test]
fn a_connector_needs_only_id_name_and_creation_time() {
    let connector = decode(json!({"id": ID, "name": "n", "createdAt": "2025-01-21T01:43:10Z"}));
    assert_eq!(connector.name, "n");
    assert_eq!((connector.channel, connector.number), (None, None));
}

#[test]
fn unknown_fields_are_ignored_at_every_level() {
    let mut value = example();
    for pointer in ["", "/channel", "/number", "/number/profileAttachments/0", "/dataCapture"] {
        let object = value.pointer_mut(pointer).unwrap().as_object_mut().unwrap();
        object.insert("addedTomorrow".into(), json!({"a": [1]}));
    }
    assert_eq!(decode(value), decode(example()));
}

#[test]
fn a_time_with_an_offset_decodes() {
    let connector = with("/createdAt", json!("2025-01-20T22:43:10.940-03:00"));
    assert_eq!(connector.created_at, decode(example()).created_at);
}

#[test]
fn a_lenient_field_of_another_type_decodes_as_absent() {
    for other in [json!("text"), json!(7), json!([1, 2]), json!({"streams": 7})] {
        assert_eq!(with("/dataFetching", other).data_fetching, None);
    }
    assert_eq!(with("/arguments", json!(["a"])).arguments, None);
}

#[test]
fn a_strict_field_of_another_type_fails_to_decode() {
    let mut value = example();
    value["region"] = json!(7);
    assert!(serde_json::from_value::<Connector>(value).is_err());
}

#[test]
fn a_number_with_undocumented_values_and_fields_decodes() {
    let number = json!({
        "id": ID, "endpointId": ID, "numberString": "+1", "countryCode": "US", "type": "satellite",
        "capabilities": {"fax": {"inbound": true}, "sms": {"outbound": null}},
        "createdAt": "2025-01-21T01:43:10-03:00", "updatedAt": "2025-01-21T01:43:10Z", "new": 1,
        "endpoint": {
            "type": "crystal-ball",
            "capabilities": "sms",
            "dependencies": [{"type": "flow", "flowId": 7}, {"type": "connector", "connectorId": ""}],
        },
    });
    let number: LongCode = serde_json::from_value(number).unwrap();
    assert_eq!(number.type_, Some("satellite".into()));
    assert_eq!(number.endpoint.capabilities, None);
    let dependencies = number.endpoint.dependencies.unwrap();
    assert_eq!(dependencies[1].type_.as_deref(), Some("connector"));
    assert_eq!((dependencies.len(), dependencies[1].connector_id), (2, None));
}
