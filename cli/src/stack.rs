//! Finds the resources of a stack: by the CloudFormation outputs of a deployed stack, or by the names in the template
//! for a `local`. No other file uses CloudFormation.

use std::collections::HashMap;

use aws_config::Region;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_cloudformation::error::ProvideErrorMetadata;
use aws_types::SdkConfig;
use badgesmith_aws::dynamodb::{Feeds, Owners, Packages, Registrations, Results, SecretMappings};
use badgesmith_aws::env;
use badgesmith_aws::event_bridge::EventBus;
use badgesmith_aws::sdk::{self, AwsError, AwsErrorKind, CallTimeouts};
use badgesmith_aws::secrets_manager::SecretNames;
use badgesmith_aws::sqs::Queue;
use clap::Args;
use reqwest::Url;

use crate::error::CliError;
use crate::help::JSON_ORDER;
use crate::submit::is_this_machine;

/// The region of `local`.
const LOCAL_REGION: &str = "us-east-1";
/// The first sources of credentials that the SDK tries.
const CREDENTIALS: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_PROFILE"];
/// The account of `local`, in the URLs of its queues.
const LOCAL_ACCOUNT: &str = "000000000000";
/// The output of the stack with the prefix of its secrets.
const SECRET_PREFIX: &str = "SecretPrefix";
/// The output of the stack with the ARN of its master key, and the name of that in `local`.
const MASTER_KEY_ARN: &str = "MasterKeyArn";
const LOCAL_MASTER_KEY: &str = "MasterKey";
/// The error code of `DescribeStacks` for a stack that does not exist, and for an invalid name:
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html>
const NO_SUCH_STACK: &str = "ValidationError";

/// The options that all operator commands share.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Target")]
pub(crate) struct Target {
    /// Deployed stack to operate on
    #[arg(long, value_name = "NAME", env = "BADGESMITH_STACK", hide_env_values = true)]
    pub(crate) stack: Option<String>,
    /// AWS endpoint of `local --aws-port` or an emulator; needs no credentials on this machine
    #[arg(long, value_name = "URL", env = "AWS_ENDPOINT_URL", hide_env_values = true)]
    pub(crate) endpoint_url: Option<String>,
    /// AWS region [default: from the profile or the environment]
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// AWS profile to use
    #[arg(long)]
    pub(crate) profile: Option<String>,
    /// Print one JSON object to stdout instead of text
    #[arg(long, help_heading = None::<&'static str>, display_order = JSON_ORDER)]
    pub(crate) json: bool,
}

/// A resource of the template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resource {
    ResultsQueue,
    ResultsDeadLetterQueue,
    RefreshQueue,
    RefreshDeadLetterQueue,
    RefreshEventsDeadLetterQueue,
    TestResultsTable,
    NoncesTable,
    PackagesTable,
    SecretsTable,
    EventBus,
}

impl Resource {
    pub(crate) const TABLES: [Self; 4] =
        [Self::TestResultsTable, Self::NoncesTable, Self::PackagesTable, Self::SecretsTable];
    /// First the queues that functions consume, then the dead-letter queues.
    pub(crate) const QUEUES: [Self; 5] = [
        Self::ResultsQueue,
        Self::RefreshQueue,
        Self::ResultsDeadLetterQueue,
        Self::RefreshDeadLetterQueue,
        Self::RefreshEventsDeadLetterQueue,
    ];

    /// Its name: in a `local` as it is, on AWS after the prefix of the stack.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ResultsQueue => "badge-results",
            Self::ResultsDeadLetterQueue => "badge-results-dlq",
            Self::RefreshQueue => "badge-refresh",
            Self::RefreshDeadLetterQueue => "badge-refresh-dlq",
            Self::RefreshEventsDeadLetterQueue => "badge-refresh-events-dlq",
            Self::TestResultsTable => "badge-test-results",
            Self::NoncesTable => "hmac-nonce",
            Self::PackagesTable => "badge-packages",
            Self::SecretsTable => "badge-secrets",
            Self::EventBus => "badge-events",
        }
    }

    /// The output of the stack with the name of a table or bus, or the URL of a queue.
    fn output(self) -> &'static str {
        match self {
            Self::ResultsQueue => "ResultsQueueUrl",
            Self::ResultsDeadLetterQueue => "ResultsDeadLetterQueueUrl",
            Self::RefreshQueue => "RefreshQueueUrl",
            Self::RefreshDeadLetterQueue => "RefreshDeadLetterQueueUrl",
            Self::RefreshEventsDeadLetterQueue => "RefreshEventsDeadLetterQueueUrl",
            Self::TestResultsTable => "TestResultsTableName",
            Self::NoncesTable => "NoncesTableName",
            Self::PackagesTable => "PackagesTableName",
            Self::SecretsTable => "SecretsTableName",
            Self::EventBus => "EventBusName",
        }
    }
}

