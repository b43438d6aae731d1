//! What an operator can do about an error of AWS.

/// A failed call, and what to do about it.
pub(crate) fn with_advice(error: &str) -> String {
    let any = |texts: &[&str]| texts.iter().any(|text| error.contains(text));
    let advice = if any(&["AccessDenied", "not authorized", "UnauthorizedOperation"]) {
        "these credentials may not do that: use others with --profile, or have it allowed"
    } else if any(&[
        "ExpiredToken",
        "has expired",
        "InvalidClientTokenId",
        "UnrecognizedClient",
        "InvalidAccessKeyId",
    ]) {
        "the credentials are not valid, or no longer: sign in again, for example with `aws sso login`"
    } else if any(&["credentials", "credential provider", "no providers in chain"]) {
        "there are no credentials: name a profile of ~/.aws with --profile, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    } else if any(&["PurgeQueueInProgress"]) {
        "it was purged less than a minute ago: wait a minute"
    } else if any(&["NonExistentQueue", "QueueDoesNotExist", "ResourceNotFoundException"]) {
        "that is not there: are --stack, --region and --endpoint-url right?"
    } else if any(&["dispatch failure", "timed out", "timeout"]) {
        "AWS does not answer: are the network, --region and --endpoint-url right?"
    } else {
        return error.to_owned();
    };
    format!("{error}; {advice}")
}
