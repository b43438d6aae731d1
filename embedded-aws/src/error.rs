//! How an embedded service refuses a request.

use serde_json::{Value, json};

/// An AWS service refuses a request, in the words of its API.
#[derive(Debug, Clone)]
pub(super) struct ServiceError {
    pub(super) status: u16,
    pub(super) body: String,
}

impl ServiceError {
    /// A fault of the request, `code` being the exception's name.
    pub(super) fn client(code: &str, message: impl Into<String>) -> Self {
        Self { status: 400, body: json!({ "__type": code, "message": message.into() }).to_string() }
    }

    /// A fault of the service.
    pub(super) fn server(message: impl Into<String>) -> Self {
        let body = json!({ "__type": "InternalServerError", "message": message.into() }).to_string();
        Self { status: 500, body }
    }

    /// There is no such operation here, though AWS may have it.
    pub(super) fn unknown(operation: &str) -> Self {
        Self::client("UnknownOperationException", format!("not embedded: {operation}"))
    }

    /// The exception's name, without the namespace that it may have.
    pub(super) fn code(&self) -> String {
        let code = self.field("__type").unwrap_or_default();
        code.rsplit('#').next().unwrap_or_default().to_owned()
    }

    /// What a person needs to know of it.
    pub(super) fn message(&self) -> String {
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
