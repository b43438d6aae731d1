//! DynamoDB, implemented by `dynoxide`.

use std::fmt;
use std::path::Path;

use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::calls::Calls;
use crate::error::ServiceError;
use crate::template::Table;

/// The tables of the template.
pub(crate) struct Tables {
    database: Database,
    pub(crate) calls: Calls,
}

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tables(..)")
    }
}

impl Tables {
    /// Opens the database at `path`, or one in memory, and creates the missing tables.
    pub(crate) fn open(path: Option<&Path>, tables: &[Table]) -> Result<Self, ServiceError> {
        let database = match path {
            None => Database::memory()?,
            Some(path) => {
                let database = Database::new(&path.to_string_lossy())?;
                // Sets `PRAGMA synchronous = NORMAL`: commits do not wait for the disk, `Calls` does.
                database.disable_bulk_loading()?;
                database
            }
        };
        for table in tables {
            create(&database, table)?;
        }
        Ok(Self { database, calls: Calls::new(path)? })
    }

    /// Answers the operations on items, and those that describe tables. The template alone creates and changes tables.
    pub(crate) fn call(&self, operation: &str, body: &[u8]) -> Result<String, ServiceError> {
        let tables = &self.database;
        match operation {
            "ListTables" => answer(body, |request| tables.list_tables(request)),
            "DescribeTable" => answer(body, |request| tables.describe_table(request)),
            "DescribeTimeToLive" => answer(body, |request| tables.describe_time_to_live(request)),
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
            _ => Err(ServiceError::unknown(operation)),
        }
    }

    pub(crate) fn delete_expired_items(&self) -> Result<(), ServiceError> {
        self.database.sweep_ttl()?;
        Ok(())
    }
}

/// Creates a table that does not exist, and switches its time to live on. Each is checked on its own, because a
/// process may be killed between the two.
fn create(database: &Database, table: &Table) -> Result<(), ServiceError> {
    let name = json!({ "TableName": table.name }).to_string();
    let name = name.as_bytes();
    if answer(name, |request| database.describe_table(request)).is_err() {
        answer(table.create.to_string().as_bytes(), |request| database.create_table(request))?;
    }
    let ttl = answer(name, |request| database.describe_time_to_live(request))?;
    if let Some(attribute) = table.ttl_attribute.as_ref().filter(|_| ttl.contains("DISABLED")) {
        let ttl = json!({
            "TableName": table.name,
            "TimeToLiveSpecification": { "AttributeName": attribute, "Enabled": true },
        });
        answer(ttl.to_string().as_bytes(), |request| database.update_time_to_live(request))?;
    }
    Ok(())
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
