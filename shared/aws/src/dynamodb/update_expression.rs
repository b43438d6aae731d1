//! An `UpdateExpression` in the making:
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.UpdateExpressions.html>

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::Item;

/// `SET #a = :a, #b = :b REMOVE #c`: each attribute's placeholders are its name after `#` and `:`.
#[derive(Debug, Default)]
pub(super) struct UpdateExpression {
    set: Vec<String>,
    remove: Vec<String>,
    pub(super) names: HashMap<String, String>,
    pub(super) values: Item,
}

impl UpdateExpression {
    pub(super) fn set(&mut self, name: &str, value: AttributeValue) {
        self.set.push(format!("#{name} = :{name}"));
        self.bind(name, value);
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.remove.push(format!("#{name}"));
        self.names.insert(format!("#{name}"), name.to_owned());
    }

    /// Defines an attribute's placeholders without changing the attribute, for a condition.
    pub(super) fn bind(&mut self, name: &str, value: AttributeValue) {
        self.names.insert(format!("#{name}"), name.to_owned());
        self.values.insert(format!(":{name}"), value);
    }

    /// The expression; at least one attribute must be set.
    pub(super) fn expression(&self) -> String {
        let mut expression = format!("SET {}", self.set.join(", "));
        if !self.remove.is_empty() {
            expression.push_str(" REMOVE ");
            expression.push_str(&self.remove.join(", "));
        }
        expression
    }
}
