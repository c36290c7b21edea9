//! Checks a contract, and adapts it for progenitor.

use std::collections::{BTreeMap, BTreeSet};

use heck::ToSnakeCase;
use serde_json::{Map, Value, json};

use crate::Error;
use crate::document::{MARKS, Part, escape, follow, parts};
use crate::text::text;

/// Delimiters that [`mark`] puts around a mark in a description. [`text`] removes them from the contract's own text.
pub(crate) const MARK: (char, char) = ('\u{2}', '\u{3}');

/// Keywords that limit values, and `default`. typify would generate types that refuse values beyond the limits, but a
/// response with such a value must still decode. A field with a `default` would always be sent.
const LIMITS: &str = "default minLength maxLength pattern minimum maximum exclusiveMinimum exclusiveMaximum \
                      multipleOf minItems maxItems uniqueItems minProperties maxProperties";
/// Keywords that describe the place where a schema is used, not its values.
const ANNOTATIONS: &str = "title description nullable deprecated default example externalDocs";

fn has(words: &str, word: &str) -> bool {
    words.split(' ').any(|other| other == word)
}

/// Checks and adapts a contract, and returns its marks, such as `x-secret /components/…`.
pub(crate) fn prepare(root: &mut Value) -> Result<BTreeSet<String>, Error> {
    let mut functions = Names::default();
    for part in parts(root)? {
        show_as_text(root, &part);
    }
    for part in parts(root)? {
        if part.kind == "operation" {
            check_parameters(root, &part.pointer)?;
            check_path(&part.pointer)?;
            let id = format!("{}/operationId", part.pointer);
            let function = rust_name(at(root, &id).as_str().unwrap_or_default());
            functions.add(&format!("{function}_request"), &id)?;
            functions.add(&function, &id)?;
            let body = format!("{}/requestBody", part.pointer);
            if let Some((form @ "application/x-www-form-urlencoded", _)) =
                content(root, at(root, &body), &body)?
            {
                let pointer = format!("{body}/content/{}", escape(form));
                return Err(Error::at(&pointer, format!("the client does not send `{form}`")));
            }
            keep_success(root, &part.pointer)?;
        }
    }
    let schemas = schemas(root)?;
    let mut types = BTreeMap::new();
    for Part { pointer, .. } in &schemas {
        check_schema(root, pointer)?;
        check_type_name(root, pointer, &mut types)?;
    }
    move_null_to_references(root)?;
    let schemas = self::schemas(root)?;
    let marks = mark(root, &schemas)?;
    for Part { pointer, .. } in schemas.iter().rev() {
        if let Some(Value::Object(schema)) = root.pointer_mut(pointer) {
            simplify(schema);
        }
    }
    Ok(marks)
}

fn schemas(root: &Value) -> Result<Vec<Part>, Error> {
    let is_inline =
        |part: &Part| part.kind == "schema" && at(root, &part.pointer)["$ref"].is_null();
    Ok(parts(root)?.into_iter().filter(is_inline).collect())
}

fn at<'a>(root: &'a Value, pointer: &str) -> &'a Value {
    root.pointer(pointer).unwrap_or(&Value::Null)
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Escapes the values of the keywords that become doc comments.
fn show_as_text(root: &mut Value, part: &Part) {
    let keywords: &[_] = match part.kind {
        "info" => &["title", "description", "termsOfService", "version"],
        _ => &["summary", "description"],
    };
    for keyword in keywords {
        let pointer = format!("{}/{keyword}", part.pointer);
        if let Some(shown) = at(root, &pointer).as_str().map(text) {
            set(root, &pointer, shown.into());
        }
    }
}

/// Returns the name that progenitor gives to a function or an argument.
fn rust_name(name: &str) -> String {
    name.replace('\'', "").to_snake_case()
}

/// The Rust names in use, each with a JSON pointer to the part of the contract that it comes from.
#[derive(Default)]
struct Names(BTreeMap<String, String>);

impl Names {
    fn add(&mut self, name: &str, pointer: &str) -> Result<(), Error> {
        let problem = |other| format!("the Rust name `{name}` is already used by #{other}");
        match self.0.insert(name.to_owned(), pointer.to_owned()) {
            Some(other) => Err(Error::at(pointer, problem(other))),
            None => Ok(()),
        }
    }
}

