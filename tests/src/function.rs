//! The functions that the template deploys.

use embedded_aws::template;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    IngestApi,
    Processor,
    Refresher,
    BadgeApi,
}

impl Function {
    pub const ALL: [Self; 4] = [Self::IngestApi, Self::Processor, Self::Refresher, Self::BadgeApi];

    /// The name of its package and program.
    pub fn name(self) -> &'static str {
        match self {
            Self::IngestApi => "ingest-api",
            Self::Processor => "processor",
            Self::Refresher => "refresher",
            Self::BadgeApi => "badge-api",
        }
    }

    /// Its logical id in the template.
    pub fn logical_id(self) -> &'static str {
        match self {
            Self::IngestApi => "IngestApi",
            Self::Processor => "Processor",
            Self::Refresher => "Refresher",
            Self::BadgeApi => "BadgeApi",
        }
    }

    /// The calls that it makes to open its connections before its first event, sorted.
    pub fn warm_up_calls(self) -> &'static [&'static str] {
        match self {
            Self::IngestApi => &["GetSecretValue", "UpdateItem"],
            Self::Processor => &["BatchWriteItem"],
            Self::Refresher => &[],
            Self::BadgeApi => &["Query"],
        }
    }

    /// The variables of the template that name resources, with names as in `local`. The other variables are
    /// parameters of the stack, with defaults in the code.
    pub fn environment(self) -> Vec<(String, String)> {
        let document = template::document().expect("the template");
        let resources = &document["Resources"];
        let variables = &resources[self.logical_id()]["Properties"]["Environment"]["Variables"];
        let name = |id: &str| match resources[id]["Type"].as_str() {
            // CloudFormation makes its name from its logical id.
            Some("AWS::SecretsManager::Secret") => Some(id.to_owned()),
            _ => template::name(&resources[id]).map(str::to_owned),
        };
        let variables = variables.as_object().expect("variables").iter();
        let resource_names =
            variables.filter_map(|(variable, value)| Some((variable.clone(), name(value.as_str()?)?)));
        // A function without it writes no metrics.
        resource_names.chain([("STACK_NAME".to_owned(), "badgesmith".to_owned())]).collect()
    }
}
