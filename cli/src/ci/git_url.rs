//! The repository that a remote's address names.

use super::{Absent, Found, fits};

/// `OWNER/REPO` of a remote: `https://HOST/OWNER/REPO.git`, `ssh://git@HOST/OWNER/REPO`,
/// `git@HOST:OWNER/REPO.git` and the like (<https://git-scm.com/docs/git-clone#_git_urls>).
///
/// # Errors
/// [`Absent::NotOwnerAndRepo`] with the path alone: user and password may stand in the rest.
pub(crate) fn repository_of(url: &str) -> Found {
    let (host, path) = match url.split_once("://") {
        Some((_, rest)) => rest.split_once('/').unwrap_or((rest, "")),
        // Without a scheme, the host ends at the first colon, unless a slash comes before it.
        None => url.split_once(':').filter(|(host, _)| !host.contains('/')).unwrap_or(("", url)),
    };
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path).to_owned();
    // A path on this machine says nothing of owners, also where it has two parts.
    if host.is_empty() { Err(Absent::NotOwnerAndRepo(path)) } else { fits::repository(path) }
}

/// The owner alone, of a fork's address.
pub(super) fn owner_of(url: &str) -> Option<String> {
    let repository = repository_of(url).ok()?;
    repository.split_once('/').map(|(owner, _)| owner.to_owned())
}

/// Whether two addresses name the same repository, whatever their form.
pub(super) fn are_the_same(one: &str, other: &str) -> bool {
    let path = |url| match repository_of(url) {
        Ok(path) | Err(Absent::NotOwnerAndRepo(path)) => path.to_ascii_lowercase(),
        Err(_) => String::new(),
    };
    path(one) == path(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: Result<&str, &str>) {
        let actual = repository_of(url);
        let expected = expected.map(str::to_owned).map_err(|path| Absent::NotOwnerAndRepo(path.to_owned()));
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
