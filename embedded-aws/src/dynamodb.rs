//! DynamoDB, by `dynoxide`.

use std::fmt;
use std::path::Path;

use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::ServiceError;
use crate::template::Table;

/// The tables.
pub(super) struct Tables(Database);

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tables(..)")
    }
}

impl Tables {
    /// Opens the database at `path`, or one in memory, and makes the tables that it lacks.
    pub(super) fn open(path: Option<&Path>, tables: &[Table]) -> Result<Self, ServiceError> {
        let database = match path {
            Some(path) => Database::new(&path.to_string_lossy()),
            None => Database::memory(),
        };
        let opened = Self(database?);
        for table in tables {
            let name = json!({ "TableName": table.name }).to_string();
            if opened.call("DescribeTable", name.as_bytes()).is_err() {
                opened.call("CreateTable", table.create.to_string().as_bytes())?;
            }
            // Looked at by itself: a process may end between the two.
            let ttl = opened.call("DescribeTimeToLive", name.as_bytes())?;
            if let Some(attribute) = table.ttl_attribute.as_ref().filter(|_| ttl.contains("DISABLED")) {
                let ttl = json!({
                    "TableName": table.name,
                    "TimeToLiveSpecification": { "AttributeName": attribute, "Enabled": true },
                });
                opened.call("UpdateTimeToLive", ttl.to_string().as_bytes())?;
            }
        }
        Ok(opened)
    }

    /// Answers a request: all that the library can, save streams, which are a service of their own.
    pub(super) fn call(&self, operation: &str, body: &[u8]) -> Result<String, ServiceError> {
        let tables = &self.0;
        match operation {
            "CreateTable" => answer(body, |request| tables.create_table(request)),
            "DescribeTable" => answer(body, |request| tables.describe_table(request)),
            "ListTables" => answer(body, |request| tables.list_tables(request)),
            "UpdateTable" => answer(body, |request| tables.update_table(request)),
            "DeleteTable" => answer(body, |request| tables.delete_table(request)),
            "DescribeTimeToLive" => answer(body, |request| tables.describe_time_to_live(request)),
            "UpdateTimeToLive" => answer(body, |request| tables.update_time_to_live(request)),
            "TagResource" => answer(body, |request| tables.tag_resource(request)),
            "UntagResource" => answer(body, |request| tables.untag_resource(request)),
            "ListTagsOfResource" => answer(body, |request| tables.list_tags_of_resource(request)),
            "PutItem" => answer(body, |request| tables.put_item(request)),
            "UpdateItem" => answer(body, |request| tables.update_item(request)),
            "GetItem" => answer(body, |request| tables.get_item(request)),
            "DeleteItem" => answer(body, |request| tables.delete_item(request)),
            "Query" => answer(body, |request| tables.query(request)),
            "Scan" => answer(body, |request| tables.scan(request)),
            "BatchGetItem" => answer(body, |request| tables.batch_get_item(request)),
            "BatchWriteItem" => answer(body, |request| tables.batch_write_item(request)),
            "TransactGetItems" => answer(body, |request| tables.transact_get_items(request)),
            "TransactWriteItems" => answer(body, |request| tables.transact_write_items(request)),
            "ExecuteStatement" => answer(body, |request| tables.execute_statement(request)),
            "BatchExecuteStatement" => answer(body, |request| tables.batch_execute_statement(request)),
            "ExecuteTransaction" => answer(body, |request| tables.execute_transaction(request)),
            _ => Err(ServiceError::unknown(operation)),
        }
    }

    /// Deletes the items whose time to live is over.
    pub(super) fn delete_expired_items(&self) -> Result<(), ServiceError> {
        self.0.sweep_ttl()?;
        Ok(())
    }
}

fn answer<Request: DeserializeOwned, Response: Serialize>(
    body: &[u8],
    operation: impl FnOnce(Request) -> Result<Response, DynoxideError>,
) -> Result<String, ServiceError> {
    let request = serde_json::from_slice(body)?;
    Ok(serde_json::to_string(&operation(request)?)?)
}

impl From<DynoxideError> for ServiceError {
    fn from(error: DynoxideError) -> Self {
        Self { status: error.status_code(), body: error.to_json() }
    }
}
