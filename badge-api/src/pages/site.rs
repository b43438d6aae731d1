//! The public address of the service, for snippets and canonical links.

use std::borrow::Cow;

use badgesmith_api::http::Request;
use badgesmith_domain::service_url::{ServiceUrl, is_host};

/// The maximum length of a host.
const HOST_BYTES_MAX: usize = 255;

/// The address of the service in one response.
#[derive(Debug)]
pub(super) struct Site<'a>(Option<Cow<'a, str>>);

impl<'a> Site<'a> {
    /// The configured URL, or else the host that the CDN reports. The `Host` header is that of the function URL.
    pub(super) fn new(public_url: Option<&'a ServiceUrl>, request: Request<'_>) -> Self {
        let host = || {
            request.header("x-forwarded-host").filter(|host| host.len() <= HOST_BYTES_MAX && is_host(host))
        };
        Self(match public_url {
            Some(url) => Some(url.as_str().into()),
            None => host().map(|host| format!("https://{host}").into()),
        })
    }

    /// Whether the address is known. If not, URLs are relative.
    pub(super) fn is_known(&self) -> bool {
        self.0.is_some()
    }

    /// Whether shields.io may reach the service.
    pub(super) fn is_https(&self) -> bool {
        self.0.as_ref().is_some_and(|url| url.starts_with("https://"))
    }

    /// The URL of `path`, which begins with a slash.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.0.as_deref().unwrap_or_default())
    }

    /// The URL of `path`; `None` if the address is not known.
    pub(super) fn absolute(&self, path: &str) -> Option<String> {
        self.is_known().then(|| self.url(path))
    }
}
