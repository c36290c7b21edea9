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
        simplify(schema);
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

/// Runs the passes over a schema and the schemas that are nested in it.
fn simplify(schema: &mut Schema) {
    reduce_to_one_shape(schema);
    remove_limits(schema);
    make_collections_nullable(schema);
    inner_schemas(schema).into_iter().for_each(simplify);
}

/// Reduces a schema with several shapes to the one that typify has a good type for: `type: object` beside
/// an `allOf` becomes the `allOf`, and an `anyOf` that allows any object becomes any object.
fn reduce_to_one_shape(schema: &mut Schema) {
    if let SchemaKind::Any(any) = &mut schema.schema_kind
        && any.typ.as_deref() == Some("object")
    {
        let free =
            any.any_of.iter().find_map(|alternative| match &alternative.as_item()?.schema_kind {
                SchemaKind::Type(Type::Object(object)) if object.properties.is_empty() => {
                    Some(object.clone())
                }
                _ => None,
            });
        if let Some(object) = free {
            schema.schema_kind = SchemaKind::Type(Type::Object(object));
        } else if !any.all_of.is_empty() {
            let all_of = std::mem::take(&mut any.all_of);
            schema.schema_kind = SchemaKind::AllOf { all_of };
        }
    }
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
}

/// Adds the marked fields of a schema to `marked`.
fn collect_marked(name: &str, schema: &Schema, marked: &mut Marked) {
    let SchemaKind::Type(Type::Object(object)) = &schema.schema_kind else { return };
    for (property_name, property) in &object.properties {
        let ReferenceOr::Item(property) = property else { continue };
        let extensions = &property.schema_data.extensions;
        let is = |mark: &str| extensions.get(mark).is_some_and(|value| *value == true);
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

    fn contract(paths: &str, schemas: &str) -> OpenAPI {
        yaml_serde::from_str(&format!(
            "{{openapi: 3.0.3, info: {{title: t, version: v1}}, paths: {paths}, \
             components: {{schemas: {schemas}}}}}"
        ))
        .unwrap()
    }

    #[test]
    fn only_success_responses_are_left_and_any_2xx_is_one() {
        let paths =
            |responses| format!("{{/a: {{get: {{operationId: a, responses: {responses}}}}}}}");
        let all = "{'201': {description: d}, '404': {description: e}, default: {description: f}}";
        let mut contract = contract(&paths(all), "{}");
        prepare(&mut contract);
        assert_eq!(contract, self::contract(&paths("{2XX: {description: d}}"), "{}"));
    }

    #[test]
    fn schemas_are_simplified_at_any_depth() {
        for (before, after) in [
            // A named schema is not nullable.
            ("type: object, nullable: true", "type: object"),
            // A type beside an `allOf` is removed, and any object replaces its alternatives.
            (
                "type: object, properties: {a: {type: object, nullable: true, allOf: [{$ref: x}]}}",
                "type: object, properties: {a: {nullable: true, allOf: [{$ref: x}]}}",
            ),
            (
                "type: object, required: [b], properties: {b: {type: object, \
                 anyOf: [{$ref: x}, {type: object, additionalProperties: true}]}}",
                "type: object, required: [b], \
                 properties: {b: {type: object, additionalProperties: true}}",
            ),
            // Limits are removed. Enums, and formats with a Rust type, stay.
            (
                "type: array, minItems: 2, maxItems: 2, uniqueItems: true, \
                 items: {type: string, minLength: 1, maxLength: 2, pattern: x, format: password}",
                "type: array, items: {type: string}",
            ),
            (
                "type: integer, format: int64, minimum: 1, exclusiveMaximum: true, maximum: 9",
                "type: integer, format: int64",
            ),
            (
                "type: number, format: double, multipleOf: 0.5, enum: [0.5, 1.5]",
                "type: number, format: double, enum: [0.5, 1.5]",
            ),
            // An optional collection is nullable.
            (
                "type: object, required: [c], properties: {a: {type: array, items: {type: string}}, \
                 b: {type: object}, c: {type: array, items: {type: string}}, d: {type: string}}",
                "type: object, required: [c], \
                 properties: {a: {type: array, nullable: true, items: {type: string}}, \
                 b: {type: object, nullable: true}, c: {type: array, items: {type: string}}, \
                 d: {type: string}}",
            ),
        ] {
            let mut prepared = contract("{}", &format!("{{S: {{{before}}}}}"));
            prepare(&mut prepared);
            assert_eq!(prepared, contract("{}", &format!("{{S: {{{after}}}}}")));
        }
    }

    #[test]
    fn marks_are_collected_when_they_are_true() {
        let fields = "a: {x-secret: true}, b: {x-lenient: true}, c: {x-secret: false}";
        let schemas = format!("{{S: {{type: object, properties: {{{fields}}}}}}}");
        let marked = prepare(&mut contract("{}", &schemas));
        let field = |name: &str| [("S".to_owned(), name.to_owned())].into();
        assert_eq!(marked, Marked { secret: field("a"), lenient: field("b") });
    }
}
