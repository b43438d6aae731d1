//! Errors: why the services failed to start, and the error responses of a service.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::template::TemplateError;

/// Why the embedded services did not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory cannot be created, read or written.
    #[error("cannot use the data directory {}: {source}", path.display())]
    Directory { path: PathBuf, source: std::io::Error },
    /// Another process holds the lock of this directory.
    #[error("the data directory {} is in use by another process", .0.display())]
    InUse(PathBuf),
    #[error("cannot use services.sqlite3 in the data directory: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("cannot use tables.sqlite3 in the data directory: {0}")]
    Tables(String),
    #[error(transparent)]
    Template(#[from] TemplateError),
}

/// The error response of an AWS service.
#[derive(Debug, Clone)]
pub(crate) struct ServiceError {
    pub(crate) status: u16,
    /// `{"__type":"QueueDoesNotExist","message":".."}`
    pub(crate) body: String,
}

impl ServiceError {
    /// An error that the request caused; `code` is the name of the exception.
    pub(crate) fn client(code: &str, message: impl Into<String>) -> Self {
        Self { status: 400, body: json!({ "__type": code, "message": message.into() }).to_string() }
    }

    /// An error that the service caused.
    pub(crate) fn server(message: impl Into<String>) -> Self {
        let body = json!({ "__type": "InternalServerError", "message": message.into() }).to_string();
        Self { status: 500, body }
    }

    /// The operation is not embedded, though AWS may have it.
    pub(crate) fn unknown(operation: &str) -> Self {
        Self::client("UnknownOperationException", format!("not embedded: {operation}"))
    }

    /// The name of the exception, without its namespace.
    pub(crate) fn code(&self) -> String {
        let code = self.field("__type").unwrap_or_default();
        code.rsplit('#').next().unwrap_or_default().to_owned()
    }

    pub(crate) fn message(&self) -> String {
        self.field("message").unwrap_or_else(|| self.body.clone())
    }

    fn field(&self, name: &str) -> Option<String> {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        body[name].as_str().map(str::to_owned)
    }
}

impl From<rusqlite::Error> for ServiceError {
    fn from(error: rusqlite::Error) -> Self {
        Self::server(error.to_string())
    }
}

impl From<serde_json::Error> for ServiceError {
    fn from(error: serde_json::Error) -> Self {
        Self::client("SerializationException", error.to_string())
    }
}