/// Checks that the path of an operation is a valid URL path and contains no Markdown.
fn check_path(operation: &str) -> Result<(), Error> {
    let item = operation.rsplit_once('/').unwrap_or_default().0;
    let path = item.trim_start_matches("/paths/");
    match path.chars().find(|c| !c.is_ascii_graphic() || "?#`<>\"\\^|".contains(*c)) {
        Some(c) => Err(Error::at(item, format!("a path cannot contain {c:?}"))),
        None => Ok(()),
    }
}

/// Checks that no two parameters become the same argument.
fn check_parameters(root: &Value, operation: &str) -> Result<(), Error> {
    let item = operation.rsplit_once('/').unwrap_or_default().0;
    let mut names = Names::default();
    let body = format!("{operation}/requestBody");
    if !at(root, &body).is_null() {
        names.add("body", &body)?;
    }
    let mut own = BTreeSet::new();
    for above in [operation, item] {
        let list = format!("{above}/parameters");
        for (nth, parameter) in items(at(root, &list)).enumerate() {
            let pointer = format!("{list}/{nth}");
            let parameter = follow(root, parameter);
            let place = (parameter["in"].as_str(), parameter["name"].as_str());
            let name = place.1.unwrap_or_default();
            let header = name.to_lowercase();
            if place.0 == Some("header")
                && ["accept", "authorization", "content-type"].contains(&&*header)
            {
                let problem = format!("OpenAPI ignores the header parameter `{name}`");
                return Err(Error::at(&pointer, problem));
            }
            // An operation may override a parameter of its path.
            if above == operation || !own.contains(&place) {
                names.add(&rust_name(name), &pointer)?;
            }
            own.insert(place);
        }
    }
    Ok(())
}

/// Returns the media type and the schema of a body, or `None` if the body has no content.
fn content<'a>(
    root: &'a Value,
    body: &'a Value,
    pointer: &str,
) -> Result<Option<(&'a str, &'a Value)>, Error> {
    let types = follow(root, body)["content"].as_object().into_iter().flatten();
    let problem = |media_type: &str, text: &str| {
        let pointer = format!("{pointer}/content/{}", escape(media_type));
        Err(Error::at(&pointer, format!("`{media_type}` {text}")))
    };
    match types.collect::<Vec<_>>()[..] {
        [] => Ok(None),
        [(media_type, content)] => match content.get("schema") {
            Some(schema) => Ok(Some((media_type, schema))),
            None => problem(media_type, "has no schema"),
        },
        [(first, _), (second, _), ..] => {
            let other = if first == "application/json" { second } else { first };
            problem(other, "is a second media type, but the client supports only one")
        }
    }
}

/// Keeps only the success response of an operation, and makes it the response for every 2xx status.
///
/// Callers get every other response whole (status, headers, body), in `Error::UnexpectedResponse`. A typed error would
/// lose the status and headers if the body were not the documented JSON, and progenitor 0.15 panics if `default` is
/// documented along with `201`.
///
/// If Bird responds with a 200 instead of the documented 201, the connector must not be lost. So every 2xx response is
/// decoded alike, and all documented 2xx responses must have the same body.
fn keep_success(root: &mut Value, operation: &str) -> Result<(), Error> {
    let pointer = format!("{operation}/responses");
    let mut first: Option<(&str, &Value)> = None;
    for (status, response) in at(root, &pointer).as_object().into_iter().flatten() {
        let here = format!("{pointer}/{status}");
        let is_status = |it: &str| it == "XX" || it.len() == 2 && it.parse::<u8>().is_ok();
        match status.split_at_checked(1) {
            Some(("2", rest)) if is_status(rest) => {}
            Some(("1" | "3" | "4" | "5", rest)) if is_status(rest) => continue,
            _ if status == "default" => continue,
            _ => return Err(Error::at(&here, format!("`{status}` is not a status code"))),
        }
        let body = content(root, response, &here)?;
        match first {
            Some((first, other)) if content(root, other, &here)? != body => {
                let problem = format!(
                    "{status} and {first} have different bodies, but the client decodes every 2xx alike"
                );
                return Err(Error::at(&here, problem));
            }
            Some(_) => {}
            None => first = Some((status, response)),
        }
    }
    let Some((_, success)) = first else {
        return Err(Error::at(&pointer, "there is no 2xx response".to_owned()));
    };
    let success = json!({"2XX": follow(root, success)});
    set(root, &pointer, success);
    Ok(())
}

