//! The repository in the URL of a git remote.

use badgesmith_domain::ids::Repository;

use crate::run::{MissingReason, parse};

/// The repository `OWNER/REPO` in the URL of a git remote: `https://HOST/OWNER/REPO.git`, `ssh://git@HOST/OWNER/REPO`,
/// `git@HOST:OWNER/REPO.git` and the like (<https://git-scm.com/docs/git-clone#_git_urls>).
///
/// # Errors
/// [`MissingReason::Invalid`] with the path alone: the rest may contain a user and a password.
pub fn repository_from_url(url: &str) -> Result<Repository, MissingReason> {
    match split(url) {
        // A local path names no owner, even if it has two parts.
        ("", path) => Err(MissingReason::Invalid { value: path.to_owned(), expected: Repository::EXPECTED }),
        (_, path) => parse(path.to_owned()),
    }
}

/// The owner in a fork's URL, as written.
pub(crate) fn owner_of(url: &str) -> Option<&str> {
    repository_from_url(url).ok()?;
    split(url).1.split_once('/').map(|(owner, _)| owner)
}

/// Whether two URLs name the same repository, in any of git's forms, case-insensitively.
pub(crate) fn is_same_repository(left: &str, right: &str) -> bool {
    split(left).1.eq_ignore_ascii_case(split(right).1)
}

/// The target repository in the URL of a pull request, on GitHub, Gitea, Bitbucket or GitLab.
pub(crate) fn of_pull_request(url: &str) -> Option<Repository> {
    let pages = ["/pull/", "/pulls/", "/pull-requests/", "/-/merge_requests/", "/merge_requests/"];
    let (repository, _) = pages.iter().find_map(|page| url.rsplit_once(page))?;
    repository_from_url(repository).ok()
}

/// The host, empty where there is none, and the path.
fn split(url: &str) -> (&str, &str) {
    let (host, path) = match url.split_once("://") {
        Some((_, rest)) => rest.split_once('/').unwrap_or((rest, "")),
        // Without a scheme, the host ends at the first colon, unless a slash comes before it.
        None => url.split_once(':').filter(|(host, _)| !host.contains('/')).unwrap_or(("", url)),
    };
    let path = path.trim_matches('/');
    (host, path.strip_suffix(".git").unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: Result<&str, &str>) {
        let actual = repository_from_url(url);
        let expected = expected.map(|repository| repository.parse().unwrap()).map_err(|path| {
            MissingReason::Invalid { value: path.to_owned(), expected: Repository::EXPECTED }
        });
        assert_eq!(actual, expected, "{url}");
    }

    #[test]
    fn urls_with_two_parts_name_a_repository() {
        for url in [
            "https://github.com/acme/kit.git",
            "https://github.com/acme/kit",
            "https://github.com/acme/kit/",
            "https://user:token@github.com:443/acme/kit.git",
            "http://github.com/acme/kit.git",
            "git://github.com/acme/kit.git",
            "ssh://git@github.com/acme/kit.git",
            "ssh://git@ssh.github.com:443/acme/kit.git",
            "git@github.com:acme/kit.git",
            "git@github.com:/acme/kit.git",
            "github.com:acme/kit",
        ] {
            check(url, Ok("acme/kit"));
        }
        check("https://github.com/Acme/Kit.NET.git", Ok("Acme/Kit.NET"));
    }

    #[test]
    fn errors_show_only_the_path_of_other_urls() {
        check("https://user:token@gitlab.com/group/sub/kit.git", Err("group/sub/kit"));
        check("https://dev.azure.com/acme/kit/_git/kit", Err("acme/kit/_git/kit"));
        check("git@ssh.dev.azure.com:v3/acme/kit/kit", Err("v3/acme/kit/kit"));
        check("https://bitbucket.test/scm/acme/kit.git", Err("scm/acme/kit"));
        check("https://github.com", Err(""));
        check("/srv/kit.git", Err("srv/kit"));
        check("file:///srv/kit.git", Err("srv/kit"));
        check(r"C:\srv\kit", Err(r"\srv\kit"));
        check("", Err(""));
    }

    #[test]
    fn urls_of_pull_requests_name_their_target_repository() {
        for url in [
            "https://github.com/acme/kit/pull/14",
            "https://codeberg.org/acme/kit/pulls/14",
            "https://bitbucket.org/acme/kit/pull-requests/14",
            "https://gitlab.com/acme/kit/-/merge_requests/14",
        ] {
            assert_eq!(of_pull_request(url), Some("acme/kit".parse().unwrap()), "{url}");
        }
        for url in
            ["https://bitbucket.test/projects/ACME/repos/kit/pull-requests/14", "https://github.com/acme", ""]
        {
            assert_eq!(of_pull_request(url), None, "{url}");
        }
    }

    #[test]
    fn a_url_in_another_form_or_case_is_not_a_fork() {
        assert!(is_same_repository("git@github.com:acme/kit.git", "git://github.com/Acme/Kit.git"));
        assert!(!is_same_repository("git@github.com:acme/kit.git", "git://github.com/mona/kit.git"));
    }
}
