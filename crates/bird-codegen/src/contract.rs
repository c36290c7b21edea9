//! The passes over the contract that run before progenitor generates from it.

use std::collections::BTreeSet;

use openapiv3::{
    IntegerType, NumberType, OpenAPI, Operation, ReferenceOr, Schema, SchemaKind, StatusCode,
    StringFormat, Type, VariantOrUnknownOrEmpty,
};

/// The fields that the contract marks for a pass over the generated code, as pairs of schema and property.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Marked {
    /// `x-lenient: true`: a value of another shape decodes as absent.
    pub(crate) lenient: BTreeSet<(String, String)>,
    /// `x-secret: true`: `Debug` redacts the value.
    pub(crate) secret: BTreeSet<(String, String)>,
}

/// Runs every pass of this module and returns the marks for [`super::passes`].
pub(crate) fn prepare(contract: &mut OpenAPI) -> Marked {
    for operation in operations(contract) {
        keep_success_responses(operation);
    }
    let mut marked = Marked::default();
    for (name, schema) in named_schemas(contract) {
        // The reference to a schema decides about null; here typify would wrap the type in an Option.
        schema.schema_data.nullable = false;
        reduce_to_one_shape(schema);
        remove_limits(schema);
        make_collections_nullable(schema);
        collect_marked(name, schema, &mut marked);
    }
    marked
}

fn operations(contract: &mut OpenAPI) -> impl Iterator<Item = &mut Operation> {
    let items = contract.paths.paths.iter_mut().filter_map(|(_, item)| inline(item));
    items
        .flat_map(|item| {
            [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch]
        })
        .flatten()
}

fn named_schemas(contract: &mut OpenAPI) -> impl Iterator<Item = (&str, &mut Schema)> {
    let schemas = contract.components.iter_mut().flat_map(|components| &mut components.schemas);
    schemas.filter_map(|(name, schema)| Some((name.as_str(), inline(schema)?)))
}

/// Returns the item that is written in place, or `None` for a reference.
fn inline<T>(item: &mut ReferenceOr<T>) -> Option<&mut T> {
    match item {
        ReferenceOr::Item(item) => Some(item),
        ReferenceOr::Reference { .. } => None,
    }
}

/// Removes every response but 2xx, so that the caller gets the whole `reqwest::Response` (status, headers,
/// body) in `Error::UnexpectedResponse`.
///
/// Typed error responses would lose the status and the headers whenever the body is not the documented
/// JSON, and `default` beside `201` makes progenitor 0.15 panic. Any 2xx stands for the documented success:
/// a 200 instead of a 201 must not lose a connector.
fn keep_success_responses(operation: &mut Operation) {
    let responses = &mut operation.responses;
    responses.default = None;
    responses.responses = std::mem::take(&mut responses.responses)
        .into_iter()
        .filter(|(status, _)| matches!(status, StatusCode::Code(200..=299) | StatusCode::Range(2)))
        .map(|(_, response)| (StatusCode::Range(2), response))
        .collect();
}

/// Reduces a schema with several shapes to the one that typify has a good type for: `type: object` beside
/// an `allOf` becomes the `allOf`, and an `anyOf` that allows any object becomes any object.
fn reduce_to_one_shape(schema: &mut Schema) {
    if let SchemaKind::Any(any) = &mut schema.schema_kind
        && any.typ.as_deref() == Some("object")
    {
        let free = any.any_of.iter().find_map(|alternative| match alternative {
            ReferenceOr::Item(Schema {
                schema_kind: SchemaKind::Type(Type::Object(object)),
                ..
            }) if object.properties.is_empty() => Some(object.clone()),
            _ => None,
        });
        if let Some(object) = free {
            schema.schema_kind = SchemaKind::Type(Type::Object(object));
        } else if !any.all_of.is_empty() {
            let all_of = std::mem::take(&mut any.all_of);
            schema.schema_kind = SchemaKind::AllOf { all_of };
        }
    }
    inner_schemas(schema).into_iter().for_each(reduce_to_one_shape);
}