/// Sets or replaces the value at a pointer.
pub(crate) fn set(root: &mut Value, pointer: &str, value: Value) {
    let (above, keyword) = pointer.rsplit_once('/').unwrap_or_default();
    if let Some(place) = root.pointer_mut(pointer) {
        *place = value;
    } else if let Some(Value::Object(above)) = root.pointer_mut(above) {
        above.insert(keyword.to_owned(), value);
    }
}

/// Returns the reference in a schema that only adds annotations to the reference, by means of `allOf`.
fn wrapped(schema: &Value) -> Option<&Value> {
    let is_annotation =
        |key: &String| has(ANNOTATIONS, key) || key == "type" || key.starts_with("x-");
    let [part] = schema["allOf"].as_array()?.as_slice() else { return None };
    let others = schema.as_object()?.keys().filter(|key| *key != "allOf");
    part.get("$ref").filter(|_| others.into_iter().all(is_annotation))
}

/// Refuses a schema from which a wrong or incomplete client would be generated.
fn check_schema(root: &Value, pointer: &str) -> Result<(), Error> {
    let schema = at(root, pointer);
    let problem =
        |keyword: &str, text: &str| Err(Error::at(&format!("{pointer}{keyword}"), text.to_owned()));
    if schema.get("allOf").is_some() && wrapped(schema).is_none() {
        return problem("/allOf", "`allOf` is only supported around a single reference");
    }
    // typify puts the fields of all alternatives into one struct, so each must be an object.
    if !items(&schema["anyOf"]).all(|it| follow(root, it)["type"] == "object") {
        return problem("/anyOf", "`anyOf` is only supported for objects");
    }
    if schema["type"] == "array" && schema["items"].is_null() {
        return problem("", "this array has no `items`");
    }
    let has_text = || items(&schema["enum"]).any(Value::is_string);
    let kind = schema["type"].as_str().unwrap_or(if has_text() { "string" } else { "" });
    for (nth, value) in items(&schema["enum"]).enumerate().filter(|(_, value)| !value.is_null()) {
        let fits = match kind {
            "string" => value.is_string(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            _ => true,
        };
        if !fits {
            let hint = if kind == "string" { "; put it in quotes" } else { "" };
            return problem(
                &format!("/enum/{nth}"),
                &format!("{value} is not of type {kind}{hint}"),
            );
        }
    }
    let Some(properties) = schema["properties"].as_object() else { return Ok(()) };
    let is_unknown = |name: &&Value| !properties.contains_key(name.as_str().unwrap_or_default());
    match items(&schema["required"]).find(is_unknown) {
        Some(name) => problem("/required", &format!("{name} is not a property")),
        None => Ok(()),
    }
}

/// Checks that no two different schemas get the same type name, because typify would use one type for both.
fn check_type_name(
    root: &Value,
    pointer: &str,
    types: &mut BTreeMap<String, String>,
) -> Result<(), Error> {
    let schema = at(root, pointer);
    let has_type = ["properties", "enum", "oneOf", "anyOf"].iter().any(|it| !schema[it].is_null());
    let is_named = pointer.starts_with("/components/schemas/") && pointer.matches('/').count() == 3;
    let Some(name) = type_name(root, pointer).filter(|_| is_named || has_type) else {
        return Ok(());
    };
    let id = name.to_lowercase().replace(|c: char| !c.is_alphanumeric(), "");
    match types.get(&id) {
        Some(other) if at(root, other) != schema => {
            let problem =
                format!("the Rust type name `{name}` of this schema is already used by #{other}");
            Err(Error::at(pointer, problem))
        }
        Some(_) => Ok(()),
        None => {
            types.insert(id, pointer.to_owned());
            Ok(())
        }
    }
}

fn type_name(root: &Value, pointer: &str) -> Option<String> {
    let (above, last) = pointer.rsplit_once('/')?;
    let (outer, kind) = above.rsplit_once('/')?;
    let text = |pointer: String| at(root, &pointer).as_str().map(ToOwned::to_owned);
    match (kind, last) {
        ("schemas", _) if outer == "/components" => return Some(last.to_owned()),
        // The title of an alternative names a variant, not a type.
        ("oneOf" | "anyOf", _) => return None,
        _ => {}
    }
    let title = text(format!("{pointer}/title"));
    title.or_else(|| match (kind, last) {
        ("properties", _) => Some(format!("{}_{last}", type_name(root, outer)?)),
        (_, "items") => Some(format!("{}_item", type_name(root, above)?)),
        (_, "schema") => {
            let operation = outer.strip_suffix("/parameters")?;
            let id = text(format!("{operation}/operationId"))?;
            Some(format!("{id}_{}", text(format!("{above}/name"))?))
        }
        _ => None,
    })
}

/// Moves `nullable` from each named schema to the references to it, because typify would wrap the named type in an
/// `Option`.
fn move_null_to_references(root: &mut Value) -> Result<(), Error> {
    let parts = parts(root)?.into_iter().map(|part| part.pointer);
    let references: Vec<_> = parts.filter(|pointer| !at(root, pointer)["$ref"].is_null()).collect();
    let mut done = BTreeSet::new();
    loop {
        let schemas = at(root, "/components/schemas").as_object().into_iter().flatten();
        let is_nullable = |schema: &Value| schema["nullable"] == true;
        let mut names =
            schemas.filter(|(_, schema)| is_nullable(schema)).map(|(name, _)| name.clone());
        let Some(name) = names.next() else { return Ok(()) };
        root["components"]["schemas"][&name]["nullable"] = false.into();
        if !done.insert(name.clone()) {
            continue;
        }
        let reference = json!({"$ref": format!("#/components/schemas/{name}")});
        for pointer in &references {
            if *at(root, pointer) != reference {
                continue;
            }
            match pointer.rsplitn(3, '/').collect::<Vec<_>>()[..] {
                // The schema that contains the list becomes nullable instead of the reference.
                [_, "allOf" | "anyOf" | "oneOf", outer] => {
                    set(root, &format!("{outer}/nullable"), true.into());
                }
                _ => set(root, pointer, json!({"allOf": [reference], "nullable": true})),
            }
        }
    }
}

/// Writes each mark into the description of its property, and returns the marks. progenitor and typify drop extensions,
/// but keep the description as the doc comment of the field.
fn mark(root: &mut Value, schemas: &[Part]) -> Result<BTreeSet<String>, Error> {
    let mut marks = BTreeSet::new();
    for Part { pointer, .. } in schemas {
        for name in MARKS {
            if at(root, pointer)[name] != true {
                continue;
            }
            if pointer.rsplit('/').nth(1) != Some("properties") {
                let problem = format!("`{name}` only has an effect on a property");
                return Err(Error::at(&format!("{pointer}/{name}"), problem));
            }
            let mark = format!("{name} {pointer}");
            let description = format!("{pointer}/description");
            let text = at(root, &description).as_str().unwrap_or_default();
            let marked = format!("{text}{}{mark}{}", MARK.0, MARK.1);
            set(root, &description, marked.into());
            marks.insert(mark);
        }
    }
    Ok(marks)
}

/// Rewrites a schema into a form for which typify generates a suitable type.
fn simplify(schema: &mut Map<String, Value>) {
    // If one alternative allows any object, the others are redundant.
    let is_free = |it: &&Value| it["type"] == "object" && it["properties"].is_null();
    let free = schema.get("anyOf").and_then(|parts| items(parts).find(is_free)).cloned();
    if let Some(Value::Object(mut free)) = free.filter(|it| schema.get("type") == it.get("type")) {
        schema.remove("anyOf");
        free.append(schema);
        *schema = free;
    }
    if schema.contains_key("allOf") {
        schema.remove("type");
    }
    if schema.get("additionalProperties") == Some(&json!({})) {
        schema.insert("additionalProperties".to_owned(), true.into());
    }
    // typify finds no Rust type for a format if the schema has an extension.
    schema.retain(|keyword, _| !has(LIMITS, keyword) && !keyword.starts_with("x-"));
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.retain(|value| !value.is_null());
        // typify generates an enum only if all values are strings.
        if !values.is_empty() && values.iter().all(Value::is_string) {
            schema.insert("type".to_owned(), "string".into());
        } else {
            schema.remove("enum");
        }
    }
    // Other string formats have no Rust type.
    let format = schema.get("format").and_then(Value::as_str);
    if schema.get("type") == Some(&json!("string"))
        && !matches!(format, Some("uuid" | "date-time" | "binary"))
    {
        schema.remove("format");
    }
    // A Go server may send null for an empty list or map. Without `nullable`, typify generates `#[serde(default)] Vec<_>`
    // for an optional list, which refuses null.
    let required = schema.get("required").cloned().unwrap_or_default();
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (name, property) in properties.into_iter().flatten() {
        let is_collection = property["type"] == "array" || property["type"] == "object";
        if is_collection && items(&required).all(|it| it != name) {
            property["nullable"] = true.into();
        }
    }
}