/// The resources of a stack, and the connection to AWS.
#[derive(Debug)]
pub(crate) struct Stack {
    pub(crate) config: SdkConfig,
    /// `None` for a `local`, whose resources have [`Resource::name`].
    outputs: Option<HashMap<String, String>>,
}

impl Target {
    /// The configuration of the SDK.
    ///
    /// # Errors
    /// [`CliError::Usage`] without a stack and an endpoint, or without a region.
    pub(crate) async fn connect(&self) -> Result<SdkConfig, CliError> {
        let endpoint = self.endpoint()?;
        if self.stack().is_none() && endpoint.is_none() {
            return Err(CliError::Usage(
                "no stack; use --stack NAME, or --endpoint-url URL for a `local --aws-port PORT`".to_owned(),
            ));
        }
        let is_here = endpoint.as_ref().is_some_and(is_this_machine);
        let mut loader = aws_config::defaults(sdk::behavior_version()).http_client(sdk::https_client());
        if let Some(profile) = &self.profile {
            loader = loader.profile_name(profile);
        } else if is_here && CREDENTIALS.iter().all(|name| env::optional(name).is_none()) {
            loader = loader.credentials_provider(Credentials::new("local", "local", None, None, "local"));
        }
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(url) = &endpoint {
            loader = loader.endpoint_url(url.as_str().trim_end_matches('/'));
        }
        let loaded = CallTimeouts::OF_COMMANDS.apply_to(&loader.load().await);
        let local_region = || is_here.then(|| Region::new(LOCAL_REGION));
        let region = loaded.region().cloned().or_else(local_region).ok_or_else(|| {
            CliError::Usage("no AWS region; use --region, or set it in AWS_REGION or the profile".to_owned())
        })?;
        let mut config = loaded.into_builder().region(region.clone());
        if let Some(profile) = &self.profile {
            // Without this, credentials in the environment would take precedence over --profile.
            let provider = ProviderConfig::without_region().with_http_client(sdk::https_client());
            let credentials = ProfileFileCredentialsProvider::builder()
                .profile_name(profile)
                .configure(&provider.with_region(Some(region)))
                .build();
            config.set_credentials_provider(Some(SharedCredentialsProvider::new(credentials)));
        }
        Ok(config.build())
    }

    /// Finds the resources of the stack, with the configuration of [`Self::connect`].
    pub(crate) async fn find_at(&self, config: SdkConfig) -> Result<Stack, CliError> {
        let outputs = match self.stack() {
            Some(name) => Some(self.outputs(&config, name).await?),
            None => None,
        };
        Ok(Stack { config, outputs })
    }

    /// Connects to AWS and finds the resources of the stack.
    pub(crate) async fn find(&self) -> Result<Stack, CliError> {
        self.find_at(self.connect().await?).await
    }

    /// The stack's name. An empty environment variable counts as unset.
    pub(crate) fn stack(&self) -> Option<&str> {
        self.stack.as_deref().filter(|name| !name.is_empty())
    }

    /// The outputs of a stack by their names.
    async fn outputs(&self, config: &SdkConfig, name: &str) -> Result<HashMap<String, String>, CliError> {
        let client = aws_sdk_cloudformation::Client::new(config);
        let stacks = match client.describe_stacks().stack_name(name).send().await {
            Ok(described) => described.stacks.unwrap_or_default(),
            Err(error) if error.code() == Some(NO_SUCH_STACK) => {
                let advice = "`aws cloudformation list-stacks` lists the stacks of this account and region";
                return Err(CliError::NotFound(format!("stack {name} not found; {advice}")));
            }
            Err(error) => return Err(self.explain(AwsError::new("cloudformation:DescribeStacks", error))),
        };
        let outputs = stacks.into_iter().next().and_then(|stack| stack.outputs).unwrap_or_default();
        Ok(outputs
            .into_iter()
            .filter_map(|output| Some((output.output_key?, output.output_value?)))
            .collect())
    }

    /// Adds that a `local` has no stacks, if the endpoint may be a `local`.
    fn explain(&self, error: AwsError) -> CliError {
        let may_be_local = self.endpoint().is_ok_and(|url| url.as_ref().is_some_and(is_this_machine))
            && error.kind() != AwsErrorKind::AccessDenied;
        let error = CliError::from(error);
        if may_be_local {
            let advice = "a `local` has no stacks: omit --stack, and unset BADGESMITH_STACK";
            return CliError::Failed(format!("{error}; {advice}"));
        }
        error
    }

    /// Whether there is a stack or an endpoint.
    pub(crate) fn is_given(&self) -> bool {
        self.stack().is_some() || self.endpoint_url.as_deref().is_some_and(|url| !url.is_empty())
    }

