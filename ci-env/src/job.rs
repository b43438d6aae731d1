//! The name of a job, different for each job of a run.

use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::environment::Environment;
use crate::provider::Provider;
use crate::teamcity;

/// The variable that a composite action sets to `${{ toJson(matrix) }}`, since GitHub has none for the matrix.
const MATRIX: &str = "BADGESMITH_MATRIX";

/// The name of the job. `None` without a CI system, or if jobs may have the same name.
///
/// - GitHub: workflow, job and the values of the matrix, if [`MATRIX`] is set. Otherwise the jobs of a matrix would
///   have the same name.
/// - GitLab: `CI_JOB_NAME`, which has the values of `parallel`.
/// - `CircleCI`: the job, and the number of the node under `parallelism`. Workflow and matrix are not known to the job.
/// - Azure Pipelines: the pipeline, and `SYSTEM_JOBIDENTIFIER`: stage, job and matrix leg, as far as there are any.
///   `Build.Test.__default` is a job without a matrix.
/// - Buildkite: the pipeline, the label of the step, and the number of the parallel job.
/// - Forgejo and Gitea: as GitHub.
/// - `AppVeyor`: the project, and the name of the job, which has the values of the matrix and is empty without one.
/// - Drone: the pipeline and the step, whose names are unique.
/// - `TeamCity`: the project, the build configuration, and the number of a batch of parallel tests.
/// - Travis CI: the name of the job, or else its position in the build, the part of `TRAVIS_JOB_NUMBER` after the dot.
/// - Bitbucket and Woodpecker: `None`. Bitbucket does not name the step. Woodpecker does not name the values of a
///   matrix, and the number of a workflow depends on which workflows a condition skips.
/// - Jenkins: `JOB_NAME` and `STAGE_NAME`. The last part of a multibranch project's `JOB_NAME` is the branch or the pull
///   request, which would be two suites of one branch. The axes of a declarative matrix are not known.
pub(crate) fn name(environment: &Environment<'_>, provider: Provider) -> Option<String> {
    let get = |name| environment.get(name);
    match provider {
        Provider::Forgejo | Provider::GitHubActions | Provider::Gitea => {
            let values = matrix_values(&get(MATRIX)?)?;
            let matrix = if values.is_empty() { String::new() } else { format!(" ({})", values.join(", ")) };
            Some(format!("{} / {}{matrix}", get("GITHUB_WORKFLOW")?, get("GITHUB_JOB")?))
        }
        Provider::GitLab => get("CI_JOB_NAME"),
        Provider::CircleCi => {
            let part = part(environment, "CIRCLE_NODE_INDEX", "CIRCLE_NODE_TOTAL");
            Some(format!("{}{part}", get("CIRCLE_JOB")?))
        }
        Provider::AzurePipelines => {
            let identifier = get("SYSTEM_JOBIDENTIFIER")?;
            let job = identifier.strip_suffix(".__default").unwrap_or(&identifier);
            Some(format!("{} / {job}", get("BUILD_DEFINITIONNAME")?))
        }
        Provider::Buildkite => {
            let part = part(environment, "BUILDKITE_PARALLEL_JOB", "BUILDKITE_PARALLEL_JOB_COUNT");
            Some(format!("{} / {}{part}", get("BUILDKITE_PIPELINE_SLUG")?, get("BUILDKITE_LABEL")?))
        }
        Provider::Jenkins => {
            let stage = get("STAGE_NAME").map(|stage| format!(" / {stage}")).unwrap_or_default();
            let job = get("JOB_NAME")?;
            let branch = get("BRANCH_NAME").unwrap_or_default();
            let project = job.rsplit_once('/').filter(|(_, last)| {
                // A multibranch job has the encoded name of its branch. In other jobs, `BRANCH_NAME` may be any
                // parameter.
                percent_decode_str(last).decode_utf8().is_ok_and(|last| last == branch)
            });
            Some(format!("{}{stage}", project.map_or(&*job, |(project, _)| project)))
        }
        Provider::AppVeyor => {
            let matrix = get("APPVEYOR_JOB_NAME").map(|name| format!(" ({name})")).unwrap_or_default();
            Some(format!("{}{matrix}", get("APPVEYOR_PROJECT_SLUG")?))
        }
        Provider::Drone => Some(format!("{} / {}", get("DRONE_STAGE_NAME")?, get("DRONE_STEP_NAME")?)),
        Provider::TeamCity => {
            let batch = teamcity::batch(environment);
            Some(format!("{} / {}{batch}", get("TEAMCITY_PROJECT_NAME")?, get("TEAMCITY_BUILDCONF_NAME")?))
        }
        Provider::Travis => get("TRAVIS_JOB_NAME").or_else(|| {
            let number = get("TRAVIS_JOB_NUMBER")?;
            Some(format!("job {}", number.split_once('.')?.1))
        }),
        Provider::Bitbucket | Provider::Woodpecker | Provider::Local => None,
    }
}

