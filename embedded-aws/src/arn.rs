//! Amazon Resource Names: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>

/// The account that owns all embedded resources.
pub(crate) const ACCOUNT: &str = "000000000000";

/// `arn:aws:{service}:local:000000000000:{resource}`
pub(crate) fn arn(service: &str, resource: &str) -> String {
    format!("arn:aws:{service}:local:{ACCOUNT}:{resource}")
}

/// The name at the end of an ARN or URL of a queue or event bus; a plain name stays as it is.
pub(crate) fn resource_name(address: &str) -> &str {
    address.rsplit(['/', ':']).next().unwrap_or(address)
}