/// Removes the limits of values. For a string with a length or a pattern, a number with a minimum and a
/// list without duplicates typify generates types that refuse other values, and a response with such a value
/// must still decode.
fn remove_limits(schema: &mut Schema) {
    match &mut schema.schema_kind {
        SchemaKind::Type(Type::String(string)) => {
            string.min_length = None;
            string.max_length = None;
            string.pattern = None;
            // `format: uuid` and `date-time` have Rust types; others only document.
            if let VariantOrUnknownOrEmpty::Item(StringFormat::Password | StringFormat::Byte) =
                string.format
            {
                string.format = VariantOrUnknownOrEmpty::Empty;
            }
        }
        SchemaKind::Type(Type::Integer(integer)) => {
            *integer = IntegerType {
                format: integer.format.clone(),
                enumeration: std::mem::take(&mut integer.enumeration),
                ..IntegerType::default()
            };
        }
        SchemaKind::Type(Type::Number(number)) => {
            *number = NumberType {
                format: number.format.clone(),
                enumeration: std::mem::take(&mut number.enumeration),
                ..NumberType::default()
            };
        }
        SchemaKind::Type(Type::Array(array)) => {
            array.min_items = None;
            array.max_items = None;
            array.unique_items = false;
        }
        _ => {}
    }
    inner_schemas(schema).into_iter().for_each(remove_limits);
}

/// Makes every optional array and map nullable. Without it typify generates `#[serde(default)] Vec<_>`,
/// which refuses the `null` that a Go server sends for an empty list.
fn make_collections_nullable(schema: &mut Schema) {
    if let SchemaKind::Type(Type::Object(object)) = &mut schema.schema_kind {
        for (name, property) in &mut object.properties {
            let ReferenceOr::Item(property) = property else { continue };
            let collection =
                matches!(property.schema_kind, SchemaKind::Type(Type::Array(_) | Type::Object(_)));
            if collection && !object.required.contains(name) {
                property.schema_data.nullable = true;
            }
        }
    }
    inner_schemas(schema).into_iter().for_each(make_collections_nullable);
}

/// Adds the marked fields of a schema to `marked`.
fn collect_marked(name: &str, schema: &Schema, marked: &mut Marked) {
    let SchemaKind::Type(Type::Object(object)) = &schema.schema_kind else { return };
    for (property_name, property) in &object.properties {
        let ReferenceOr::Item(property) = property else { continue };
        let is = |mark: &str| {
            property
                .schema_data
                .extensions
                .get(mark)
                .is_some_and(|value| value.as_bool() == Some(true))
        };
        let key = (name.to_owned(), property_name.clone());
        if is("x-lenient") {
            marked.lenient.insert(key.clone());
        }
        if is("x-secret") {
            marked.secret.insert(key);
        }
    }
}

