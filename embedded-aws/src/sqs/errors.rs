//! The errors of SQS:
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html>

use crate::error::ServiceError;

pub(super) fn invalid_value(message: impl Into<String>) -> ServiceError {
    ServiceError::client("InvalidParameterValueException", message)
}

/// The value of the parameter `name`, if it is within these bounds.
pub(super) fn within(name: &str, value: i64, least: i64, most: i64) -> Result<i64, ServiceError> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(invalid_value(format!(
        "Value {value} for parameter {name} is invalid. Reason: Must be between {least} and {most}, if provided."
    )))
}

pub(super) fn missing(name: &str) -> ServiceError {
    let message = format!("The request must contain the parameter {name}.");
    ServiceError::client("MissingRequiredParameterException", message)
}

/// The error code that an exception had in the query protocol, which SQS used before JSON. Old clients match on it, and
/// so do SDKs that stay compatible with them: <https://smithy.io/2.0/aws/protocols/aws-query-protocol.html>
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
