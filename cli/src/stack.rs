//! Where the resources are: a deployed stack, told by CloudFormation, or a `local`, whose names are those of the
//! template. The only place that knows CloudFormation.

use std::collections::HashMap;
use std::time::Duration;

use aws_config::Region;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_cloudformation::error::ProvideErrorMetadata;
use aws_types::SdkConfig;
use badgesmith_aws::dynamodb::{Packages, Results, SecretMappings};
use badgesmith_aws::env;
use badgesmith_aws::event_bridge::EventBus;
use badgesmith_aws::sdk::{self, AwsError, CallTimeouts};
use badgesmith_aws::sqs::Queue;
use clap::Args;
use reqwest::Url;

use crate::error::CliError;

/// Of one call to AWS. Somebody waits, but not without a network. A receive waits up to 20 s for messages.
const CALL_BUDGET: CallTimeouts =
    CallTimeouts { attempt: Duration::from_secs(25), call: Duration::from_mins(1) };
/// Where `local` says that it is.
const LOCAL_REGION: &str = "us-east-1";
/// Where the chain of credentials looks first.
const CREDENTIALS: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_PROFILE"];
/// The account that `local`'s queues are in.
const LOCAL_ACCOUNT: &str = "000000000000";

/// Where a command does its work, and how it tells of it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Where")]
pub(crate) struct Target {
    /// The deployed stack; its outputs tell where everything is
    #[arg(long, value_name = "NAME", env = "BADGESMITH_STACK", hide_env_values = true)]
    pub(crate) stack: Option<String>,
    /// Where AWS is instead: `local --aws-port`, or an emulator. On this machine no credentials are needed
    #[arg(long, value_name = "URL", env = "AWS_ENDPOINT_URL", hide_env_values = true)]
    pub(crate) endpoint_url: Option<String>,
    /// The region; that of the profile or the environment if not given
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// Whose credentials, of those in ~/.aws
    #[arg(long)]
    pub(crate) profile: Option<String>,
    /// Print one JSON object to stdout instead of text
    #[arg(long, help_heading = None::<&'static str>)]
    pub(crate) json: bool,
}

/// What the stack is made of, by its logical id in the template.
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
    /// Those that are worked on, and then those of dead letters.
    pub(crate) const QUEUES: [Self; 5] = [
        Self::ResultsQueue,
        Self::RefreshQueue,
        Self::ResultsDeadLetterQueue,
        Self::RefreshDeadLetterQueue,
        Self::RefreshEventsDeadLetterQueue,
    ];

    /// The logical id, and what the stack's output about it has behind it.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::ResultsQueue => ("ResultsQueue", "Url"),
            Self::ResultsDeadLetterQueue => ("ResultsDeadLetterQueue", "Url"),
            Self::RefreshQueue => ("RefreshQueue", "Url"),
            Self::RefreshDeadLetterQueue => ("RefreshDeadLetterQueue", "Url"),
            Self::RefreshEventsDeadLetterQueue => ("RefreshEventsDeadLetterQueue", "Url"),
            Self::TestResultsTable => ("TestResultsTable", "Name"),
            Self::NoncesTable => ("NoncesTable", "Name"),
            Self::PackagesTable => ("PackagesTable", "Name"),
            Self::SecretsTable => ("SecretsTable", "Name"),
            Self::EventBus => ("EventBus", "Name"),
        }
    }

    /// What it is called in the template.
    pub(crate) fn logical_id(self) -> &'static str {
        self.names().0
    }
}

/// A stack, found.
#[derive(Debug)]
pub(crate) struct Stack {
    /// How AWS is reached.
    pub(crate) config: SdkConfig,
    /// Where everything is; `None` for a `local`.
    outputs: Option<HashMap<String, String>>,
}