/// Returns the schemas that are nested directly in this one.
fn inner_schemas(schema: &mut Schema) -> Vec<&mut Schema> {
    match &mut schema.schema_kind {
        SchemaKind::Type(Type::Object(object)) => {
            let values = match &mut object.additional_properties {
                Some(openapiv3::AdditionalProperties::Schema(values)) => inline(values),
                _ => None,
            };
            let properties = object.properties.iter_mut().filter_map(|(_, item)| inline(item));
            properties.map(AsMut::as_mut).chain(values).collect()
        }
        SchemaKind::Type(Type::Array(array)) => {
            array.items.iter_mut().filter_map(inline).map(AsMut::as_mut).collect()
        }
        SchemaKind::OneOf { one_of: parts }
        | SchemaKind::AllOf { all_of: parts }
        | SchemaKind::AnyOf { any_of: parts } => parts.iter_mut().filter_map(inline).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(yaml: &str) -> Schema {
        yaml_serde::from_str(yaml).unwrap()
    }

    fn property<'a>(schema: &'a Schema, name: &str) -> &'a Schema {
        let SchemaKind::Type(Type::Object(object)) = &schema.schema_kind else { panic!() };
        object.properties[name].as_item().unwrap()
    }

    fn contract(responses: &str) -> OpenAPI {
        yaml_serde::from_str(&format!(
            "{{openapi: 3.0.3, info: {{title: t, version: v1}}, paths: {{/a: {{get: {{operationId: a, \
             responses: {responses}}}}}}}}}"
        ))
        .unwrap()
    }

    #[test]
    fn only_success_responses_are_left_and_any_2xx_is_one() {
        let mut contract = contract(
            "{'201': {description: d}, '404': {description: e}, default: {description: f}}",
        );
        prepare(&mut contract);
        let responses = &operations(&mut contract).next().unwrap().responses;
        assert!(responses.default.is_none());
        let statuses: Vec<_> = responses.responses.keys().collect();
        assert_eq!(statuses, [&StatusCode::Range(2)]);
    }

    #[test]
    fn a_named_schema_is_not_nullable() {
        let mut contract: OpenAPI = yaml_serde::from_str(
            "{openapi: 3.0.3, info: {title: t, version: v1}, paths: {}, \
             components: {schemas: {A: {type: object, nullable: true}}}}",
        )
        .unwrap();
        prepare(&mut contract);
        let (_, schema) = named_schemas(&mut contract).next().unwrap();
        assert!(!schema.schema_data.nullable);
    }

    #[test]
    fn a_type_beside_all_of_is_removed_and_any_object_replaces_its_alternatives() {
        let mut schema = schema(
            "{type: object, properties: {a: {type: object, nullable: true, allOf: [{$ref: '#/x'}]}, \
             b: {type: object, anyOf: [{$ref: '#/x'}, {type: object, additionalProperties: true}]}}}",
        );
        reduce_to_one_shape(&mut schema);
        let kind = |name| &property(&schema, name).schema_kind;
        assert!(matches!(kind("a"), SchemaKind::AllOf { all_of } if all_of.len() == 1));
        assert!(matches!(kind("b"), SchemaKind::Type(Type::Object(_))));
        assert!(property(&schema, "a").schema_data.nullable);
    }

    #[test]
    fn limits_are_removed_at_any_depth_and_enums_and_formats_stay() {
        let mut limited = schema(
            "{type: object, properties: {a: {type: array, minItems: 2, maxItems: 2, uniqueItems: true, \
             items: {type: string, minLength: 1, pattern: x}}, \
             b: {type: integer, format: int64, minimum: 1, exclusiveMaximum: true, maximum: 9}, \
             c: {type: number, format: double, multipleOf: 0.5, enum: [0.5, 1.5]}}}",
        );
        remove_limits(&mut limited);
        let plain = schema(
            "{type: object, properties: {a: {type: array, items: {type: string}}, \
             b: {type: integer, format: int64}, c: {type: number, format: double, enum: [0.5, 1.5]}}}",
        );
        assert_eq!(limited, plain);
    }

    #[test]
    fn optional_collections_become_nullable_and_required_ones_do_not() {
        let mut schema = schema(
            "{type: object, required: [c], properties: {a: {type: array, items: {type: string}}, \
             b: {type: object}, c: {type: array, items: {type: string}}, d: {type: string}}}",
        );
        make_collections_nullable(&mut schema);
        let nullable = |name| property(&schema, name).schema_data.nullable;
        assert!(nullable("a") && nullable("b"));
        assert!(!nullable("c") && !nullable("d"));
    }

    #[test]
    fn marks_are_collected_when_they_are_true() {
        let schema = schema(
            "{type: object, properties: {a: {type: string, x-secret: true}, b: {type: string, x-lenient: true}, \
             c: {type: string, x-secret: false}}}",
        );
        let mut marked = Marked::default();
        collect_marked("S", &schema, &mut marked);
        assert_eq!(marked.secret, [("S".to_owned(), "a".to_owned())].into());
        assert_eq!(marked.lenient, [("S".to_owned(), "b".to_owned())].into());
    }
}
