//! How large the items of results are, and what writing one costs: of a result as it comes, and of the largest that is
//! accepted. They are posted, processed, and read from the table as they stand there.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::json;
use tests::client::{Post, REPOSITORY, result, with};
use tests::world::World;

/// What an item costs is counted by so many bytes:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html>
const UNIT_BYTES: usize = 1024;

/// An item of the table of results.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item {
    pub(crate) bytes: usize,
    /// To write it, in the table, and again in the index, which holds all of it.
    pub(crate) write_units: f64,
}

/// The item of an ordinary result, and the largest.
pub(crate) async fn measure() -> [Item; 2] {
    let world = World::new();
    let ordinary = result(world.now());
    let url = |length: usize| format!("https://{:/<1$}", "ci.test", length - "https://".len());
    let largest = json!({
        "owner": "o".repeat(100), "repo": "r".repeat(100), "platform": "windows", "branch": "%".repeat(255),
        "passed": u32::MAX, "total": u32::MAX, "run_id": "r".repeat(64), "run_attempt": 9999,
        "commit": "c".repeat(64), "url_html": url(2048), "workflow_run_url": url(2048),
    });
    world.set_key(&format!("{}/{}", "o".repeat(100), "r".repeat(100)), tests::client::KEY);
    let mut items = Vec::new();
    for body in [ordinary.clone(), with(ordinary, &largest)] {
        let name = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
        let answer = world.submit(&Post::json(&body)).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        world.drain().await;
        items.push(Item::read(&world, &format!("TEST#{}#{}", name("owner"), name("repo"))).await);
    }
    assert!(REPOSITORY.contains('/') && items[0].bytes < items[1].bytes);
    [items[0], items[1]]
}

impl Item {
    async fn read(world: &World, partition: &str) -> Self {
        let client = aws_sdk_dynamodb::Client::new(&world.sdk_config());
        let query = client.query().table_name("TestResultsTable").key_condition_expression("PK = :partition");
        let query = query.expression_attribute_values(":partition", AttributeValue::S(partition.to_owned()));
        let found = query.send().await.expect("an answer of the table");
        let bytes = size(found.items().first().expect("the item of the result"));
        Self { bytes, write_units: bytes.div_ceil(UNIT_BYTES) as f64 }
    }
}

/// The size of an item, names and values:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>
fn size(item: &HashMap<String, AttributeValue>) -> usize {
    let value = |value: &AttributeValue| match (value.as_s(), value.as_n()) {
        (Ok(text), _) => text.len(),
        // Two digits a byte, and one.
        (_, Ok(number)) => number.len().div_ceil(2) + 1,
        _ => unreachable!("items of results have texts and numbers alone"),
    };
    item.iter().map(|(name, content)| name.len() + value(content)).sum()
}
