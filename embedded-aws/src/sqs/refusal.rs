//! What SQS refuses requests with:
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html>

use crate::error::ServiceError;

/// A parameter has a value that it cannot have.
pub(super) fn invalid_value(message: impl Into<String>) -> ServiceError {
    ServiceError::client("InvalidParameterValueException", message)
}

/// A parameter that must be within bounds, if it is there.
pub(super) fn within(name: &str, value: i64, least: i64, most: i64) -> Result<i64, ServiceError> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(invalid_value(format!(
        "Value {value} for parameter {name} is invalid. Reason: Must be between {least} and {most}, if provided."
    )))
}

/// A parameter is not there.
pub(super) fn missing(name: &str) -> ServiceError {
    let message = format!("The request must contain the parameter {name}.");
    ServiceError::client("MissingRequiredParameterException", message)
}

/// The name that an exception had before SQS spoke JSON. Clients that are older than that, and those that want to
/// look the same as these, go by it: <https://smithy.io/2.0/aws/protocols/aws-query-protocol.html>
pub(crate) fn query_code(code: &str) -> String {
    match code {
        "QueueDoesNotExist" => "AWS.SimpleQueueService.NonExistentQueue".to_owned(),
        "BatchEntryIdsNotDistinct"
        | "BatchRequestTooLong"
        | "EmptyBatchRequest"
        | "InvalidBatchEntryId"
        | "MessageNotInflight"
        | "PurgeQueueInProgress"
        | "TooManyEntriesInBatchRequest" => format!("AWS.SimpleQueueService.{code}"),
        "InvalidParameterValueException" => "InvalidParameterValue".to_owned(),
        "MissingRequiredParameterException" => "MissingParameter".to_owned(),
        _ => code.to_owned(),
    }
}
