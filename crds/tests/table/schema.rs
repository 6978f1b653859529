//! The schemas of both kinds, field by field.

use serde_json::Value;

/// A part of a schema.
#[derive(Debug, Clone)]
pub struct Node {
    /// From the object, with `[]` for any entry of a list and `{}` for any value of a map.
    pub path: String,
    pub schema: Value,
}

impl Node {
    pub fn number(&self, word: &str) -> Option<u64> {
        self.schema.get(word).and_then(Value::as_f64).map(|number| number as u64)
    }

    pub fn is(&self, kind: &str) -> bool {
        self.schema["type"] == kind
    }

    /// Entry by entry, so none stands twice.
    pub fn is_merged(&self) -> bool {
        ["set", "map"].iter().any(|kind| self.schema["x-kubernetes-list-type"] == *kind)
    }

    /// Kubernetes' own types, which are explained and judged there.
    pub fn is_kubernetes_own(&self) -> bool {
        ["spec.podTemplate.affinity.", "spec.podTemplate.tolerations[]"].iter().any(|own| self.path.starts_with(own))
    }
}

/// Kind and schema.
pub fn schemas() -> Vec<(String, Value)> {
    let definitions = crds::files::definitions();
    let whole = definitions.into_iter().map(|definition| serde_json::to_value(definition).unwrap());
    whole
        .map(|definition| {
            let schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
            (definition["spec"]["names"]["kind"].as_str().unwrap().to_owned(), schema)
        })
        .collect()
}

/// The schema and all that is in it.
pub fn nodes(schema: &Value) -> Vec<Node> {
    let mut found = Vec::new();
    walk(schema, "", &mut found);
    found
}

fn walk(schema: &Value, path: &str, found: &mut Vec<Node>) {
    found.push(Node { path: path.to_owned(), schema: schema.clone() });
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        walk(inner, &path, found);
    }
    if let Some(item) = schema.get("items") {
        walk(item, &format!("{path}[]"), found);
    }
    if let Some(value) = schema.get("additionalProperties").filter(|value| value.is_object()) {
        walk(value, &format!("{path}{{}}"), found);
    }
}

/// The first place of the object that a node's path leads to.
pub fn place(object: &Value, path: &str) -> Option<String> {
    let (head, rest) = match path.split_once("[]") {
        None => return at(object, path).map(|_| path.to_owned()),
        Some(parts) => parts,
    };
    let entries = at(object, head)?.as_array()?.len();
    (0..entries).find_map(|index| place(object, &format!("{head}[{index}]{rest}")))
}

/// What stands at a path without `[]`.
pub fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(object, |place, part| {
        let (key, index) = part.split_once('[').map_or((part, None), |(key, rest)| (key, Some(rest)));
        let inner = place.get(key)?;
        match index {
            None => Some(inner),
            Some(rest) => inner.get(rest.trim_end_matches(']').parse::<usize>().ok()?),
        }
    })
}
