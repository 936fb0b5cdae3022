//! Which properties there are, by kind: formats with a header have to know before the first record.

/// A property that nodes or edges of some kind can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Property {
    /// Its name in a record.
    pub name: &'static str,
    /// What its values are.
    pub values: Type,
}

/// What the values of a property are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// [`Value::Bool`](crate::graph::Value)
    Bool,
    /// [`Value::Integer`](crate::graph::Value)
    Integer,
    /// [`Value::Number`](crate::graph::Value)
    Number,
    /// [`Value::Text`](crate::graph::Value)
    Text,
}

/// All kinds of nodes.
pub const NODE_KINDS: [&str; 9] = ["layer", "config", "blob", "manifest", "index", "unknown", "repository", "tag", "audience"];

/// All kinds of edges.
pub const EDGE_KINDS: [&str; 13] = [
    "contains",
    "configured",
    "child",
    "has",
    "holds",
    "names",
    "named",
    "succeeded",
    "next_version",
    "based_on",
    "co_pulled",
    "refers",
    "wants",
];

const fn property(name: &'static str, values: Type) -> Property {
    Property { name, values }
}

const CONTENT: &[Property] = &[
    property("size", Type::Integer),
    property("media_type", Type::Text),
    property("first_seen", Type::Integer),
    property("created", Type::Integer),
    property("last_request", Type::Integer),
    property("requests_hour", Type::Number),
    property("requests_day", Type::Number),
    property("requests_week", Type::Number),
];
const REPOSITORY: &[Property] = &[property("route", Type::Text), property("name", Type::Text), property("private", Type::Bool)];
const TAG: &[Property] = &[property("repository", Type::Text), property("tag", Type::Text)];
const AUDIENCE: &[Property] = &[property("region", Type::Text), property("customer", Type::Text)];

/// The properties that a node of a kind can have, in the order in which a record has them.
pub fn node_properties(kind: &str) -> &'static [Property] {
    match kind {
        "repository" => REPOSITORY,
        "tag" => TAG,
        "audience" => AUDIENCE,
        _ => CONTENT,
    }
}

const POSITION: Property = property("position", Type::Integer);
const PLATFORM: Property = property("platform", Type::Text);
const SINCE: Property = property("since", Type::Integer);
const UNTIL: Property = property("until", Type::Integer);
const AT: Property = property("at", Type::Integer);
const SHARED: Property = property("shared", Type::Integer);
const DECLARED: Property = property("declared", Type::Bool);
const WEIGHT: Property = property("weight", Type::Number);

/// The properties that an edge of a kind can have, in the order in which a record has them.
pub fn edge_properties(kind: &str) -> &'static [Property] {
    match kind {
        "contains" => &[POSITION],
        "child" => &[POSITION, PLATFORM],
        "names" => &[SINCE],
        "named" => &[SINCE, UNTIL],
        "succeeded" => &[AT],
        "based_on" => &[SHARED, DECLARED],
        "co_pulled" | "wants" => &[WEIGHT, AT],
        _ => &[],
    }
}

/// Every property of nodes, or of edges, once.
pub(super) fn all(of: impl Fn(&str) -> &'static [Property], kinds: &[&str]) -> Vec<Property> {
    let mut all = Vec::new();
    for property in kinds.iter().flat_map(|kind| of(kind)) {
        if !all.contains(property) {
            all.push(*property);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_name_means_one_type_only() {
        for all in [all(node_properties, &NODE_KINDS), all(edge_properties, &EDGE_KINDS)] {
            let names: HashMap<_, _> = all.iter().map(|property| (property.name, property.values)).collect();
            assert_eq!(names.len(), all.len(), "{all:?}");
        }
    }
}
