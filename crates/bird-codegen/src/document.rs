//! Checks the keywords, values and references of a contract, and finds the line that a JSON pointer refers to.

use std::collections::BTreeSet;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::Error;

/// The kinds of objects in a contract, each followed by its keywords as `keyword:kind`. `!` marks a required keyword,
/// `[…]` a list, and `{…}` a map with arbitrary keys.
///
/// Every other keyword of `OpenAPI` 3.0 is refused, because the passes, progenitor or typify would ignore it, and the
/// client would not do what the contract says.
const KINDS: &str = "
contract openapi!:text info!:info servers:[server] paths!:{path} components:components security:any tags:any
    externalDocs:any;
info title!:text version!:text description:text termsOfService:text contact:any license:any;
server url!:text description:text;
path summary:text description:text parameters:[parameter] get:operation put:operation post:operation
    delete:operation patch:operation;
operation operationId!:text tags:any summary:text description:text externalDocs:any parameters:[parameter]
    requestBody:body responses!:{response} deprecated:flag security:any;
parameter name!:text in!:place description:text required:flag deprecated:flag schema!:schema example:any
    examples:{example};
body description:text content!:{media} required:flag;
media schema:schema example:any examples:{example};
response description!:text headers:{header} content:{media} links:any;
header description:text required:flag deprecated:flag schema:schema example:any examples:{example};
example summary:text description:text value:any externalValue:text;
components schemas:{schema} responses:{response} parameters:{parameter} requestBodies:{body} headers:{header}
    examples:{example} links:any securitySchemes:any;
schema title:text description:text type:type format:text enum:list nullable:flag deprecated:flag default:any
    example:any externalDocs:any properties:{schema} required:list additionalProperties:values items:schema
    allOf:[schema] anyOf:[schema] oneOf:[schema] minLength:number maxLength:number pattern:text minimum:number
    maximum:number exclusiveMinimum:flag exclusiveMaximum:flag multipleOf:number minItems:number maxItems:number
    uniqueItems:flag minProperties:number maxProperties:number";

/// Looks up the keywords of a kind of object. Also returns its name, as a `'static` string.
fn keywords(kind: &str) -> Option<(&'static str, impl Iterator<Item = &'static str> + Clone)> {
    KINDS.split(';').find_map(|words| {
        let mut words = words.split_whitespace();
        let name = words.next().filter(|name| *name == kind)?;
        Some((name, words))
    })
}

/// Returns the name of the section of `components` that holds objects of this kind.
fn section(kind: &str) -> Option<&'static str> {
    let (_, mut sections) = keywords("components")?;
    sections.find_map(|words| words.strip_suffix(&format!(":{{{kind}}}")))
}

/// The extensions that a pass acts on. They belong on a property, and their value is `true` or `false`.
pub(crate) const MARKS: [&str; 2] = ["x-lenient", "x-secret"];
/// The extensions that the generator accepts and ignores.
const PROSE: [&str; 2] = ["x-source", "x-connector-template"];

/// The kind and the JSON pointer of an object in a contract.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Part {
    pub(crate) kind: &'static str,
    pub(crate) pointer: String,
}

/// Returns every object in a contract. An object comes before the objects inside it.
///
/// # Errors
///
/// Fails on the first unsupported or missing keyword, value of the wrong type, or broken reference.
pub(crate) fn parts(root: &Value) -> Result<Vec<Part>, Error> {
    let mut parts = Vec::new();
    add(root, "contract", "", root, &mut parts)?;
    Ok(parts)
}

fn add(
    root: &Value,
    kind: &'static str,
    pointer: &str,
    value: &Value,
    parts: &mut Vec<Part>,
) -> Result<(), Error> {
    let is = |fits: bool, what: &str| {
        let problem = || Error::at(pointer, format!("{value} is not {what}"));
        if fits { Ok(()) } else { Err(problem()) }
    };
    if let Some(kind) = kind.strip_prefix('[').and_then(|kind| kind.strip_suffix(']')) {
        is(value.is_array(), "a list")?;
        let items = value.as_array().into_iter().flatten().enumerate();
        return items
            .into_iter()
            .try_for_each(|(nth, item)| add(root, kind, &format!("{pointer}/{nth}"), item, parts));
    }
    if let Some(kind) = kind.strip_prefix('{').and_then(|kind| kind.strip_suffix('}')) {
        is(value.is_object(), "a map")?;
        let mut items = value.as_object().into_iter().flatten();
        return items.try_for_each(|(name, item)| {
            add(root, kind, &format!("{pointer}/{}", escape(name)), item, parts)
        });
    }
    let one_of =
        |words: &str| value.as_str().is_some_and(|it| words.split(' ').any(|word| word == it));
    match kind {
        "any" => return Ok(()),
        "text" => return is(value.is_string(), "a string"),
        "flag" => return is(value.is_boolean(), "true or false"),
        "number" => return is(value.is_number(), "a number"),
        "list" => return is(value.is_array(), "a list"),
        "type" => {
            let types = "string number integer boolean array object";
            return is(one_of(types), &format!("one of: {types}"));
        }
        "place" => return is(one_of("path query header"), "one of: path query header"),
        "values" if value.is_boolean() => return Ok(()),
        _ => {}
    }
    let kind = if kind == "values" { "schema" } else { kind };
    let Some((kind, mut keywords)) = keywords(kind) else { return Ok(()) };
    is(value.is_object(), "a map")?;
    parts.push(Part { kind, pointer: pointer.to_owned() });
    if let Some(target) = value.get("$ref") {
        return check_reference(root, kind, pointer, value, target);
    }
    for (keyword, value) in value.as_object().into_iter().flatten() {
        let below = format!("{pointer}/{}", escape(keyword));
        if keyword.starts_with("x-") {
            check_extension(&below, keyword, value)?;
            continue;
        }
        let known = keywords.clone().find_map(|words| {
            let (name, kind) = words.split_once(':')?;
            (name.trim_end_matches('!') == keyword).then_some(kind)
        });
        let unknown = || format!("unsupported keyword `{keyword}` in this {kind}");
        let kind_of_value = known.ok_or_else(|| Error::at(&below, unknown()))?;
        add(root, kind_of_value, &below, value, parts)?;
    }
    let missing = keywords.find_map(|words| {
        let (keyword, _) = words.split_once("!:")?;
        value.get(keyword).is_none().then_some(keyword)
    });
    let problem = |keyword| Error::at(pointer, format!("this {kind} has no `{keyword}`"));
    missing.map_or(Ok(()), |keyword| Err(problem(keyword)))
}

