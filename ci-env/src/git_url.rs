//! The repository that a remote's address names.

use badgesmith_domain::ids::Repository;

use super::{Absent, Found, valid};

/// `OWNER/REPO` of a remote: `https://HOST/OWNER/REPO.git`, `ssh://git@HOST/OWNER/REPO`,
/// `git@HOST:OWNER/REPO.git` and the like (<https://git-scm.com/docs/git-clone#_git_urls>).
///
/// # Errors
/// [`Absent::Invalid`] with the path alone: user and password may stand in the rest.
pub fn repository_of(url: &str) -> Found<Repository> {
    match split(url) {
        // A path on this machine says nothing of owners, also where it has two parts.
        ("", path) => Err(Absent::Invalid { value: path.to_owned(), expected: Repository::EXPECTED }),
        (_, path) => valid(path.to_owned()),
    }
}

/// The owner alone, as written, of a fork's address.
pub(super) fn owner_of(url: &str) -> Option<&str> {
    repository_of(url).ok()?;
    split(url).1.split_once('/').map(|(owner, _)| owner)
}

/// Whether two addresses name the same repository, whatever their form.
pub(super) fn are_the_same(one: &str, other: &str) -> bool {
    split(one).1.eq_ignore_ascii_case(split(other).1)
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
        let actual = repository_of(url);
        let expected = expected
            .map(|repository| repository.parse().unwrap())
            .map_err(|path| Absent::Invalid { value: path.to_owned(), expected: Repository::EXPECTED });
        assert_eq!(actual, expected, "{url}");
    }

    #[test]
    fn remotes_of_two_parts_name_a_repository() {
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
    fn others_are_shown_without_what_may_be_secret() {
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
    fn forms_and_case_do_not_make_a_fork() {
        assert!(are_the_same("git@github.com:acme/kit.git", "git://github.com/Acme/Kit.git"));
        assert!(!are_the_same("git@github.com:acme/kit.git", "git://github.com/mona/kit.git"));
    }
}
