//! The tables, queues, event buses, rules and secrets of `template.yaml`.

use saphyr::{LoadableYamlNode, Yaml};
use serde_json::{Map, Value, json};

const TEMPLATE: &str = include_str!("../../template.yaml");
/// The prefix of all names: `!If [HasTablePrefix, !Ref TablePrefix, !Ref AWS::StackName]`.
const PREFIX: [&str; 3] = ["HasTablePrefix", "TablePrefix", "AWS::StackName"];

/// The resources of the template that the services embed. Their names have no prefix.
#[derive(Debug, Clone)]
pub struct Template {
    /// `AWS::DynamoDB::Table`
    pub tables: Vec<Table>,
    /// `AWS::SQS::Queue`
    pub queues: Vec<QueueSettings>,
    /// `AWS::Events::EventBus`
    pub event_buses: Vec<String>,
    /// `AWS::Events::Rule`
    pub rules: Vec<Rule>,
    /// The names of secrets with a generated value: `AWS::SecretsManager::Secret`
    pub secrets: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Table {
    pub name: String,
    /// The request of `CreateTable`.
    pub create: Value,
    /// The attribute with the time to live.
    pub ttl_attribute: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueSettings {
    pub name: String,
    pub visibility_timeout_seconds: i64,
    pub retention_seconds: i64,
    pub redrive: Option<Redrive>,
}

/// The redrive policy of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redrive {
    /// The name of the dead-letter queue.
    pub dead_letter_queue: String,
    /// `maxReceiveCount`
    pub receives_max: i64,
}

/// A rule that sends matching events from a bus to queues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub event_bus: String,
    pub sources: Vec<String>,
    pub detail_types: Vec<String>,
    pub queues: Vec<String>,
}

/// The template does not have the expected form. Every test that starts the pipeline would fail.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    #[error("template.yaml: {0}")]
    Syntax(#[from] saphyr::ScanError),
    /// A property is absent or of another type.
    #[error("template.yaml: expected {expected} in {resource}")]
    Property {
        /// The logical id.
        resource: String,
        expected: &'static str,
    },
}

impl Template {
    /// The template of this build.
    ///
    /// # Errors
    /// [`TemplateError`] when the template is not as expected.
    pub fn load() -> Result<Self, TemplateError> {
        let document = document()?;
        let mut template = Self {
            tables: Vec::new(),
            queues: Vec::new(),
            event_buses: Vec::new(),
            rules: Vec::new(),
            secrets: Vec::new(),
        };
        let resources = &document["Resources"];
        for (id, resource) in resources.as_object().into_iter().flatten() {
            match resource["Type"].as_str() {
                Some("AWS::DynamoDB::Table") => template.tables.push(table(resources, id)?),
                Some("AWS::SQS::Queue") => template.queues.push(queue(resources, id)?),
                Some("AWS::Events::Rule") => template.rules.push(rule(resources, id)?),
                Some("AWS::Events::EventBus") => {
                    template.event_buses.push(name_of(resources, id)?.to_owned());
                }
                // CloudFormation makes a name from the logical id, which serves as the name here.
                Some("AWS::SecretsManager::Secret") => template.secrets.push(id.clone()),
                _ => {}
            }
        }
        Ok(template)
    }
}

/// The whole template of this build as JSON. An intrinsic function (`!GetAtt`, `!Ref`, ..) becomes its argument.
///
/// # Errors
/// [`TemplateError::Syntax`] when the template is not YAML.
pub fn document() -> Result<Value, TemplateError> {
    Ok(Yaml::load_from_str(TEMPLATE)?.first().map(to_json).unwrap_or_default())
}

/// The name of a table, queue or event bus without the prefix, from `!Join ["-", [PREFIX, NAME]]`; `None` for another
/// resource.
pub fn name(resource: &Value) -> Option<&str> {
    let property = match resource["Type"].as_str()? {
        "AWS::DynamoDB::Table" => "TableName",
        "AWS::SQS::Queue" => "QueueName",
        "AWS::Events::EventBus" => "Name",
        _ => return None,
    };
    let [separator, parts] = resource["Properties"][property].as_array()?.as_slice() else { return None };
    let [prefix, name] = parts.as_array()?.as_slice() else { return None };
    name.as_str().filter(|_| separator == "-" && *prefix == json!(PREFIX))
}

