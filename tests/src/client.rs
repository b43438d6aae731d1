//! A client of the pipeline: the posts of a CI job, and the responses.

pub use badgesmith_api::route::{branch_suffix, segment};
use badgesmith_domain::signature::HmacKey;
use badgesmith_domain::timestamp::Timestamp;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use serde_json::{Value, json};
use uuid::Uuid;

/// The repository of [`result`].
pub const REPOSITORY: &str = "acme/kit";
/// The key of its client.
pub const KEY: &str = "correct horse battery staple";

/// A signed post. Sending it again sends the same bytes.
#[derive(Debug, Clone)]
pub struct Post {
    pub body: String,
    pub path: String,
    pub headers: Vec<(&'static str, String)>,
}

impl Post {
    /// A result in the body form: every field is in the signed body.
    pub fn json(body: &Value) -> Self {
        let owner = body["owner"].as_str().unwrap_or_default();
        let repo = body["repo"].as_str().unwrap_or_default();
        Self::unsigned(body).header("x-repo-secret", format!("{owner}/{repo}")).signed(KEY)
    }

    /// A result in the body form without any proof.
    pub fn unsigned(body: &Value) -> Self {
        let post = Self { body: body.to_string(), path: "/tests/results".to_owned(), headers: Vec::new() };
        post.header("content-type", "application/json")
    }

    /// A result in the path form of deployed clients: the names are in the path.
    pub fn to_path(path: &str, body: &Value) -> Self {
        let post =
            Self { body: body.to_string(), path: format!("/tests/results/{path}"), headers: Vec::new() };
        let timestamp = body["timestamp"].as_str().unwrap_or_default();
        let post = post.header("content-type", "application/json");
        post.header("x-timestamp", timestamp).header("x-nonce", Uuid::new_v4().to_string()).signed(KEY)
    }

    /// Signs the current body with the bytes of `key`.
    #[must_use]
    pub fn signed(self, key: &str) -> Self {
        let key = HmacKey::new(key.as_bytes()).expect("a key of 16 bytes or more");
        let signature = key.sign(self.body.as_bytes()).to_string();
        self.header("x-signature", signature)
    }

    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value.into()));
        self
    }

    /// Removes a header.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self
    }

    pub fn request(&self) -> Request<Bytes> {
        let mut request = Request::post(&self.path);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request.body(Bytes::from(self.body.clone())).expect("a request")
    }
}

/// The fields of a result of [`REPOSITORY`]: 190 of 190 tests passed on linux, branch main, at `now`.
pub fn result(now: Timestamp) -> Value {
    json!({
        "owner": "acme", "repo": "kit", "platform": "linux", "branch": "main",
        "passed": 190, "failed": 0, "skipped": 0, "total": 190,
        "timestamp": now.to_string(), "nonce": Uuid::new_v4().to_string(), "run_id": "16814735762",
        "commit": "4d8474bda0b16fbbb69887d0d08c3885843bbdc7",
        "url_html": "https://github.com/acme/kit/runs/123",
        "workflow_run_url": "https://github.com/acme/kit/actions/runs/456",
    })
}

/// `value` with some fields set; `null` removes a field.
pub fn with(mut value: Value, fields: &Value) -> Value {
    for (name, field) in fields.as_object().expect("an object of fields") {
        match field {
            Value::Null => value.as_object_mut().expect("an object").remove(name),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                value.as_object_mut().expect("an object").insert(name.clone(), field.clone())
            }
        };
    }
    value
}

#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    /// The body as JSON, or null.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The status and all error codes, `400 INVALID_TOTAL INVALID_BRANCH`.
    pub fn verdict(&self) -> String {
        let json = self.json();
        let codes = json["error_details"].as_array().into_iter().flatten();
        let codes = codes.map(|detail| format!(" {}", detail["error_code"].as_str().unwrap_or_default()));
        format!("{}{}", self.status, codes.collect::<String>())
    }

    /// Whether the service has stored or queued the result.
    pub fn is_accepted(&self) -> bool {
        self.status == 202 || self.verdict() == "409 ALREADY_ACCEPTED"
    }
}

impl From<Response<Bytes>> for Answer {
    fn from(response: Response<Bytes>) -> Self {
        let (head, body) = response.into_parts();
        let text = String::from_utf8_lossy(&body).into_owned();
        Self { status: head.status.as_u16(), headers: head.headers, text }
    }
}
