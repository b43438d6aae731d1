//! `TeamCity`: <https://www.jetbrains.com/help/teamcity/predefined-build-parameters.html>.
//!
//! The environment has only a few of the parameters. The variable `TEAMCITY_BUILD_PROPERTIES_FILE` names a file with
//! more, one of which names the file with the rest, branch and repository among them.
//!
//! There is no attempt, because a build that runs again is another build; and no platform. All builds have the same
//! secrets.

use std::collections::BTreeMap;
use std::mem;
use std::str::Chars;

use badgesmith_domain::ids::Repository;

use crate::environment::Environment;
use crate::provider::Provider;
use crate::run::{CiRun, MissingReason};
use crate::{branches, git_url};

pub(crate) fn run(environment: &Environment<'_>) -> CiRun {
    let parameters = Parameters::read(environment);
    // Unique on the server, unlike the build number.
    let run_id = parameters.get("teamcity.build.id").and_then(|id| id.parse().ok());
    CiRun {
        // Set if there is one VCS root.
        commit: environment.parse("BUILD_VCS_NUMBER"),
        run_id: run_id.or_else(|| environment.parse("BUILD_NUMBER")),
        run_url: environment.parse("BUILD_URL"),
        ..CiRun::new(Provider::TeamCity, parameters.repository(), parameters.branch())
    }
}

/// ` 2` for the second batch of a build whose tests run in parallel batches:
/// <https://www.jetbrains.com/help/teamcity/parallel-tests.html>.
pub(crate) fn batch(environment: &Environment<'_>) -> String {
    let parameters = Parameters::read(environment);
    let batch = parameters.get("teamcity.build.parallelTests.currentBatch");
    batch.map(|batch| format!(" {batch}")).unwrap_or_default()
}

/// The parameters of the build, by name.
struct Parameters(BTreeMap<String, String>);

impl Parameters {
    fn read(environment: &Environment<'_>) -> Self {
        let file = |path: Option<String>| {
            let text = path.and_then(|path| environment.read(&path)).unwrap_or_default();
            text.lines().filter_map(property).collect::<BTreeMap<_, _>>()
        };
        let mut parameters = file(environment.get("TEAMCITY_BUILD_PROPERTIES_FILE"));
        parameters.extend(file(parameters.get("teamcity.configuration.properties.file").cloned()));
        Self(parameters)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The value of the only parameter whose name has this prefix and suffix around the ID of a VCS root.
    fn of_only_root(&self, prefix: &str, suffix: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|(name, _)| {
            name.strip_prefix(prefix)
                .and_then(|rest| rest.strip_suffix(suffix))
                .is_some_and(|id| !id.is_empty())
        });
        let (_, value) = values.next()?;
        values.next().is_none().then_some(value)
    }

    fn repository(&self) -> Result<Repository, MissingReason> {
        let url = self.get("vcsroot.url").or_else(|| self.of_only_root("vcsroot.", ".url"));
        git_url::repository_from_url(url.ok_or(MissingReason::Unset("vcsroot.url"))?)
    }

    /// The source branch of a pull request is set only if it is not in a fork:
    /// <https://www.jetbrains.com/help/teamcity/pull-requests.html>.
    ///
    /// `teamcity.build.branch` is the name that the branch specification makes of the reference, and `<default>` for
    /// the default branch.
    fn branch(&self) -> Result<String, MissingReason> {
        if let Some(number) = self.get("teamcity.pullRequest.number") {
            let source = self.get("teamcity.pullRequest.source.branch");
            return Ok(source.map_or_else(|| branches::pull_request(number), without_heads));
        }
        let reference = self.of_only_root("teamcity.build.vcs.branch.", "");
        let branch = self.get("teamcity.build.branch").filter(|name| *name != "<default>");
        let branch = reference.or(branch).or_else(|| self.get("vcsroot.branch"));
        let branch = branch.ok_or(MissingReason::Unset("teamcity.build.branch"))?;
        if branch.starts_with("refs/") {
            branches::from_reference(branch)
        } else {
            branches::from_name(branch)
        }
    }
}

fn without_heads(reference: &str) -> String {
    reference.strip_prefix("refs/heads/").unwrap_or(reference).to_owned()
}

/// The name and the value in a line of a Java properties file as `Properties.store` writes it. None for comments and
/// for lines with an invalid escape sequence.
///
/// <https://docs.oracle.com/en/java/javase/21/docs/api/java.base/java/util/Properties.html#load(java.io.Reader)>
fn property(line: &str) -> Option<(String, String)> {
    if line.starts_with(['#', '!']) {
        return None;
    }
    let (mut name, mut text, mut chars) = (None, String::new(), line.chars());
    while let Some(character) = chars.next() {
        match character {
            '\\' => text.push(unescape(&mut chars)?),
            '=' | ':' if name.is_none() => name = Some(mem::take(&mut text)),
            character => text.push(character),
        }
    }
    Some((name?, text))
}

/// The character after a backslash.
fn unescape(chars: &mut Chars<'_>) -> Option<char> {
    match chars.next()? {
        'u' => {
            let digits: String = chars.take(4).collect();
            let is_complete = digits.len() == 4;
            is_complete.then(|| u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32)).flatten()
        }
        't' => Some('\t'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        'f' => Some('\u{c}'),
        character => Some(character),
    }
}

#[cfg(test)]
mod tests {
    use super::property;
    use crate::testing::check;