/// What identifies this execution of the job, together with its name.
pub(crate) fn id(environment: &Environment<'_>, provider: Provider) -> Option<String> {
    let variables: &[&str] = match provider {
        Provider::Forgejo | Provider::GitHubActions | Provider::Gitea => {
            &["GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT"]
        }
        Provider::GitLab => &["CI_JOB_ID"],
        Provider::CircleCi => &["CIRCLE_WORKFLOW_JOB_ID"],
        Provider::AzurePipelines => &["BUILD_BUILDID", "SYSTEM_JOBID", "SYSTEM_JOBATTEMPT"],
        Provider::Buildkite => &["BUILDKITE_JOB_ID"],
        Provider::Jenkins => &["BUILD_TAG"],
        Provider::AppVeyor => &["APPVEYOR_JOB_ID"],
        Provider::Bitbucket => &["BITBUCKET_STEP_UUID", "BITBUCKET_STEP_RUN_NUMBER"],
        Provider::Drone => &["DRONE_BUILD_NUMBER"],
        Provider::TeamCity => &["BUILD_NUMBER"],
        Provider::Travis => &["TRAVIS_JOB_ID"],
        Provider::Woodpecker => &["CI_PIPELINE_NUMBER"],
        Provider::Local => return None,
    };
    let values = variables.iter().map(|name| environment.get(name)).collect::<Option<Vec<_>>>()?;
    Some(values.join("/"))
}

/// ` 2` for the second of several parallel jobs, whose indexes start at 0. Empty for the only one. Without the total, so
/// that a change of the parallelism replaces as many suites as possible.
fn part(environment: &Environment<'_>, index: &str, total: &str) -> String {
    match (environment.parse::<u32>(index), environment.parse::<u32>(total)) {
        (Some(index), Some(total)) if total > 1 => format!(" {}", index.saturating_add(1)),
        _ => String::new(),
    }
}