/// The name of the resource with this logical id.
fn name_of<'a>(resources: &'a Value, id: &str) -> Result<&'a str, TemplateError> {
    let expected = "a name !Join [\"-\", [PREFIX, NAME]]";
    name(&resources[id]).ok_or_else(|| TemplateError::Property { resource: id.to_owned(), expected })
}

/// The name of the queue in `!GetAtt QUEUE.Arn`.
fn queue_of<'a>(resources: &'a Value, arn: &Value) -> Option<&'a str> {
    name(&resources[arn.as_str()?.strip_suffix(".Arn")?])
}

/// Except for the time to live, the properties of a table are those of a `CreateTable` request.
fn table(resources: &Value, id: &str) -> Result<Table, TemplateError> {
    const CREATE: [&str; 4] = ["AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode"];
    let (name, properties) = (name_of(resources, id)?, &resources[id]["Properties"]);
    let mut create = Map::from_iter([("TableName".to_owned(), json!(name))]);
    for property in CREATE {
        if let Some(value) = properties.get(property) {
            create.insert(property.to_owned(), value.clone());
        }
    }
    let ttl_attribute = properties["TimeToLiveSpecification"]["AttributeName"].as_str().map(str::to_owned);
    Ok(Table { name: name.to_owned(), create: create.into(), ttl_attribute })
}

fn queue(resources: &Value, id: &str) -> Result<QueueSettings, TemplateError> {
    let missing = |expected| TemplateError::Property { resource: id.to_owned(), expected };
    let properties = &resources[id]["Properties"];
    // The defaults are those of SQS.
    let seconds = |property: &str, default| properties[property].as_i64().unwrap_or(default);
    let policy = &properties["RedrivePolicy"];
    let redrive = if policy.is_null() {
        None
    } else {
        let target = queue_of(resources, &policy["deadLetterTargetArn"]);
        Some(Redrive {
            dead_letter_queue: target.ok_or_else(|| missing("!GetAtt QUEUE.Arn"))?.to_owned(),
            receives_max: policy["maxReceiveCount"].as_i64().ok_or_else(|| missing("maxReceiveCount"))?,
        })
    };
    Ok(QueueSettings {
        name: name_of(resources, id)?.to_owned(),
        visibility_timeout_seconds: seconds("VisibilityTimeout", 30),
        retention_seconds: seconds("MessageRetentionPeriod", 345_600),
        redrive,
    })
}

fn rule(resources: &Value, id: &str) -> Result<Rule, TemplateError> {
    let missing = |expected| TemplateError::Property { resource: id.to_owned(), expected };
    let properties = &resources[id]["Properties"];
    let texts = |value: &Value| -> Option<Vec<String>> {
        value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
    };
    let pattern = &properties["EventPattern"];
    let queue = |target: &Value| queue_of(resources, &target["Arn"]).map(str::to_owned);
    let queues = properties["Targets"].as_array().into_iter().flatten().map(queue).collect::<Option<_>>();
    let event_bus = properties["EventBusName"].as_str().ok_or_else(|| missing("EventBusName"))?;
    Ok(Rule {
        event_bus: name_of(resources, event_bus)?.to_owned(),
        sources: texts(&pattern["source"]).ok_or_else(|| missing("a list of sources"))?,
        detail_types: texts(&pattern["detail-type"]).ok_or_else(|| missing("a list of detail types"))?,
        queues: queues.ok_or_else(|| missing("targets with !GetAtt QUEUE.Arn"))?,
    })
}

fn to_json(yaml: &Yaml<'_>) -> Value {
    if let Yaml::Tagged(_, argument) = yaml {
        to_json(argument)
    } else if let Some(mapping) = yaml.as_mapping() {
        mapping
            .iter()
            .filter_map(|(key, value)| Some((key.as_str()?.to_owned(), to_json(value))))
            .collect::<Map<_, _>>()
            .into()
    } else if let Some(sequence) = yaml.as_vec() {
        sequence.iter().map(to_json).collect()
    } else if let Some(text) = yaml.as_str() {
        text.into()
    } else if let Some(integer) = yaml.as_integer() {
        integer.into()
    } else if let Some(boolean) = yaml.as_bool() {
        boolean.into()
    } else {
        Value::Null
    }
}