    const ENVIRONMENT: &str = "TEAMCITY_VERSION=2025.11 (build 200000)\nTEAMCITY_PROJECT_NAME=kit\nBUILD_NUMBER=12\n\
        TEAMCITY_BUILDCONF_NAME=Unit tests\nBUILD_URL=https://teamcity.test/buildConfiguration/Kit_Test/4711\n\
        BUILD_VCS_NUMBER=83a20ec058e2fb00e7fa4558c4c6e81e2dcf253d\nJENKINS_URL=https://ci.test/";

    /// Both files are the same one.
    const PARAMETERS: &str = "#TeamCity build properties\nteamcity.configuration.properties.file=/event.json\n\
        teamcity.build.id=4711\nteamcity.serverUrl=https\\://teamcity.test\n";

    #[track_caller]
    fn check_with(parameters: &str, repository: &str, branch: &str) {
        check(
            &format!("{ENVIRONMENT}\nTEAMCITY_BUILD_PROPERTIES_FILE=/event.json"),
            &format!("{PARAMETERS}{parameters}"),
            &format!(
                "TeamCity\nrepository {repository}\nbranch {branch}\n\
                 commit 83a20ec058e2fb00e7fa4558c4c6e81e2dcf253d\nrun 4711\n\
                 url https://teamcity.test/buildConfiguration/Kit_Test/4711"
            ),
        );
    }

    const ROOT: &str = "vcsroot.url=https\\://github.com/acme/kit.git\n";

    #[test]
    fn pushes_count_for_the_branch_of_the_only_root() {
        for parameters in [
            "teamcity.build.branch=feature/x",
            "teamcity.build.branch=x\nteamcity.build.vcs.branch.Kit_Git=refs/heads/feature/x",
            "teamcity.build.branch=<default>\nvcsroot.branch=refs/heads/feature/x",
            "vcsroot.branch=feature/x",
        ] {
            check_with(&format!("{ROOT}{parameters}"), "acme/kit", "feature/x");
        }
        check_with(
            "vcsroot.Kit_Git.url=git@github.com\\:acme/kit.git\nteamcity.build.branch=main",
            "acme/kit",
            "main",
        );
    }

    #[test]
    fn several_roots_name_no_repository() {
        check_with(
            "vcsroot.A.url=https\\://github.com/acme/kit\nvcsroot.B.url=https\\://github.com/acme/lib\n\
             teamcity.build.vcs.branch.A=refs/heads/a\nteamcity.build.vcs.branch.B=refs/heads/b",
            "! vcsroot.url is not set",
            "! teamcity.build.branch is not set",
        );
    }

    #[test]
    fn pull_requests_count_for_their_source_branch_unless_it_is_in_a_fork() {
        let pull_request = "teamcity.pullRequest.number=14\nteamcity.build.branch=pull/14\n\
            teamcity.build.vcs.branch.Kit_Git=refs/pull/14/head\nteamcity.pullRequest.target.branch=refs/heads/main";
        check_with(&format!("{ROOT}{pull_request}"), "acme/kit", "pull/14");
        for source in ["feature/x", "refs/heads/feature/x"] {
            let same = format!("{ROOT}{pull_request}\nteamcity.pullRequest.source.branch={source}");
            check_with(&same, "acme/kit", "feature/x");
        }
    }

    #[test]
    fn references_of_pull_requests_have_their_number() {
        for parameters in [
            "teamcity.build.branch=14/head\nteamcity.build.vcs.branch.Kit_Git=refs/pull/14/head",
            "teamcity.build.branch=merge-requests/14/head",
            "vcsroot.branch=refs/pull-requests/14/from",
        ] {
            check_with(&format!("{ROOT}{parameters}"), "acme/kit", "pull/14");
        }
    }

    #[test]
    fn tags_and_merge_queues_have_no_branch() {
        check_with(
            &format!("{ROOT}teamcity.build.branch=v1.0\nteamcity.build.vcs.branch.Kit_Git=refs/tags/v1.0"),
            "acme/kit",
            "! this is a build of the tag \"v1.0\"",
        );
        check_with(
            &format!("{ROOT}teamcity.build.branch=gh-readonly-queue/main/pr-104"),
            "acme/kit",
            "! this is a build of a merge queue, whose branch is temporary",
        );
    }

    #[test]
    fn without_its_files_a_build_has_only_a_number() {
        check(
            "TEAMCITY_VERSION=2025.11\nBUILD_NUMBER=12\nBUILD_URL=http://teamcity.test/1\nBUILD_VCS_NUMBER=4711",
            "",
            "TeamCity\nrepository ! vcsroot.url is not set\nbranch ! teamcity.build.branch is not set\nrun 12",
        );
    }

    #[test]
    fn properties_are_unescaped() {
        let pair = |name: &str, value: &str| Some((name.to_owned(), value.to_owned()));
        assert_eq!(property("a.b=c"), pair("a.b", "c"));
        assert_eq!(property(r"a\=b=https\://c\\d\te"), pair("a=b", "https://c\\d\te"));
        assert_eq!(property("a:b=c"), pair("a", "b=c"));
        assert_eq!(property(r"a=\u00fc"), pair("a", "ü"));
        for line in ["", "a", "# a=b", "!a=b", r"a=\u00", r"a=\uzzzz", r"a=\"] {
            assert_eq!(property(line), None, "{line}");
        }
    }
}
