//! A body with its validators, built once.

use std::cell::OnceCell;
use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use sha2::{Digest, Sha256};

pub(super) const JSON: &str = "application/json; charset=utf-8";

/// The time of a change, in seconds after 2025-06-02: the upstream has no clock, so each change is one second after the
/// previous one. Valid for 2.4 million changes, which stay within that June.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp(pub(super) u64);

impl Stamp {
    /// `2025-06-02T00:00:01`, without an offset.
    pub(super) fn iso(self) -> String {
        format!("2025-06-{:02}T{}", self.day(), self.time())
    }

    /// `Mon, 02 Jun 2025 00:00:01 GMT`.
    pub(super) fn http(self) -> String {
        let weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
        let weekday = weekdays.iter().cycle().nth((self.day() - 1).try_into().unwrap()).unwrap();
        format!("{weekday}, {:02} Jun 2025 {} GMT", self.day(), self.time())
    }

    fn day(self) -> u64 {
        2 + self.0 / 86_400
    }

    fn time(self) -> String {
        let seconds = self.0 % 86_400;
        format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    }
}

#[derive(Debug)]
pub(super) struct Document {
    body: Bytes,
    gzip: OnceCell<Bytes>,
    tag: String,
    modified: Option<String>,
}

impl Document {
    /// A document whose strong entity tag depends on the body.
    pub(super) fn strong(body: String, modified: Stamp) -> Self {
        let tag = format!("\"0x8D{}\"", &hash(&[body.as_bytes()]).to_uppercase()[..12]);
        Self { body: body.into(), gzip: OnceCell::new(), tag, modified: Some(modified.http()) }
    }

    /// A document without a date, whose weak entity tag depends on the body and on `varies`.
    pub(super) fn weak(body: String, varies: &[&str]) -> Self {
        let parts: Vec<_> = varies.iter().copied().chain([body.as_str()]).map(str::as_bytes).collect();
        let tag = format!("W/\"{}\"", hash(&parts));
        Self { body: body.into(), gzip: OnceCell::new(), tag, modified: None }
    }

    pub(super) fn tag(&self) -> &str {
        &self.tag
    }

    /// 200 with all headers, or 304 without any.
    pub(super) fn answer(&self, conditions: &HeaderMap, gzip: bool) -> Response<Bytes> {
        if self.is_known(conditions) {
            let mut unchanged = Response::new(Bytes::new());
            *unchanged.status_mut() = StatusCode::NOT_MODIFIED;
            return unchanged;
        }
        let body =
            if gzip { self.gzip.get_or_init(|| compressed(&self.body)).clone() } else { self.body.clone() };
        let mut answer = response(200, JSON, body);
        set(&mut answer, ETAG, &self.tag);
        if let Some(modified) = &self.modified {
            set(&mut answer, LAST_MODIFIED, modified);
        }
        if gzip {
            set(&mut answer, CONTENT_ENCODING, "gzip");
        }
        answer
    }

    /// `If-None-Match` takes precedence (RFC 9110, section 13.1.3). A date must be the exact one that was sent, which
    /// detects a client that invents one.
    fn is_known(&self, conditions: &HeaderMap) -> bool {
        let value = |name| conditions.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or_default());
        match value(IF_NONE_MATCH) {
            Some(tags) => tags.split(',').map(str::trim).any(|tag| tag == "*" || weak_eq(tag, &self.tag)),
            None => self.modified.is_some() && value(IF_MODIFIED_SINCE) == self.modified.as_deref(),
        }
    }
}

/// RFC 9110, section 8.8.3.2.
fn weak_eq(one: &str, other: &str) -> bool {
    one.trim_start_matches("W/") == other.trim_start_matches("W/")
}

/// The hexadecimal SHA-256 of the parts.
pub(super) fn hash(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
        hash.update([0]);
    }
    hex::encode(hash.finalize())
}

pub(super) fn compressed(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap().into()
}

pub(super) fn response(status: u16, content_type: &str, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    set(&mut response, CONTENT_TYPE, content_type);
    response
}

pub(super) fn set(response: &mut Response<Bytes>, name: HeaderName, value: &str) {
    response.headers_mut().insert(name, value.parse().unwrap());
}
