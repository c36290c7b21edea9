use crate::Error;

/// Returns a contract with these schemas and one operation, which has these keywords.
fn contract(operation: &str, schemas: &str) -> String {
    format!(
        "openapi: 3.0.3
info: {{title: t, version: v1}}
paths:
  /a/{{id}}:
    post:
      operationId: create
      {operation}
components:
  schemas:
    {schemas}
"
    )
}

const ID: &str =
    "parameters: [{name: id, in: path, required: true, schema: {type: string}}]\n      ";
const OK: &str = "responses: {'200': {description: d, content: {application/json: {schema: {$ref: '#/components/schemas/S'}}}}}";
const S: &str = "S: {type: object, properties: {a: {type: string}}}";

fn operation(keywords: &str) -> String {
    contract(&format!("{ID}{keywords}"), S)
}

fn schema(keywords: &str) -> String {
    contract(&format!("{ID}{OK}"), &format!("{S}\n    T: {{{keywords}}}"))
}

fn generate(yaml: &str) -> Result<String, Error> {
    crate::generate("openapi.yaml", yaml)
}

fn property(keywords: &str) -> String {
    schema(&format!("type: object, properties: {{a: {{{keywords}}}}}"))
}

#[test]
fn generation_always_reproduces_the_checked_in_client() {
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap() + "/../..";
    let read = |path: &str| std::fs::read_to_string(format!("{root}/{path}")).unwrap();
    let yaml = read("openapi.yaml");
    let client = read("crates/bird-api/generated/client.rs");
    let numbers = read("contract/numbers.yaml");
    let module = read("crates/bird-api/generated/numbers.rs");
    for _ in 0..3 {
        let same = crate::generate("openapi.yaml", &yaml).unwrap() == client
            && crate::extend("contract/numbers.yaml", &numbers).unwrap() == module;
        assert!(same, "the checked-in client is stale; run `cargo xtask codegen`");
    }
}

/// Asserts that each contract is refused with an error that contains the expected text.
fn assert_problems(cases: &[(String, &str)]) {
    for (contract, expected) in cases {
        let error = generate(contract).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}\n{expected}\n{contract}");
    }
}

#[test]
fn a_schema_problem_is_reported_with_line_and_pointer() {
    assert_problems(&[
        // Invalid YAML and duplicate keys.
        ("a: [".to_owned(), "openapi.yaml:2: invalid YAML"),
        ("a: 1\na: 2".to_owned(), "openapi.yaml:1: invalid YAML"),
        ("a: 1".to_owned(), "openapi.yaml:1: unsupported keyword `a` in this contract"),
        // Keywords and values.
        (
            property("tpye: string"),
            ":12: unsupported keyword `tpye` in this schema (at #/components/schemas/T/properties/a/tpye)",
        ),
        (property("type: strng"), ":12: \"strng\" is not one of: string number"),
        (property("required: true"), ":12: true is not a list"),
        (property("not: {type: string}"), "unsupported keyword `not`"),
        (
            schema("oneOf: [{$ref: '#/components/schemas/S'}], discriminator: {propertyName: a}"),
            "unsupported keyword `discriminator`",
        ),
        (
            schema("type: object, required: [b], properties: {a: {type: string}}"),
            "\"b\" is not a property (at #/components/schemas/T/required)",
        ),
        (
            operation(OK).replace("operationId: create", "summary: s"),
            ":5: this operation has no `operationId`",
        ),
        (operation(&format!("{OK}\n      callbacks: {{}}")), ":9: unsupported keyword `callbacks`"),
        // References.
        (
            property("$ref: '#/components/schemas/Gone'"),
            ":12: \"#/components/schemas/Gone\" does not refer to any schema",
        ),
        (property("$ref: '#/components/schemas/S/properties/a'"), "does not refer to any schema"),
        (
            property("$ref: '#/components/schemas/S', nullable: true"),
            "`nullable` has no effect next to `$ref`",
        ),
        (schema("$ref: '#/components/schemas/T'"), "does not refer to any schema"),
        // Extensions.
        (property("type: string, x-odd: true"), ":12: unsupported extension `x-odd: true`"),
        (property("type: string, x-secret: yes"), "unsupported extension `x-secret: \"yes\"`"),
        (schema("type: string, x-secret: true"), "`x-secret` only has an effect on a property"),
        (
            property("type: array, items: {type: string, x-secret: true}"),
            "only has an effect on a property",
        ),
        (
            schema(
                "oneOf: [{type: object, properties: {a: {type: string, x-secret: true}}}, {type: string}]",
            ),
            "`x-secret` has no effect, because no struct has this field (at #/components/schemas/T/oneOf/0/properties/a)",
        ),
        (
            schema("type: object, required: [a], properties: {a: {type: string, x-lenient: true}}"),
            "a required field cannot be lenient",
        ),
        // Schemas from which a wrong client would be generated.
        (
            schema("allOf: [{$ref: '#/components/schemas/S'}, {type: object}]"),
            ":12: `allOf` is only supported around a single reference (at #/components/schemas/T/allOf)",
        ),
        (
            property("type: array"),
            ":12: this array has no `items` (at #/components/schemas/T/properties/a)",
        ),
        (
            property("type: string, enum: [a, 1]"),
            ":12: 1 is not of type string; put it in quotes (at #/components/schemas/T/properties/a/enum/1)",
        ),
        (property("enum: [a, true]"), "true is not of type string; put it in quotes"),
        (property("type: integer, enum: ['1']"), "\"1\" is not of type integer"),
    ]);
}

