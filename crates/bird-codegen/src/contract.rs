//! The passes over the contract that run before progenitor generates from it.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::Error;
use crate::document::{MARKS, Part, escape, follow, parts, resolve};

/// What [`mark`] puts around a mark in a description, which becomes the doc comment of a field.
pub(crate) const MARK: (char, char) = ('\u{2}', '\u{3}');

/// Keywords that limit values. For them typify generates types that refuse other values, and a response with such
/// a value must still decode. For `default` it generates a field that is always sent.
const LIMITS: &str = "default minLength maxLength pattern minimum maximum exclusiveMinimum exclusiveMaximum \
                      multipleOf minItems maxItems uniqueItems minProperties maxProperties";
/// Keywords that describe the place where a schema is used, not its values.
const ANNOTATIONS: &str = "title description nullable deprecated default example externalDocs";

fn has(words: &str, word: &str) -> bool {
    words.split(' ').any(|other| other == word)
}

/// Checks a contract, runs every pass of this module, and returns the marks: `x-secret /components/…`.
pub(crate) fn prepare(root: &mut Value) -> Result<BTreeSet<String>, Error> {
    for part in parts(root)? {
        if part.kind == "operation" {
            check_parameters(root, &part.pointer)?;
            let body = format!("{}/requestBody", part.pointer);
            if let Some((form @ "application/x-www-form-urlencoded", _)) =
                content(root, at(root, &body), &body)?
            {
                let pointer = format!("{body}/content/{}", escape(form));
                return Err(Error::at(&pointer, format!("the client does not send `{form}`")));
            }
            keep_success(root, &part.pointer)?;
            document_deprecation(root, &part.pointer);
        }
    }
    merge_all_of(root)?;
    move_null_to_references(root)?;
    let schemas = schemas(root)?;
    check_titles(root, &schemas)?;
    let marks = mark(root, &schemas)?;
    for Part { pointer, .. } in schemas.iter().rev() {
        check_required(at(root, pointer), pointer)?;
        document_deprecation(root, pointer);
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

/// Checks that each parameter becomes an argument of its own, and that the path has all of its parameters.
fn check_parameters(root: &Value, operation: &str) -> Result<(), Error> {
    let item = operation.rsplit_once('/').unwrap_or_default().0;
    let path = item.rsplit_once('/').unwrap_or_default().1.replace("~1", "/").replace("~0", "~");
    let body = root.pointer(&format!("{operation}/requestBody")).map(|_| json!("body").to_string());
    let mut names = BTreeSet::from_iter(body);
    let mut places = BTreeSet::new();
    for list in [item, operation] {
        let list = format!("{list}/parameters");
        for (nth, parameter) in items(at(root, &list)).enumerate() {
            let parameter = follow(root, parameter);
            let (name, place) = (&parameter["name"], &parameter["in"]);
            let problem = |text: String| Err(Error::at(&format!("{list}/{nth}"), text));
            let header = name.as_str().unwrap_or_default().to_lowercase();
            if place == "header" && ["accept", "authorization", "content-type"].contains(&&*header)
            {
                return problem(format!("OpenAPI ignores the header parameter {name}"));
            }
            let is_new = places.insert((name.to_string(), place.to_string()));
            if !names.insert(name.to_string()) && is_new {
                return problem(format!("two parameters have the name {name}"));
            }
        }
    }
    let missing = path.split('{').skip(1).find_map(|part| {
        let name = json!(part.split('}').next());
        let is_missing = !places.contains(&(name.to_string(), json!("path").to_string()));
        is_missing.then_some(name)
    });
    let problem =
        |name| Error::at(operation, format!("the path parameter {name} is not in `parameters`"));
    missing.map_or(Ok(()), |name| Err(problem(name)))
}

/// Returns the one media type of a body with its schema, or `None` for a body without content.
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
            problem(other, "is a second media type, and the client supports one")
        }
    }
}