impl Target {
    /// How AWS is reached.
    ///
    /// # Errors
    /// [`CliError::Usage`] when it is not said where to look.
    pub(crate) async fn connect(&self) -> Result<SdkConfig, CliError> {
        let endpoint = self.endpoint()?;
        if self.stack().is_none() && endpoint.is_none() {
            let advice =
                "name the stack with --stack NAME, or a `local --aws-port PORT` with --endpoint-url URL";
            return Err(CliError::Usage(format!("it is not known where to look: {advice}")));
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
        let config = CALL_BUDGET.bound(&loader.load().await);
        let region = config.region().cloned().or_else(|| is_here.then(|| Region::new(LOCAL_REGION)));
        let region = region.ok_or_else(|| {
            let advice = "name it with --region, in AWS_REGION, or in the profile";
            CliError::Usage(format!("it is not known which region is meant: {advice}"))
        })?;
        let mut config = config.into_builder().region(region.clone());
        if let Some(profile) = &self.profile {
            // Whoever names a profile means it. By itself the chain asks the environment first.
            let reached = ProviderConfig::without_region().with_http_client(sdk::https_client());
            let credentials = ProfileFileCredentialsProvider::builder().profile_name(profile);
            let credentials = credentials.configure(&reached.with_region(Some(region))).build();
            config.set_credentials_provider(Some(SharedCredentialsProvider::new(credentials)));
        }
        Ok(config.build())
    }

    /// Finds the stack, reached so.
    pub(crate) async fn find_at(&self, config: SdkConfig) -> Result<Stack, CliError> {
        let outputs = match self.stack() {
            Some(name) => Some(outputs(&config, name).await.map_err(|failure| self.explained(failure))?),
            None => None,
        };
        Ok(Stack { config, outputs })
    }

    /// Finds the stack.
    pub(crate) async fn find(&self) -> Result<Stack, CliError> {
        self.find_at(self.connect().await?).await
    }

    /// The stack's name; a variable that is set to nothing names none.
    pub(crate) fn stack(&self) -> Option<&str> {
        self.stack.as_deref().filter(|name| !name.is_empty())
    }

    fn endpoint(&self) -> Result<Option<Url>, CliError> {
        let Some(text) = self.endpoint_url.as_deref().filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let expected = "--endpoint-url: expected an address such as http://127.0.0.1:9475";
        url.map(Some).ok_or_else(|| CliError::Usage(expected.to_owned()))
    }

    /// Why there is no such stack at an endpoint on this machine.
    fn explained(&self, failure: CliError) -> CliError {
        match (self.endpoint(), failure) {
            (Ok(Some(url)), CliError::Failed(reason))
                if is_this_machine(&url) && !reason.contains("AccessDenied") =>
            {
                let advice = "a `local` has no stacks: leave --stack out, and unset BADGESMITH_STACK";
                CliError::Failed(format!("{reason}; {advice}"))
            }
            (_, failure) => failure,
        }
    }
}

impl Stack {
    /// The name of a table or bus, the URL of a queue.
    pub(crate) fn name_of(&self, resource: Resource) -> Result<String, CliError> {
        let (id, suffix) = resource.names();
        match &self.outputs {
            Some(outputs) => outputs.get(&format!("{id}{suffix}")).cloned().ok_or_else(|| {
                let advice = "is it a stack of BadgeSmith, and of this version?";
                CliError::Failed(format!("the stack has no output {id}{suffix}: {advice}"))
            }),
            None if suffix == "Url" => {
                let base = self.config.endpoint_url().unwrap_or_default();
                Ok(format!("{base}/{LOCAL_ACCOUNT}/{id}"))
            }
            None => Ok(id.to_owned()),
        }
    }

    /// Where the API is, if that can be told.
    pub(crate) fn api_url(&self) -> Option<&str> {
        self.outputs.as_ref()?.get("ApiUrl").map(String::as_str)
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

    pub(crate) fn event_bus(&self) -> Result<EventBus, CliError> {
        Ok(EventBus::new(&self.config, self.name_of(Resource::EventBus)?))
    }
}

/// The outputs of a stack.
async fn outputs(config: &SdkConfig, name: &str) -> Result<HashMap<String, String>, CliError> {
    let client = aws_sdk_cloudformation::Client::new(config);
    let described = client.describe_stacks().stack_name(name).send().await;
    let described = described.map_err(|error| {
        // There is no code of its own for it.
        if error.message().is_some_and(|message| message.contains("does not exist")) {
            let advice = "`aws cloudformation list-stacks` lists those of this account and region";
            return CliError::NotFound(format!("there is no stack {name}: {advice}"));
        }
        AwsError::new("cloudformation:DescribeStacks", error).into()
    })?;
    let outputs = described.stacks.unwrap_or_default().into_iter().next().and_then(|stack| stack.outputs);
    let pairs = outputs.unwrap_or_default().into_iter();
    Ok(pairs.filter_map(|output| Some((output.output_key?, output.output_value?))).collect())
}

fn is_this_machine(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost" | "[::1]") => true,
        Some(host) => host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback()),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_those_of_the_template() {
        let template = include_str!("../../template.yaml");
        let (_, outputs) = template.split_once("\nOutputs:\n").unwrap();
        for resource in Resource::TABLES.iter().chain(&Resource::QUEUES).chain([&Resource::EventBus]) {
            let (id, suffix) = resource.names();
            assert!(outputs.contains(&format!("\n  {id}{suffix}:\n")), "{id}{suffix}");
        }
        assert!(outputs.starts_with("  ApiUrl:\n"));
    }
}
