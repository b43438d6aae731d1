//! CI systems and their detection.

use std::fmt;

use crate::environment::Environment;
use crate::run::{CiRun, MissingReason};
use crate::{
    appveyor, azure, bitbucket, buildkite, circle, drone, github, gitlab, jenkins, teamcity, travis,
    woodpecker,
};

/// A CI system. Displays as its official name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    AppVeyor,
    AzurePipelines,
    Bitbucket,
    Buildkite,
    CircleCi,
    Drone,
    Forgejo,
    GitHubActions,
    GitLab,
    Gitea,
    Jenkins,
    TeamCity,
    Travis,
    Woodpecker,
    /// None of these: a developer's machine or an unknown CI system.
    Local,
}

impl Provider {
    /// In the order of detection. Forgejo sets the variables of Gitea, and both set those of GitHub. `TeamCity` and
    /// Jenkins come last, because everything that they start inherits their variables.
    pub(crate) const DETECTED: [Self; 14] = [
        Self::Forgejo,
        Self::Gitea,
        Self::GitHubActions,
        Self::GitLab,
        Self::AzurePipelines,
        Self::CircleCi,
        Self::Buildkite,
        Self::Bitbucket,
        Self::AppVeyor,
        Self::Travis,
        Self::Woodpecker,
        Self::Drone,
        Self::TeamCity,
        Self::Jenkins,
    ];

    pub(crate) fn detect(environment: &Environment<'_>) -> Self {
        Self::DETECTED.into_iter().find(|provider| provider.is_running(environment)).unwrap_or(Self::Local)
    }

    fn is_running(self, environment: &Environment<'_>) -> bool {
        let is_true = |name| environment.is_true(name);
        let is_set = |name| environment.get(name).is_some();
        match self {
            Self::AppVeyor => is_true("APPVEYOR"),
            Self::AzurePipelines => is_true("TF_BUILD"),
            Self::Bitbucket => is_set("BITBUCKET_BUILD_NUMBER"),
            Self::Buildkite => is_true("BUILDKITE"),
            Self::CircleCi => is_true("CIRCLECI"),
            Self::Drone => is_true("DRONE"),
            Self::Forgejo => is_true("FORGEJO_ACTIONS"),
            Self::GitHubActions => is_true("GITHUB_ACTIONS"),
            Self::GitLab => is_true("GITLAB_CI"),
            Self::Gitea => is_true("GITEA_ACTIONS"),
            Self::Jenkins => is_set("JENKINS_URL") || is_set("JENKINS_HOME"),
            Self::TeamCity => is_set("TEAMCITY_VERSION"),
            Self::Travis => is_true("TRAVIS"),
            Self::Woodpecker => environment.get("CI").is_some_and(|value| value == "woodpecker"),
            Self::Local => true,
        }
    }

    pub(crate) fn run(self, environment: &Environment<'_>) -> CiRun {
        match self {
            Self::AppVeyor => appveyor::run(environment),
            Self::AzurePipelines => azure::run(environment),
            Self::Bitbucket => bitbucket::run(environment),
            Self::Buildkite => buildkite::run(environment),
            Self::CircleCi => circle::run(environment),
            Self::Drone => drone::run(environment),
            Self::Forgejo | Self::GitHubActions | Self::Gitea => github::run(self, environment),
            Self::GitLab => gitlab::run(environment),
            Self::Jenkins => jenkins::run(environment),
            Self::TeamCity => teamcity::run(environment),
            Self::Travis => travis::run(environment),
            Self::Woodpecker => woodpecker::run(environment),
            Self::Local => CiRun::new(self, Err(MissingReason::NoCiSystem), Err(MissingReason::NoCiSystem)),
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AppVeyor => "AppVeyor",
            Self::AzurePipelines => "Azure Pipelines",
            Self::Bitbucket => "Bitbucket Pipelines",
            Self::Buildkite => "Buildkite",
            Self::CircleCi => "CircleCI",
            Self::Drone => "Drone",
            Self::Forgejo => "Forgejo Actions",
            Self::GitHubActions => "GitHub Actions",
            Self::GitLab => "GitLab CI",
            Self::Gitea => "Gitea Actions",
            Self::Jenkins => "Jenkins",
            Self::TeamCity => "TeamCity",
            Self::Travis => "Travis CI",
            Self::Woodpecker => "Woodpecker",
            Self::Local => "no CI system",
        })
    }
}
