//! A JSON object that reports its duplicate fields.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// A JSON object and the names that occur in it more than once. A signed body must mean the same to every parser,
/// and parsers disagree about duplicate names (RFC 8259, 4).
pub(crate) struct JsonObject {
    pub(crate) values: BTreeMap<String, Value>,
    pub(crate) duplicates: BTreeSet<String>,
}

impl<'de> Deserialize<'de> for JsonObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;

        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = JsonObject;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<JsonObject, A::Error> {
                let mut object = JsonObject { values: BTreeMap::new(), duplicates: BTreeSet::new() };
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    match object.values.entry(name) {
                        Entry::Vacant(entry) => {
                            entry.insert(value);
                        }
                        Entry::Occupied(entry) => {
                            object.duplicates.insert(entry.key().clone());
                        }
                    }
                }
                Ok(object)
            }
        }

        deserializer.deserialize_map(ObjectVisitor)
    }
}
