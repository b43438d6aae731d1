//! The pull request that a plugin of Jenkins builds.

use badgesmith_domain::ids::Repository;
use badgesmith_domain::test_result::Commit;

use crate::environment::Environment;
use crate::run::MissingReason;
use crate::{branches, git_url};

/// The variables of a plugin. If several variables have a value, the first that is set counts.
struct Plugin {
    /// Set only for pull requests.
    number: &'static [&'static str],
    branch: &'static str,
    target_branch: &'static str,
    /// The last commit of the source branch.
    commit: Option<&'static str>,
    source: Source,
    /// The target repository of the pull request, in the forms of [`Source::Repository`].
    target: Names,
    /// The page of the pull request.
    link: Option<&'static str>,
}

/// Alternatives, each one variable or two: for the owner and for the repository.
type Names = &'static [&'static [&'static str]];

enum Source {
    /// Set only for forks: `OWNER`, or `OWNER/REPO`.
    Fork(&'static str),
    /// URL, `OWNER/REPO` or `OWNER`.
    Repository(Names),
}

const PLUGINS: [Plugin; 6] = [
    // Multibranch projects.
    Plugin {
        number: &["CHANGE_ID"],
        branch: "CHANGE_BRANCH",
        target_branch: "CHANGE_TARGET",
        commit: None,
        source: Source::Fork("CHANGE_FORK"),
        target: &[],
        link: Some("CHANGE_URL"),
    },
    // GitHub Pull Request Builder: https://plugins.jenkins.io/ghprb/
    Plugin {
        number: &["ghprbPullId"],
        branch: "ghprbSourceBranch",
        target_branch: "ghprbTargetBranch",
        commit: Some("ghprbActualCommit"),
        source: Source::Repository(&[&["ghprbAuthorRepoGitUrl"]]),
        target: &[&["ghprbGhRepository"]],
        link: Some("ghprbPullLink"),
    },
    // GitHub Integration: https://plugins.jenkins.io/github-pullrequest/
    Plugin {
        number: &["GITHUB_PR_NUMBER"],
        branch: "GITHUB_PR_SOURCE_BRANCH",
        target_branch: "GITHUB_PR_TARGET_BRANCH",
        commit: Some("GITHUB_PR_HEAD_SHA"),
        source: Source::Repository(&[&["GITHUB_PR_SOURCE_REPO_OWNER"]]),
        target: &[],
        link: Some("GITHUB_PR_URL"),
    },
    // GitLab: https://plugins.jenkins.io/gitlab-plugin/. The namespaces are for display, and may have spaces.
    Plugin {
        number: &["gitlabMergeRequestIid", "gitlabMergeRequestId"],
        branch: "gitlabSourceBranch",
        target_branch: "gitlabTargetBranch",
        commit: Some("gitlabMergeRequestLastCommit"),
        source: Source::Repository(&[
            &["gitlabSourceRepoHttpUrl"],
            &["gitlabSourceRepoSshUrl"],
            &["gitlabSourceRepoURL"],
            &["gitlabSourceNamespace", "gitlabSourceRepoName"],
            &["gitlabSourceNamespace"],
        ]),
        target: &[
            &["gitlabTargetRepoHttpUrl"],
            &["gitlabTargetRepoSshUrl"],
            &["gitlabTargetNamespace", "gitlabTargetRepoName"],
        ],
        link: None,
    },
    // Bitbucket Push and Pull Request: https://plugins.jenkins.io/bitbucket-push-and-pull-request/
    Plugin {
        number: &["BITBUCKET_PULL_REQUEST_ID"],
        branch: "BITBUCKET_SOURCE_BRANCH",
        target_branch: "BITBUCKET_TARGET_BRANCH",
        commit: Some("BITBUCKET_PULL_REQUEST_LATEST_COMMIT_FROM_SOURCE_BRANCH"),
        source: Source::Repository(&[]),
        target: &[],
        link: Some("BITBUCKET_PULL_REQUEST_LINK"),
    },
    // Bitbucket Pull Request Builder, whose source is `repositoryOwner`, and Stash Pull Request Builder:
    // https://plugins.jenkins.io/bitbucket-pullrequest-builder/, https://plugins.jenkins.io/stash-pullrequest-builder/
    Plugin {
        number: &["pullRequestId"],
        branch: "sourceBranch",
        target_branch: "targetBranch",
        commit: Some("sourceCommitHash"),
        source: Source::Repository(&[
            &["sourceRepositoryOwner", "sourceRepositoryName"],
            &["repositoryOwner", "repositoryName"],
        ]),
        target: &[&["destinationRepositoryOwner", "destinationRepositoryName"]],
        link: None,
    },
];

/// A pull request, as a plugin describes it.
pub(super) struct PullRequest {
    pub(super) branch: Result<String, MissingReason>,
    pub(super) commit: Option<Commit>,
    pub(super) is_from_fork: bool,
    /// The target repository.
    pub(super) repository: Option<Repository>,
}

impl PullRequest {
    pub(super) fn read(environment: &Environment<'_>) -> Option<Self> {
        PLUGINS.iter().find_map(|plugin| Self::from_plugin(environment, plugin))
    }

    fn from_plugin(environment: &Environment<'_>, plugin: &Plugin) -> Option<Self> {
        let number = plugin.number.iter().find_map(|name| environment.get(name))?;
        let link = plugin.link.and_then(|name| environment.get(name));
        let checkout = environment.get("GIT_URL");
        let repository = first(environment, plugin.target)
            .and_then(|text| git_url::repository_from_url(&text).ok().or_else(|| text.parse().ok()))
            .or_else(|| git_url::of_pull_request(&link?))
            .or_else(|| git_url::repository_from_url(checkout.as_deref()?).ok());
        let is_other =
            |source: &str| repository.as_ref().is_none_or(|repository| differs(source, repository));
        let (source, is_from_fork) = match plugin.source {
            Source::Fork(name) => {
                let fork = environment.get(name);
                let is_from_fork = fork.is_some();
                (fork, is_from_fork)
            }
            Source::Repository(names) => {
                let source = first(environment, names);
                // A job may check out the fork.
                let source = source.or_else(|| checkout.filter(|url| has_name_of(url, repository.as_ref())));
                let is_from_fork = source.as_deref().is_some_and(is_other);
                (source, is_from_fork)
            }
        };
        Some(Self {
            branch: environment.require(plugin.branch).map(|branch| match (&source, &plugin.source) {
                (Some(source), _) if is_from_fork => branches::in_fork(owner(source), &branch, Some(&number)),
                (None, Source::Repository(_)) => {
                    branches::of_pull_request(branch, &[environment.get(plugin.target_branch)], Some(&number))
                }
                _ => branch,
            }),
            commit: plugin.commit.and_then(|name| environment.parse(name)),
            is_from_fork,
            repository,
        })
    }
}

/// The first alternative that is set.
fn first(environment: &Environment<'_>, names: Names) -> Option<String> {
    names.iter().find_map(|parts| {
        let parts: Option<Vec<_>> = parts.iter().map(|name| environment.get(name)).collect();
        Some(parts?.join("/"))
    })
}

/// Whether a source, in the forms of [`Source::Repository`], is another repository.
fn differs(source: &str, repository: &Repository) -> bool {
    if source.contains('/') {
        !git_url::is_same_repository(source, &repository.to_string())
    } else {
        !source.eq_ignore_ascii_case(&repository.owner.to_string())
    }
}

/// Whether a URL names a repository of the same name, as a fork has. A mirror usually has another name.
fn has_name_of(url: &str, repository: Option<&Repository>) -> bool {
    let Ok(other) = git_url::repository_from_url(url) else { return false };
    repository.is_some_and(|repository| other.repo == repository.repo && other.owner != repository.owner)
}

/// The owner of a source in the forms of [`Source::Repository`].
fn owner(source: &str) -> Option<&str> {
    let is_url = source.contains(':');
    if is_url { git_url::owner_of(source) } else { source.split('/').next() }
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    const HEAD: &str = "44af8aa0007898d08f1bec401df7c077c1df0722";
    const MERGE: &str = "ce9a3c1404e8c91be604088670e93434c4253f03";

    #[track_caller]
    fn check_with(variables: &str, branch: &str, commit: &str, tail: &str) {
        check(
            &format!(
                "{variables}\nJENKINS_URL=https://ci.test/\nBUILD_NUMBER=153\nGIT_COMMIT={MERGE}\n\
                 GIT_BRANCH=origin/pr/14/merge\nGIT_URL=git@github.com:acme/kit.git"
            ),
            "",
            &format!("Jenkins\nrepository acme/kit\nbranch {branch}\ncommit {commit}\nrun 153\n{tail}"),
        );
    }

    const FORK: &str = "no key: builds of forks get no secrets";

    #[test]
    fn pull_requests_of_github_count_for_their_source_branch() {
        let ghprb = format!(
            "ghprbPullId=14\nghprbActualCommit={HEAD}\nghprbTargetBranch=main\n\
             ghprbPullLink=https://github.com/acme/kit/pull/14"
        );
        let from = |more: &str| format!("{ghprb}\n{more}");
        check_with(&from("ghprbSourceBranch=feature/x"), "feature/x", HEAD, "");
        check_with(
            &from("ghprbSourceBranch=main\nghprbAuthorRepoGitUrl=https://github.com/mona/kit.git"),
            "mona:main",
            HEAD,
            FORK,
        );
        check_with(
            &from(
                "ghprbSourceBranch=x\nghprbAuthorRepoGitUrl=https://github.com/Acme/Kit.git\n\
                   ghprbGhRepository=acme/kit",
            ),
            "x",
            HEAD,
            "",
        );
        // Without the source repository, only a fork has a pull request to a branch of the same name.
        check_with(&from("ghprbSourceBranch=main"), "pull/14", HEAD, "");
        check_with(
            &from("GIT_URL=https://github.com/mona/kit.git\nghprbSourceBranch=x"),
            "mona:x",
            HEAD,
            FORK,
        );
        check_with(&from("GIT_URL=https://mirror.test/all/kit-mirror\nghprbSourceBranch=x"), "x", HEAD, "");
        check_with(&ghprb, "! ghprbSourceBranch is not set", HEAD, "");
        let integration = format!(
            "GITHUB_PR_NUMBER=14\nGITHUB_PR_SOURCE_BRANCH=feature/x\nGITHUB_PR_HEAD_SHA={HEAD}\n\
             GITHUB_PR_URL=https://github.com/acme/kit/pull/14"
        );
        check_with(&format!("{integration}\nGITHUB_PR_SOURCE_REPO_OWNER=acme"), "feature/x", HEAD, "");
        check_with(&format!("{integration}\nGITHUB_PR_SOURCE_REPO_OWNER=mona"), "mona:feature/x", HEAD, FORK);
    }

    #[test]
    fn merge_requests_of_gitlab_count_for_their_source_branch() {
        let merge_request = |owner: &str, branch: &str| {
            format!(
                "gitlabActionType=MERGE\ngitlabMergeRequestIid=14\ngitlabBranch={branch}\n\
                 gitlabSourceBranch={branch}\ngitlabTargetBranch=main\ngitlabMergeRequestLastCommit={HEAD}\n\
                 gitlabSourceNamespace=Some Group\ngitlabSourceRepoHttpUrl=https://gitlab.com/{owner}/kit.git\n\
                 gitlabTargetRepoHttpUrl=https://gitlab.com/acme/kit.git"
            )
        };
        check_with(&merge_request("acme", "feature/x"), "feature/x", HEAD, "");
        check_with(&merge_request("mona", "main"), "mona:main", HEAD, FORK);
        check_with(&merge_request("mona/tools", "main"), "pull/14", HEAD, FORK);
    }

    #[test]
    fn pushes_of_the_gitlab_plugin_are_not_merge_requests() {
        let push = "gitlabMergeRequestIid=\ngitlabSourceBranch=main\ngitlabMergeRequestLastCommit=0";
        check_with(&format!("{push}\ngitlabActionType=PUSH\ngitlabBranch=main"), "main", MERGE, "");
        for tag in ["v1.0", "refs/tags/v1.0"] {
            let push = format!("{push}\ngitlabActionType=TAG_PUSH\ngitlabBranch={tag}");
            check_with(&push, "! this is a build of the tag \"v1.0\"", MERGE, "");
        }
    }

    #[test]
    fn pull_requests_of_bitbucket_count_for_their_source_branch() {
        let target = "destinationRepositoryOwner=acme\ndestinationRepositoryName=kit\ntargetBranch=main";
        let builder = |owner: &str, branch: &str| {
            format!(
                "pullRequestId=14\nsourceBranch={branch}\nrepositoryOwner={owner}\nrepositoryName=kit\n{target}"
            )
        };
        check_with(&builder("acme", "feature/x"), "feature/x", MERGE, "");
        check_with(&builder("mona", "main"), "mona:main", MERGE, FORK);
        let stash = format!(
            "pullRequestId=14\nsourceBranch=main\nsourceRepositoryOwner=mona\nsourceRepositoryName=kit\n\
             sourceCommitHash={HEAD}\n{target}\nGIT_URL=https://bitbucket.test/scm/acme/kit.git"
        );
        check_with(&stash, "mona:main", HEAD, FORK);
        let push_and_pull_request = |branch: &str| {
            format!(
                "BITBUCKET_PULL_REQUEST_ID=14\nBITBUCKET_SOURCE_BRANCH={branch}\nBITBUCKET_TARGET_BRANCH=main\n\
                 BITBUCKET_PULL_REQUEST_LINK=https://bitbucket.org/acme/kit/pull-requests/14"
            )
        };
        check_with(&push_and_pull_request("feature/x"), "feature/x", MERGE, "");
        check_with(&push_and_pull_request("main"), "pull/14", MERGE, "");
    }
}