fn check_reference(
    root: &Value,
    kind: &str,
    pointer: &str,
    value: &Value,
    target: &Value,
) -> Result<(), Error> {
    let prefix = format!("#/components/{}/", section(kind).unwrap_or_default());
    let mut next = Some(target);
    let mut seen = BTreeSet::new();
    // The target of a reference may itself be a reference.
    while let Some(target) = next {
        let name = target.as_str().and_then(|target| target.strip_prefix(&prefix));
        let found = name.filter(|name| !name.contains('/')).and_then(|_| resolve(root, target));
        let Some(found) = found.filter(|_| seen.insert(target.to_string())) else {
            let problem = format!("{target} does not refer to any {kind} under {prefix}");
            return Err(Error::at(&format!("{pointer}/$ref"), problem));
        };
        next = found.get("$ref");
    }
    let mut keywords = value.as_object().into_iter().flat_map(|object| object.keys());
    keywords.find(|keyword| *keyword != "$ref").map_or(Ok(()), |keyword| {
        let problem =
            format!("`{keyword}` has no effect next to `$ref`; put the reference into `allOf`");
        Err(Error::at(&format!("{pointer}/{}", escape(keyword)), problem))
    })
}

fn check_extension(pointer: &str, name: &str, value: &Value) -> Result<(), Error> {
    if PROSE.contains(&name) || MARKS.contains(&name) && value.is_boolean() {
        return Ok(());
    }
    Err(Error::at(pointer, format!("unsupported extension `{name}: {value}`")))
}

/// Returns the value that a reference such as `#/components/…` points to, if it exists.
pub(crate) fn resolve<'a>(root: &'a Value, reference: &Value) -> Option<&'a Value> {
    root.pointer(reference.as_str()?.strip_prefix('#')?)
}

/// Returns the value itself or, if it is a reference, the value at the end of the chain of references.
pub(crate) fn follow<'a>(root: &'a Value, value: &'a Value) -> &'a Value {
    match value.get("$ref").and_then(|reference| resolve(root, reference)) {
        Some(target) => follow(root, target),
        None => value,
    }
}

/// Escapes a name for use in a JSON pointer (RFC 6901).
pub(crate) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Returns the line that a JSON pointer refers to, or the line of the innermost parent that exists.
pub(crate) fn line(yaml: &str, pointer: &str) -> usize {
    let names = pointer.split('/').skip(1);
    let names: Vec<_> = names.map(|name| name.replace("~1", "/").replace("~0", "~")).collect();
    // The parser reports positions only in errors, so `Seek` always fails, at the part that is wanted.
    let error = Seek(&names).deserialize(yaml_serde::Deserializer::from_str(yaml)).err();
    error.and_then(|error| error.location()).map_or(1, |location| location.line())
}

/// Follows the names of a JSON pointer, and fails on purpose at the part that it refers to.
struct Seek<'a>(&'a [String]);

/// Returns whether a key is the first of the names, and fails on purpose if it is also the last.
struct Key<'a>(&'a [String]);

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("this part")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(found) = map.next_key_seed(Key(self.0))? {
            match self.0 {
                [_, rest @ ..] if found => return map.next_value_seed(Seek(rest)),
                _ => map.next_value::<IgnoredAny>().map(|_| ())?,
            }
        }
        Err(serde::de::Error::custom("here"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if let [index, rest @ ..] = self.0 {
            for _ in 0..index.parse().unwrap_or(0) {
                list.next_element::<IgnoredAny>()?;
            }
            list.next_element_seed(Seek(rest))?;
        }
        Err(serde::de::Error::custom("here"))
    }
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<bool, E> {
        match self.0 {
            [last] if last == key => Err(E::custom("here")),
            names => Ok(names.first().is_some_and(|name| name == key)),
        }
    }
}