#[test]
fn an_operation_problem_is_reported_with_line_and_pointer() {
    let json = "content: {application/json: {schema: {type: string}}";
    let two = |more: &str| format!("responses: {{'201': {{description: d, {json}}}}}, {more}}}");
    assert_problems(&[
        // Statuses and media types.
        (
            operation(&two("'202': {description: d}")),
            ":8: 202 and 201 have different bodies",
        ),
        (operation(&two("'2O2': {description: d}")), "`2O2` is not a status"),
        (operation("responses: {default: {description: d}}"), "there is no 2xx response"),
        (
            operation(
                &two("").replace("string}}", "string}}, application/xml: {schema: {type: string}}"),
            ),
            "`application/xml` is a second media type",
        ),
        (
            operation(&format!(
                "{OK}\n      requestBody: {{{}, text/csv: {{schema: {{type: string}}}}}}}}",
                json.trim_end_matches('}').to_owned() + "}}"
            )),
            ":9: `text/csv` is a second media type",
        ),
        (
            operation(&format!(
                "{OK}\n      requestBody: {{content: {{application/x-www-form-urlencoded: {{schema: {{type: object}}}}}}}}"
            )),
            ":9: the client does not send `application/x-www-form-urlencoded`",
        ),
        // Paths and parameters.
        (operation(OK).replace("/a/{id}", "/a/{id}#b"), ":4: a path cannot contain '#' (at #/paths/~1a~1{id}#b)"),
        (contract(OK, S), ":5: progenitor does not support this: missing path name mapping id"),
        (
            operation(OK).replace(
                "parameters: [",
                "parameters: [{name: id, in: query, schema: {type: string}}, ",
            ),
            "the Rust name `id` is already used by #/paths/~1a~1{id}/post/parameters/0 (at #/paths/~1a~1{id}/post/parameters/1)",
        ),
        (
            operation(OK).replace(
                "parameters: [",
                "parameters: [{name: Accept, in: header, schema: {type: string}}, ",
            ),
            "OpenAPI ignores the header parameter `Accept`",
        ),
        (
            operation(OK).replace(
                "parameters: [",
                "parameters: [{name: c, in: cookie, schema: {type: string}}, ",
            ),
            "\"cookie\" is not one of: path query header",
        ),
        // Problems that only progenitor finds, or a pass over the code that it generated.
        (
            operation(&format!(
                "{OK}\n      requestBody: {{content: {{multipart/form-data: {{schema: {{type: string}}}}}}}}"
            )),
            ":5: progenitor does not support this: ",
        ),
        (
            schema("type: string, enum: [a, unknown]"),
            ":12: the enum `T` has a value with the Rust name `Unknown`",
        ),
        (
            schema("type: object, properties: {aB: {type: string}, a_b: {type: string}}"),
            "the Rust name `T.a_b` (at #/components/schemas/T)",
        ),
        (
            property("type: object, title: S, properties: {b: {type: string}}"),
            ":12: the Rust type name `S` of this schema is already used by #/components/schemas/S (at #/components/schemas/T/properties/a)",
        ),
        // Parts of the contract with the same Rust name.
        (
            contract(
                OK,
                &format!("{S}\n    TA: {{type: object}}\n    T: {{type: object, properties: {{a: {{type: string, enum: [b]}}}}}}"),
            ),
            ":11: the Rust type name `TA` of this schema is already used by #/components/schemas/T/properties/a (at #/components/schemas/TA)",
        ),
        (
            operation(OK).replace(
                "parameters: [",
                "parameters: [{name: 'A<', in: query, schema: {type: string}}, {name: 'A>', in: query, schema: {type: string}}, ",
            ),
            "the Rust name `a` is already used by #/paths/~1a~1{id}/post/parameters/0 (at #/paths/~1a~1{id}/post/parameters/1)",
        ),
        (
            operation(&format!("{OK}\n      requestBody: {{{json}}}}}"))
                .replace("parameters: [", "parameters: [{name: Body, in: query, schema: {type: string}}, "),
            "the Rust name `body` is already used by #/paths/~1a~1{id}/post/requestBody",
        ),
        (
            operation(&format!("{OK}\n    put:\n      operationId: Create\n      {ID}{OK}")),
            ":10: the Rust name `create_request` is already used by #/paths/~1a~1{id}/post/operationId (at #/paths/~1a~1{id}/put/operationId)",
        ),
        (
            operation(&format!("{OK}\n    put:\n      operationId: create_request\n      {ID}{OK}")),
            ":10: the Rust name `create_request` is already used",
        ),
    ]);
}