/// Removes every response but a success, so that the caller gets the whole `reqwest::Response` (status, headers,
/// body) in `Error::UnexpectedResponse`.
///
/// Typed error responses would lose the status and the headers whenever the body is not the documented JSON, and
/// `default` beside `201` makes progenitor 0.15 panic. Any 2xx stands for the documented success: a 200 instead of
/// a 201 must not lose a connector. So all documented successes must have the same body.
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
            _ => return Err(Error::at(&here, format!("`{status}` is not a status"))),
        }
        let body = content(root, response, &here)?;
        match first {
            Some((first, other)) if content(root, other, &here)? != body => {
                let problem = format!(
                    "the body of {status} differs from that of {first}, and the client decodes every 2xx alike"
                );
                return Err(Error::at(&here, problem));
            }
            Some(_) => {}
            None => first = Some((status, response)),
        }
    }
    let Some((_, success)) = first else {
        return Err(Error::at(&pointer, "there is no response for 2xx".to_owned()));
    };
    let success = json!({"2XX": follow(root, success)});
    set(root, &pointer, success);
    Ok(())
}

/// Sets a keyword, or replaces what is at a pointer.
pub(crate) fn set(root: &mut Value, pointer: &str, value: Value) {
    let (above, keyword) = pointer.rsplit_once('/').unwrap_or_default();
    if let Some(place) = root.pointer_mut(pointer) {
        *place = value;
    } else if let Some(Value::Object(above)) = root.pointer_mut(above) {
        above.insert(keyword.to_owned(), value);
    }
}

/// Returns the reference of an `allOf` that exists only to put annotations beside a reference.
fn wrapped(schema: &Value) -> Option<&Value> {
    let is_annotation =
        |key: &String| has(ANNOTATIONS, key) || key == "type" || key.starts_with("x-");
    let [part] = schema["allOf"].as_array()?.as_slice() else { return None };
    let others = schema.as_object()?.keys().filter(|key| *key != "allOf");
    part.get("$ref").filter(|_| others.into_iter().all(is_annotation))
}

/// Replaces every `allOf` that is not just a reference with annotations by one schema with the keywords of all parts.
fn merge_all_of(root: &mut Value) -> Result<(), Error> {
    // A part that is merged can bring another `allOf` with it.
    for _ in 0..1000 {
        let schemas = schemas(root)?;
        let mut pointers = schemas.iter().rev().map(|part| &part.pointer);
        let is_open = |pointer: &&String| {
            let schema = at(root, pointer);
            schema.get("allOf").is_some() && wrapped(schema).is_none()
        };
        let Some(pointer) = pointers.find(is_open) else { return Ok(()) };
        let merged = flatten(root, at(root, pointer), pointer, &mut Vec::new())?;
        set(root, pointer, Value::Object(merged));
    }
    Err(Error::at("/components/schemas", "an `allOf` contains itself".to_owned()))
}

/// Returns a schema with the keywords of its reference or of its `allOf`.
fn flatten<'a>(
    root: &'a Value,
    schema: &'a Value,
    pointer: &str,
    inside: &mut Vec<&'a Value>,
) -> Result<Map<String, Value>, Error> {
    if let Some(reference) = schema.get("$ref") {
        if inside.contains(&reference) {
            return Err(Error::at(pointer, format!("{reference} contains itself")));
        }
        inside.push(reference);
        let target = flatten(root, resolve(root, reference).unwrap_or(schema), pointer, inside)?;
        inside.pop();
        // These describe the schema that has the name.
        let own = |key: &str| key != "title" && key != "example" && key != "x-connector-template";
        return Ok(target.into_iter().filter(|(key, _)| own(key)).collect());
    }
    let mut merged = schema.as_object().cloned().unwrap_or_default();
    let Some(Value::Array(all_of)) = merged.remove("allOf") else { return Ok(merged) };
    let mut nullable = merged.get("nullable") != Some(&Value::Bool(false));
    let says_null = merged.contains_key("nullable");
    for (nth, _) in all_of.iter().enumerate() {
        let below = format!("{pointer}/allOf/{nth}");
        let part = flatten(root, &schema["allOf"][nth], &below, inside)?;
        nullable &= says_null || part.get("nullable") == Some(&Value::Bool(true));
        merge(&mut merged, part, &below)?;
    }
    merged.insert("nullable".to_owned(), nullable.into());
    Ok(merged)
}

