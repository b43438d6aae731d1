//! The output of `aws dynamodb scan`: `{"Items":[{"Owner":{"S":"acme"},..},..],"Count":1,..}`.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

use badgesmith_domain::signature::Digest;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// An item of a table: its attributes by their names, each with its type, such as `{"S":"acme"}`.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Item(BTreeMap<String, Value>);

impl Item {
    pub(super) fn has(&self, attribute: &str) -> bool {
        self.0.contains_key(attribute)
    }

    /// The value of a String attribute.
    pub(super) fn text(&self, attribute: &str) -> Option<&str> {
        self.0.get(attribute)?.get("S")?.as_str()
    }

    /// The value of a Number attribute.
    pub(super) fn number(&self, attribute: &str) -> Option<&str> {
        self.0.get(attribute)?.get("N")?.as_str()
    }

    /// The digest of all attributes.
    pub(super) fn digest(&self) -> Digest {
        let attributes = self.0.iter().map(|(name, value)| format!("{name:?}:{value}\n"));
        Digest::of(attributes.collect::<String>().as_bytes())
    }
}

/// Reads an export, and passes one item at a time to `receive` until it returns `false`. Returns whether the export has
/// all items of the table.
///
/// # Errors
/// When reading fails, or the text is not an export.
pub(super) fn read(reader: impl Read, receive: impl FnMut(Item) -> bool) -> serde_json::Result<bool> {
    let mut deserializer = serde_json::Deserializer::from_reader(reader);
    let is_complete = deserializer.deserialize_map(ExportVisitor(receive))?;
    deserializer.end().map(|()| is_complete)
}

struct ExportVisitor<Receive>(Receive);

impl<'de, Receive: FnMut(Item) -> bool> Visitor<'de> for ExportVisitor<Receive> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with Items")
    }

    fn visit_map<Map: MapAccess<'de>>(mut self, mut map: Map) -> Result<bool, Map::Error> {
        let (mut has_items, mut is_complete) = (false, true);
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "Items" => {
                    map.next_value_seed(Items(&mut self.0))?;
                    has_items = true;
                }
                // The position of the next page, with `--no-paginate` and `--max-items`.
                "LastEvaluatedKey" | "NextToken" => is_complete &= map.next_value::<Value>()?.is_null(),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        if has_items { Ok(is_complete) } else { Err(Error::missing_field("Items")) }
    }
}

struct Items<'a, Receive>(&'a mut Receive);

impl<'de, Receive: FnMut(Item) -> bool> DeserializeSeed<'de> for Items<'_, Receive> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, Receive: FnMut(Item) -> bool> Visitor<'de> for Items<'_, Receive> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of items")
    }

    fn visit_seq<Seq: SeqAccess<'de>>(self, mut items: Seq) -> Result<(), Seq::Error> {
        while let Some(item) = items.next_element()? {
            if !(self.0)(item) {
                return Err(Error::custom("stopped"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the export is complete, and the partition keys of its items.
    fn read_keys(export: &str) -> serde_json::Result<(bool, Vec<String>)> {
        let mut keys = Vec::new();
        let is_complete = read(export.as_bytes(), |item| {
            keys.extend(item.text("PK").map(str::to_owned));
            true
        })?;
        Ok((is_complete, keys))
    }

    #[test]
    fn an_export_has_all_items_unless_it_names_a_next_page() {
        let page =
            |rest: &str| format!(r#"{{"Count":1,"Items":[{{"PK":{{"S":"a"}},"Total":{{"N":"1"}}}}]{rest}}}"#);
        let keys = || vec!["a".to_owned()];
        assert_eq!(read_keys(&page(r#","ConsumedCapacity":null"#)).unwrap(), (true, keys()));
        assert_eq!(read_keys(&page(r#","LastEvaluatedKey":null"#)).unwrap(), (true, keys()));
        assert_eq!(read_keys(&page(r#","LastEvaluatedKey":{"PK":{"S":"a"}}"#)).unwrap(), (false, keys()));
        assert_eq!(read_keys(&page(r#","NextToken":"x""#)).unwrap(), (false, keys()));
    }

    #[test]
    fn other_texts_are_not_exports() {
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"Items":{}}"#,
            r#"{"Items":[1]}"#,
            r#"{"Items":[]}{"Items":[]}"#,
            r#"{"Items":["#,
        ] {
            assert!(read_keys(bad).is_err(), "{bad}");
        }
    }
}
