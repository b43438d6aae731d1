//! The functions, as the template deploys them.

use embedded_aws::template;

/// One of the functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// Takes results.
    IngestApi,
    /// Stores them.
    Processor,
    /// Looks after packages.
    Refresher,
    /// Answers with badges.
    BadgeApi,
}

impl Function {
    /// All of them.
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

    /// The variables that the template gives it and that name resources, whose names are their logical ids here. The
    /// others are parameters of the stack, with defaults in the code.
    pub fn environment(self) -> Vec<(String, String)> {
        let document = template::document().expect("the template");
        let resources = &document["Resources"];
        let variables = &resources[self.logical_id()]["Properties"]["Environment"]["Variables"];
        let variables = variables.as_object().expect("variables").iter();
        let is_resource = |value: &str| !resources[value].is_null();
        let variables = variables.filter_map(|(name, value)| Some((name, value.as_str()?)));
        let of_resources = variables.filter(|(_, value)| is_resource(value));
        let of_resources = of_resources.map(|(name, value)| (name.clone(), value.to_owned()));
        // With it, a function writes its metrics.
        of_resources.chain([("STACK_NAME".to_owned(), "badgesmith".to_owned())]).collect()
    }
}