    fn endpoint(&self) -> Result<Option<Url>, CliError> {
        let Some(text) = self.endpoint_url.as_deref().filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(Some(url)),
            Ok(_) | Err(_) => Err(CliError::Usage(
                "--endpoint-url: expected a URL such as http://127.0.0.1:9475".to_owned(),
            )),
        }
    }
}

impl Stack {
    /// The name of a table or bus, the URL of a queue.
    pub(crate) fn name_of(&self, resource: Resource) -> Result<String, CliError> {
        match &self.outputs {
            Some(outputs) => output(outputs, resource.output()),
            None if Resource::QUEUES.contains(&resource) => {
                let base = self.config.endpoint_url().unwrap_or_default();
                Ok(format!("{base}/{LOCAL_ACCOUNT}/{}", resource.name()))
            }
            None => Ok(resource.name().to_owned()),
        }
    }

    /// The URL of the API; `None` for a `local`.
    pub(crate) fn api_url(&self) -> Option<&str> {
        self.outputs.as_ref()?.get("ApiUrl").map(String::as_str)
    }

    /// The public URL, of the CDN; `None` for a `local`.
    pub(crate) fn cdn_url(&self) -> Option<&str> {
        self.outputs.as_ref()?.get("CdnUrl").map(String::as_str)
    }

    /// The names of the stack's secrets; in a `local` and a stack of an older version those with the default prefix.
    pub(crate) fn secret_names(&self) -> SecretNames {
        let prefix = self.outputs.as_ref().and_then(|outputs| outputs.get(SECRET_PREFIX));
        prefix.cloned().map(SecretNames::new).unwrap_or_default()
    }

    /// The name or ARN of the stack's master key; `None` for a stack of an older version.
    pub(crate) fn master_key_arn(&self) -> Option<String> {
        match &self.outputs {
            Some(outputs) => outputs.get(MASTER_KEY_ARN).cloned(),
            None => Some(LOCAL_MASTER_KEY.to_owned()),
        }
    }

    pub(crate) fn registrations(&self) -> Result<Registrations, CliError> {
        Ok(Registrations::new(&self.config, self.name_of(Resource::SecretsTable)?))
    }

    pub(crate) fn owners(&self) -> Result<Owners, CliError> {
        Ok(Owners::new(&self.config, self.name_of(Resource::SecretsTable)?))
    }

    pub(crate) fn queue(&self, resource: Resource) -> Result<Queue, CliError> {
        Ok(Queue::new(&self.config, self.name_of(resource)?))
    }

    pub(crate) fn results(&self) -> Result<Results, CliError> {
        Ok(Results::new(&self.config, self.name_of(Resource::TestResultsTable)?))
    }

    pub(crate) fn packages(&self) -> Result<Packages, CliError> {
        Ok(Packages::new(&self.config, self.name_of(Resource::PackagesTable)?))
    }

    pub(crate) fn secret_mappings(&self) -> Result<SecretMappings, CliError> {
        Ok(SecretMappings::new(&self.config, self.name_of(Resource::SecretsTable)?))
    }

    pub(crate) fn feeds(&self) -> Result<Feeds, CliError> {
        Ok(Feeds::new(&self.config, self.name_of(Resource::SecretsTable)?))
    }

    pub(crate) fn event_bus(&self) -> Result<EventBus, CliError> {
        Ok(EventBus::new(&self.config, self.name_of(Resource::EventBus)?))
    }
}

fn output(outputs: &HashMap<String, String>, name: &str) -> Result<String, CliError> {
    outputs.get(name).cloned().ok_or_else(|| {
        let advice = "check that it is a BadgeSmith stack of this version";
        CliError::Failed(format!("the stack has no output {name}; {advice}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_has_the_name_and_the_output_of_each_resource() {
        let template = include_str!("../../template.yaml");
        let (_, outputs) = template.split_once("\nOutputs:\n").unwrap();
        for resource in Resource::TABLES.iter().chain(&Resource::QUEUES).chain([&Resource::EventBus]) {
            assert!(outputs.contains(&format!("\n  {}:\n", resource.output())), "{resource:?}");
            assert!(template.contains(&format!("AWS::StackName], {}]]\n", resource.name())), "{resource:?}");
        }
        assert!(outputs.starts_with("  ApiUrl:\n"));
        assert!(outputs.contains("\n  CdnUrl:\n"));
        assert!(outputs.contains(&format!("\n  {SECRET_PREFIX}:\n")));
        assert!(outputs.contains(&format!("\n  {MASTER_KEY_ARN}:\n")));
        assert!(template.contains(&format!("\n  {LOCAL_MASTER_KEY}:\n")));
    }
}