/// The values of a matrix in the alphabetical order of their keys; none if it is `null`, as for a job without one. `None`
/// if the text is not JSON. An object contributes its values, and a list is one value. A text that could be taken for
/// several values is quoted.
fn matrix_values(json: &str) -> Option<Vec<String>> {
    fn collect(value: &Value, values: &mut Vec<String>) {
        match value {
            Value::String(text) => {
                let is_plain = !text.is_empty() && !text.contains([',', '"', '[']) && text.trim() == text;
                values.push(if is_plain { text.clone() } else { value.to_string() });
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
                values.push(value.to_string());
            }
            Value::Object(fields) => fields.values().for_each(|field| collect(field, values)),
        }
    }
    let mut values = Vec::new();
    let matrix: Value = serde_json::from_str(json).ok()?;
    if !matrix.is_null() {
        collect(&matrix, &mut values);
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use crate::detect;

    #[track_caller]
    fn check(variables: &str, expected: Option<&str>) {
        let variable = |name: &str| {
            let mut pairs = variables.split('\n').filter_map(|line| line.split_once('='));
            Some(pairs.find(|(key, _)| *key == name)?.1.to_owned())
        };
        assert_eq!(detect(variable, |_| None).job.as_deref(), expected, "{variables}");
    }

    #[test]
    fn jobs_of_a_run_have_different_names() {
        let github = "GITHUB_ACTIONS=true\nGITHUB_WORKFLOW=ci\nGITHUB_JOB=test";
        check(github, None);
        check(&format!("{github}\nBADGESMITH_MATRIX=null"), Some("ci / test"));
        let matrix = r#"{"os":"linux","python":{"minor":12,"gil":false}}"#;
        check(&format!("{github}\nBADGESMITH_MATRIX={matrix}"), Some("ci / test (linux, false, 12)"));
        let comma = r#"{"os":"a, b"}"#;
        check(&format!("{github}\nBADGESMITH_MATRIX={comma}"), Some(r#"ci / test ("a, b")"#));
        for (matrix, expected) in [
            (r#"{"extra":["a","b"],"flags":["c"]}"#, r#"ci / test (["a","b"], ["c"])"#),
            (r#"{"extra":["a"],"flags":["b","c"]}"#, r#"ci / test (["a"], ["b","c"])"#),
            (r#"{"flags":[]}"#, "ci / test ([])"),
        ] {
            check(&format!("{github}\nBADGESMITH_MATRIX={matrix}"), Some(expected));
        }
        check("GITLAB_CI=true\nCI_JOB_NAME=test: [3.12] 1/2", Some("test: [3.12] 1/2"));
        check("CIRCLECI=true\nCIRCLE_JOB=test\nCIRCLE_NODE_INDEX=0\nCIRCLE_NODE_TOTAL=1", Some("test"));
        check("CIRCLECI=true\nCIRCLE_JOB=test\nCIRCLE_NODE_INDEX=1\nCIRCLE_NODE_TOTAL=4", Some("test 2"));
        let azure = "TF_BUILD=True\nBUILD_DEFINITIONNAME=kit";
        check(
            &format!("{azure}\nSYSTEM_JOBIDENTIFIER=Test.Unit.python312"),
            Some("kit / Test.Unit.python312"),
        );
        check(&format!("{azure}\nSYSTEM_JOBIDENTIFIER=Job.__default"), Some("kit / Job"));
        let buildkite = "BUILDKITE=true\nBUILDKITE_PIPELINE_SLUG=kit";
        check(buildkite, None);
        check(&format!("{buildkite}\nBUILDKITE_LABEL=test 3.12"), Some("kit / test 3.12"));
        check(
            &format!(
                "{buildkite}\nBUILDKITE_LABEL=test\nBUILDKITE_PARALLEL_JOB=2\nBUILDKITE_PARALLEL_JOB_COUNT=3"
            ),
            Some("kit / test 3"),
        );
        check("JENKINS_URL=x\nJOB_NAME=kit/main\nSTAGE_NAME=Test", Some("kit/main / Test"));
        for (job, branch, expected) in [
            ("team/kit/PR-24", "PR-24", "team/kit"),
            ("kit/a%2Fb", "a/b", "kit"),
            ("team/unit", "main", "team/unit"),
        ] {
            check(&format!("JENKINS_URL=x\nJOB_NAME={job}\nBRANCH_NAME={branch}"), Some(expected));
        }
        check(&format!("{github}\nBADGESMITH_MATRIX={{"), None);
        check(
            &format!("{github}\nFORGEJO_ACTIONS=true\nBADGESMITH_MATRIX={{\"v\":12}}"),
            Some("ci / test (12)"),
        );
        let appveyor = "APPVEYOR=True\nAPPVEYOR_PROJECT_SLUG=kit";
        check(appveyor, Some("kit"));
        check(&format!("{appveyor}\nAPPVEYOR_JOB_NAME=Image: Ubuntu"), Some("kit (Image: Ubuntu)"));
        check("DRONE=true\nDRONE_STAGE_NAME=linux\nDRONE_STEP_NAME=test", Some("linux / test"));
        let teamcity = "TEAMCITY_VERSION=1\nTEAMCITY_PROJECT_NAME=kit\nTEAMCITY_BUILDCONF_NAME=Unit tests";
        check(teamcity, Some("kit / Unit tests"));
        check("TRAVIS=true\nTRAVIS_JOB_NUMBER=60.2\nTRAVIS_JOB_NAME=python 3.12", Some("python 3.12"));
        check("TRAVIS=true\nTRAVIS_JOB_NUMBER=60.2", Some("job 2"));
        check("BITBUCKET_BUILD_NUMBER=7\nBITBUCKET_PARALLEL_STEP=1", None);
        check("CI=woodpecker\nCI_WORKFLOW_NAME=test\nCI_STEP_NAME=test", None);
        check("", None);
    }
}