/// Adds the keywords of a part to a schema, so that it describes what both describe.
fn merge(
    schema: &mut Map<String, Value>,
    part: Map<String, Value>,
    pointer: &str,
) -> Result<(), Error> {
    for (keyword, value) in part {
        let Some(old) = schema.get_mut(&keyword) else {
            schema.insert(keyword, value);
            continue;
        };
        match (keyword.as_str(), old, value) {
            (_, old, value) if *old == value => {}
            ("properties", Value::Object(old), Value::Object(properties)) => {
                for (name, property) in properties {
                    let below = format!("{pointer}/properties/{name}");
                    merge_schema(old.entry(name).or_insert_with(|| json!({})), property, &below)?;
                }
            }
            ("items", old, value) => merge_schema(old, value, &format!("{pointer}/items"))?,
            ("required", Value::Array(old), Value::Array(names)) => old.extend(names),
            ("additionalProperties", old, value) if *old == true || value == false => *old = value,
            ("additionalProperties", Value::Bool(_), _)
            | ("additionalProperties", _, Value::Bool(_)) => {}
            ("enum", Value::Array(old), Value::Array(values)) => {
                old.retain(|it| values.contains(it));
            }
            (mark, old, value) if MARKS.contains(&mark) => {
                *old = (*old == true || value == true).into();
            }
            (other, _, _)
                if has(ANNOTATIONS, other) || has(LIMITS, other) || other.starts_with("x-") => {}
            (_, old, value) => {
                let problem = format!(
                    "`{keyword}` is {old} in one part of an `allOf` and {value} in another"
                );
                return Err(Error::at(pointer, problem));
            }
        }
    }
    Ok(())
}

fn merge_schema(schema: &mut Value, other: Value, pointer: &str) -> Result<(), Error> {
    match (schema, other) {
        (schema, other) if *schema == other => Ok(()),
        (Value::Object(schema), other) if schema.is_empty() => {
            *schema = other.as_object().cloned().unwrap_or_default();
            Ok(())
        }
        (Value::Object(schema), Value::Object(other))
            if !schema.contains_key("$ref") && !other.contains_key("$ref") =>
        {
            merge(schema, other, pointer)
        }
        // Merged in the next round.
        (schema, other) => {
            *schema = json!({"allOf": [schema.take(), other]});
            Ok(())
        }
    }
}

/// Moves `nullable` from a schema with a name to the references to it. For a schema with a name typify would wrap
/// the type in an `Option`.
fn move_null_to_references(root: &mut Value) -> Result<(), Error> {
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
        let parts = parts(root)?.into_iter().map(|part| part.pointer);
        for pointer in parts.filter(|pointer| *at(root, pointer) == reference).collect::<Vec<_>>() {
            match pointer.rsplitn(3, '/').collect::<Vec<_>>()[..] {
                // Null is a value of the whole.
                [_, "allOf" | "anyOf" | "oneOf", outer] => {
                    set(root, &format!("{outer}/nullable"), true.into());
                }
                _ => set(root, &pointer, json!({"allOf": [reference], "nullable": true})),
            }
        }
    }
}

