//! Hints for operators about AWS errors.

use badgesmith_aws::sdk::AwsErrorKind;

pub(crate) fn aws_hint(kind: AwsErrorKind) -> Option<&'static str> {
    match kind {
        AwsErrorKind::AccessDenied => {
            Some("these credentials do not allow the call; use others with --profile, or extend their policy")
        }
        AwsErrorKind::InvalidCredentials => {
            Some("the credentials are invalid or expired; sign in again, for example with `aws sso login`")
        }
        AwsErrorKind::NoCredentials => Some(
            "no credentials were found; choose a profile from ~/.aws with --profile, or set AWS_ACCESS_KEY_ID and \
             AWS_SECRET_ACCESS_KEY",
        ),
        AwsErrorKind::NotFound => Some("check --stack, --region and --endpoint-url"),
        AwsErrorKind::Throttled => Some("AWS throttled the call; try again in a minute"),
        AwsErrorKind::NoAnswer => Some("AWS did not respond; check the network, --region and --endpoint-url"),
        AwsErrorKind::Other => None,
    }
}