#[test]
fn equivalent_contracts_generate_the_same_client() {
    let r#ref = "{$ref: '#/components/schemas/S'}";
    let nullable = |s: &str, a: &str| {
        let t = format!("T: {{type: object, required: [a], properties: {{a: {{{a}}}}}}}");
        let no_content = format!("{ID}responses: {{'204': {{description: d}}}}");
        contract(&no_content, &format!("{s}\n    {t}"))
    };
    for (one, other) in [
        // Limits, defaults and formats without a Rust type do not change the generated type.
        (property("type: string"), property("type: string, minLength: 1, maxLength: 2, pattern: x, format: date, default: a")),
        (property("type: integer"), property("type: integer, minimum: 1, exclusiveMaximum: true, maximum: 9, enum: [1, 2], default: 1")),
        (property("type: boolean"), property("type: boolean, default: true, nullable: true, enum: [true]")),
        (property("type: array, items: {type: string}"), property("type: array, nullable: true, minItems: 2, maxItems: 2, uniqueItems: true, items: {type: string}")),
        (property("type: string, enum: [a]"), property("nullable: true, enum: [a, null]")),
        // An alternative that allows any object makes the others redundant.
        (property("type: object, additionalProperties: true"), property(&format!("type: object, nullable: true, anyOf: [{ref}, {{type: object, additionalProperties: true}}]"))),
        // Annotations around a reference do not change the generated type.
        (property("$ref: '#/components/schemas/S'"), property(&format!("type: object, nullable: true, allOf: [{ref}]"))),
        (property("type: object, additionalProperties: {}"), property("type: object, additionalProperties: true")),
        (property(&format!("allOf: [{ref}]")), property(&format!("deprecated: true, allOf: [{ref}]"))),
        // A reference to a nullable schema generates the same field as a nullable reference to the schema.
        (
            nullable("S: {type: object}", "nullable: true, allOf: [{$ref: '#/components/schemas/S'}]"),
            nullable("S: {type: object, nullable: true}", "$ref: '#/components/schemas/S'"),
        ),
        // Error responses and links do not change the client.
        (operation(OK), operation(&OK.replace("responses: {", "responses: {'404': {description: e}, default: {description: f}, 5XX: {description: g}, "))),
        (operation(OK), operation(&OK.replace("'200'", "201").replace("d, content", "d, links: {get: {operationId: create}}, content"))),
    ] {
        let one = generate(&one).unwrap();
        let other = generate(&other).unwrap_or_else(|error| panic!("{error}\n{other}"));
        let diff = one.lines().zip(other.lines()).find(|(one, other)| one != other);
        assert!(one == other, "{diff:?}");
    }
}

#[test]
fn the_values_plus_one_and_minus_one_become_variants() {
    let rust = generate(&property("type: string, enum: ['+1', '-1']")).unwrap();
    assert!(rust.contains("        Plus1,\n") && rust.contains("        Minus1,\n"), "{rust}");
}

#[test]
fn a_description_cannot_mark_a_field_as_secret() {
    let mark = r"\x02x-secret /components/schemas/T/properties/a\x03";
    let rust = generate(&property(&format!("type: string, description: \"{mark}\""))).unwrap();
    assert!(!rust.contains("[redacted]"), "{rust}");
}

#[test]
fn every_description_is_escaped() {
    let yaml = operation(&OK.replace("description: d", "description: '<b>'"))
        .replace(
            "operationId: create",
            "operationId: create\n      summary: '<b>'\n      description: \"<b>\\n\\n    let a;\"",
        )
        .replace("{name: id,", "{name: id, description: '<b>',")
        .replace("title: t", "title: '<b>', description: '<b>'")
        .replace(
            "{type: object, properties: {a: {",
            "{type: object, description: '<b>', properties: {a: {description: '<b>', ",
        );
    let rust = generate(&yaml).unwrap();
    assert_eq!(rust.matches("<b>").count(), rust.matches("\\<b>").count(), "{rust}");
    assert_eq!(rust.matches("<b>").count(), 7, "{rust}");
    assert!(!rust.contains("    let a;"), "{rust}");
}
