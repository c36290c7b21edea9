//! Reads the contract as a tree of JSON values that know where they stand.

use std::collections::BTreeMap;

use anyhow::Context;
use serde_json::Value;

/// Parses the text of the contract.
pub(crate) fn parse(yaml: &str) -> anyhow::Result<Value> {
    yaml_serde::from_str(yaml).context("the contract is not YAML")
}

/// A value of the contract and its position; `null` where the contract has nothing.
#[derive(Clone, Debug)]
pub(crate) struct Node<'a> {
    contract: &'a Value,
    /// The JSON pointer.
    pub(crate) at: String,
    pub(crate) value: &'a Value,
}

impl<'a> Node<'a> {
    /// Returns the value at a JSON pointer, which may begin with the `#` of a reference.
    pub(crate) fn new(contract: &'a Value, pointer: &str) -> Self {
        let at = pointer.trim_start_matches('#').to_owned();
        let value = contract.pointer(&at).unwrap_or(&Value::Null);
        Self { contract, at, value }
    }

    /// Returns the field of an object or the item of an array.
    pub(crate) fn get(&self, name: &str) -> Self {
        Self::new(self.contract, &format!("{}/{}", self.at, escape(name)))
    }

    /// Returns the fields of an object, by name.
    pub(crate) fn fields(&self) -> BTreeMap<String, Self> {
        let names = self.value.as_object().into_iter().flatten().map(|(name, _)| name);
        names.map(|name| (name.clone(), self.get(name))).collect()
    }

    /// Returns the items of an array.
    pub(crate) fn items(&self) -> impl Iterator<Item = Self> {
        let count = self.value.as_array().map_or(0, Vec::len);
        (0..count).map(|index| self.get(&index.to_string()))
    }

    pub(crate) fn text(&self, name: &str) -> Option<&'a str> {
        self.value[name].as_str()
    }

    /// Follows a `$ref`.
    pub(crate) fn resolve(self) -> Self {
        match self.text("$ref") {
            Some(target) => Self::new(self.contract, target).resolve(),
            None => self,
        }
    }

    /// Returns a schema and the schemas that it is combined from.
    pub(crate) fn parts(self) -> Vec<Self> {
        let schema = self.resolve();
        let below = ["allOf", "anyOf", "oneOf"].map(|keyword| schema.get(keyword));
        let parts = below.iter().flat_map(Self::items).flat_map(Self::parts);
        [schema.clone()].into_iter().chain(parts).collect()
    }

    /// Returns the schema of the JSON body of a request or a response.
    pub(crate) fn json_body(&self) -> Self {
        self.clone().resolve().get("content").get("application/json").get("schema")
    }
}

/// An operation of the contract.
#[derive(Debug)]
pub(crate) struct Operation<'a> {
    pub(crate) node: Node<'a>,
    pub(crate) method: &'static str,
    pub(crate) path: String,
    /// By place and name, such as `path workspaceId`.
    pub(crate) parameters: BTreeMap<String, Node<'a>>,
    pub(crate) request: Node<'a>,
    /// By status.
    pub(crate) responses: BTreeMap<String, Node<'a>>,
}

/// Returns the operations of a contract, by their `operationId`.
pub(crate) fn operations(contract: &Value) -> anyhow::Result<BTreeMap<String, Operation<'_>>> {
    const METHODS: [&str; 8] =
        ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
    let mut operations = BTreeMap::new();
    for (path, item) in Node::new(contract, "/paths").fields() {
        for method in METHODS.into_iter().filter(|method| item.value[*method].is_object()) {
            let node = item.get(method);
            let id = node.text("operationId");
            let id = id.with_context(|| format!("{method} {path} has no operationId"))?;
            let parameters = [&item, &node].into_iter().flat_map(|node| {
                let parameters: Vec<_> = node.get("parameters").items().collect();
                parameters.into_iter().map(Node::resolve)
            });
            let named = parameters.map(|parameter| {
                let text = |name| parameter.text(name).unwrap_or_default();
                (format!("{} {}", text("in"), text("name")), parameter)
            });
            let operation = Operation {
                node: node.clone(),
                method,
                path: path.clone(),
                parameters: named.collect(),
                request: node.get("requestBody").resolve(),
                responses: node.get("responses").fields(),
            };
            operations.insert(id.to_owned(), operation);
        }
    }
    Ok(operations)
}

/// Returns a name as a segment of a JSON pointer.
pub(crate) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
