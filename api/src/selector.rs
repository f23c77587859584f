//! Label selectors as they stand in Herald's objects: Kubernetes' own form, with every list and text bounded.

use herald_core::selector::{Operator, Requirement, Selector};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A label selector; all requirements must hold, and with none it selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelSelector {
    /// Labels that must have exactly this value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "match_labels_schema")]
    pub match_labels: BTreeMap<String, String>,
    /// Further requirements.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub match_expressions: Vec<LabelRequirement>,
}

/// One requirement on one label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("self.operator in ['In', 'NotIn'] ? self.values.size() > 0 : self.values.size() == 0")
    .message("operators In and NotIn need at least one of values, Exists and DoesNotExist take none"))]
pub struct LabelRequirement {
    /// The label's key.
    #[schemars(length(min = 1, max = 317))]
    #[x_kube(validation = Rule::new("!format.qualifiedName().validate(self).hasValue()")
        .message("must be a label key, such as app.kubernetes.io/name"))]
    pub key: String,
    /// What must hold of the label's value.
    pub operator: LabelOperator,
    /// Values for operators In and NotIn.
    #[serde(default)]
    #[schemars(length(max = 64), inner(length(max = 63)))]
    pub values: Vec<String>,
}

/// What must hold of a label's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LabelOperator {
    /// Present with one of the values.
    In,
    /// Absent, or present with none of the values.
    NotIn,
    /// Present.
    Exists,
    /// Absent.
    DoesNotExist,
}

fn match_labels_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": { "type": "string", "maxLength": 63 },
        "x-kubernetes-validations": [{
            "rule": "self.all(key, key.size() <= 317 && !format.qualifiedName().validate(key).hasValue())",
            "message": "keys must be label keys, such as app.kubernetes.io/name",
        }],
    })
}

impl From<&LabelSelector> for Selector {
    fn from(selector: &LabelSelector) -> Self {
        Self {
            match_labels: selector.match_labels.clone(),
            match_expressions: selector.match_expressions.iter().map(Requirement::from).collect(),
        }
    }
}

impl From<&LabelRequirement> for Requirement {
    fn from(requirement: &LabelRequirement) -> Self {
        let values = || requirement.values.iter().cloned().collect();
        Self {
            key: requirement.key.clone(),
            operator: match requirement.operator {
                LabelOperator::In => Operator::In(values()),
                LabelOperator::NotIn => Operator::NotIn(values()),
                LabelOperator::Exists => Operator::Exists,
                LabelOperator::DoesNotExist => Operator::DoesNotExist,
            },
        }
    }
}