/// Checks that the titles from which typify makes names of types are not the names of other types, which typify would
/// use instead.
fn check_titles(root: &Value, schemas: &[Part]) -> Result<(), Error> {
    let mut known: Vec<(String, &Value)> = Vec::new();
    for Part { pointer, .. } in schemas {
        let (above, name) = pointer.rsplit_once('/').unwrap_or_default();
        let schema = at(root, pointer);
        let has_type = !schema["properties"].is_null() || !schema["enum"].is_null();
        let name = match above.rsplit('/').next() {
            _ if above == "/components/schemas" => Some(name),
            Some("oneOf" | "anyOf") => None,
            _ => schema["title"].as_str().filter(|_| has_type),
        };
        let Some(name) = name else { continue };
        let id = name.to_lowercase().replace(|c: char| !c.is_alphanumeric(), "");
        match known.iter().find(|(other, _)| *other == id) {
            Some((_, other)) if *other != schema => {
                let problem = format!("`{name}` is the name of another schema, too");
                return Err(Error::at(&format!("{pointer}/title"), problem));
            }
            _ => known.push((id, schema)),
        }
    }
    Ok(())
}

/// Moves the marks of properties into their descriptions, because the doc comment of a field is what progenitor and
/// typify keep of a property, wherever they put it. Returns the marks.
fn mark(root: &mut Value, schemas: &[Part]) -> Result<BTreeSet<String>, Error> {
    let mut marks = BTreeSet::new();
    for Part { pointer, .. } in schemas {
        for name in MARKS {
            if at(root, pointer)[name] != true {
                continue;
            }
            if pointer.rsplit('/').nth(1) != Some("properties") {
                let problem = format!("`{name}` has an effect on a property alone");
                return Err(Error::at(&format!("{pointer}/{name}"), problem));
            }
            let mark = format!("{name} {pointer}");
            describe(root, pointer, &format!("{}{mark}{}", MARK.0, MARK.1));
            marks.insert(mark);
        }
    }
    Ok(marks)
}

/// Says in the description that a part is deprecated, because progenitor and typify do not.
fn document_deprecation(root: &mut Value, pointer: &str) {
    if at(root, pointer)["deprecated"] == true {
        describe(root, pointer, "\n\nDeprecated.");
    }
}

/// Adds text to a description.
fn describe(root: &mut Value, pointer: &str, text: &str) {
    let description = at(root, pointer)["description"].as_str().unwrap_or_default();
    let description = format!("{description}{text}");
    set(root, &format!("{pointer}/description"), description.into());
}

fn check_required(schema: &Value, pointer: &str) -> Result<(), Error> {
    let properties = schema["properties"].as_object();
    let is_known = |name: &&Value| {
        properties.is_none_or(|it| it.contains_key(name.as_str().unwrap_or_default()))
    };
    match items(&schema["required"]).find(|name| !is_known(name)) {
        Some(name) => {
            Err(Error::at(&format!("{pointer}/required"), format!("{name} is not a property")))
        }
        None => Ok(()),
    }
}

/// Reduces a schema to what typify has a good type for.
fn simplify(schema: &mut Map<String, Value>) {
    // Any object replaces alternatives of which one is any object.
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
    // An extension would keep typify from finding the Rust type of a format.
    schema.retain(|keyword, _| !has(LIMITS, keyword) && !keyword.starts_with("x-"));
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.retain(|value| !value.is_null());
        // Enums are open, and typify has an enum for texts alone.
        if !values.is_empty() && values.iter().all(Value::is_string) {
            schema.insert("type".to_owned(), "string".into());
        } else {
            schema.remove("enum");
        }
    }
    // Other formats of texts only document.
    let format = schema.get("format").and_then(Value::as_str);
    if schema.get("type") == Some(&json!("string"))
        && !matches!(format, Some("uuid" | "date-time" | "binary"))
    {
        schema.remove("format");
    }
    // Without null typify generates `#[serde(default)] Vec<_>` for an optional list, which refuses the null that a Go
    // server sends for an empty list. The same holds for maps.
    let required = schema.get("required").cloned().unwrap_or_default();
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (name, property) in properties.into_iter().flatten() {
        let is_collection = property["type"] == "array" || property["type"] == "object";
        if is_collection && items(&required).all(|it| it != name) {
            property["nullable"] = true.into();
        }
    }
}
