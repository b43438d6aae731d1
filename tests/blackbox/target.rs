//! The service under test: the stack at `BADGESMITH_URL`, or a `local` in this process.
//!
//! A deployed stack needs the key of one repository as that repository's secret, and a GitHub token that is
//! mapped to the public packages of the organization `acme`. Its refresher is configured with the NuGet
//! service index `http://HOST:PORT/v3/index.json` and the GitHub API `http://HOST:PORT/github`, where
//! HOST:PORT is `BADGESMITH_UPSTREAM`.

use std::env::VarError;
use std::sync::{OnceLock, mpsc};

use local::config::{Config, GitHubToken, Secret};
use local::server::Server;
use local::stack::UpstreamConfig;
use tests::client::{KEY, REPOSITORY};
use tests::upstream::Upstream;

/// The base URL of a deployed API. If it is unset, the suite starts a `local` and ignores the other variables.
const URL_VARIABLE: &str = "BADGESMITH_URL";
/// The repository of the results, as OWNER/REPO; [`REPOSITORY`] if unset.
const REPOSITORY_VARIABLE: &str = "BADGESMITH_REPOSITORY";
/// The HMAC key of that repository, as its client has it.
const KEY_VARIABLE: &str = "BADGESMITH_KEY";
/// HOST:PORT where the suite serves the NuGet feed and the GitHub API of the refresher's configuration.
const UPSTREAM_VARIABLE: &str = "BADGESMITH_UPSTREAM";
/// The stack's token for the organization `acme`, which that GitHub API accepts.
const GITHUB_TOKEN_VARIABLE: &str = "BADGESMITH_GITHUB_TOKEN";

/// The organization whose public packages are shown.
pub(crate) const ORGANIZATION: &str = "acme";

/// The service that all tests of this binary share.
#[derive(Debug)]
pub(crate) struct Target {
    /// The base URL.
    pub(crate) url: String,
    /// OWNER/REPO.
    pub(crate) repository: String,
    pub(crate) key: String,
    pub(crate) upstream: Upstream,
}

impl Target {
    pub(crate) fn get() -> &'static Self {
        static TARGET: OnceLock<Target> = OnceLock::new();
        TARGET.get_or_init(|| variable(URL_VARIABLE).map_or_else(Self::local, Self::deployed))
    }

    fn deployed(url: String) -> Self {
        let required = [KEY_VARIABLE, UPSTREAM_VARIABLE, GITHUB_TOKEN_VARIABLE];
        let missing: Vec<_> = required.into_iter().filter(|name| variable(name).is_none()).collect();
        assert!(missing.is_empty(), "{URL_VARIABLE} also requires {}", missing.join(", "));
        let [key, place, token] = required.map(|name| variable(name).expect("checked above"));
        let upstream = Upstream::start_at(&place)
            .unwrap_or_else(|error| panic!("{UPSTREAM_VARIABLE}: cannot listen at {place}: {error}"));
        upstream.github_token(&token, &[ORGANIZATION]);
        let repository = variable(REPOSITORY_VARIABLE).unwrap_or_else(|| REPOSITORY.to_owned());
        Self { url, repository, key, upstream }
    }

    fn local() -> Self {
        let upstream = Upstream::start();
        let token = "ghp_local";
        upstream.github_token(token, &[ORGANIZATION]);
        let upstreams = UpstreamConfig::new(
            upstream.nuget_service_index().parse().unwrap(),
            upstream.github_api().parse().unwrap(),
        );
        let config = Config {
            secrets: vec![Secret::new(REPOSITORY.parse().unwrap(), KEY).unwrap()],
            tokens: vec![GitHubToken::new(ORGANIZATION.parse().unwrap(), token).unwrap()],
            ..Config::ephemeral(upstreams)
        };
        Self { url: start(config), repository: REPOSITORY.to_owned(), key: KEY.to_owned(), upstream }
    }
}

/// Starts a `local` that runs until this process ends, and returns its base URL. It needs its own thread and
/// runtime, because the runtime of a test ends with the test.
fn start(config: Config) -> String {
    let (started, address) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = Server::start(config).await.unwrap();
            started.send(server.address()).unwrap();
            std::future::pending::<()>().await;
        });
    });
    format!("http://{}", address.recv().expect("local has started"))
}

/// The value of a variable. An empty one is a mistake, not a request for the default.
#[expect(clippy::disallowed_methods, reason = "the one place where the suite reads the environment")]
fn variable(name: &str) -> Option<String> {
    match std::env::var(name) {
        Ok(value) if value.trim().is_empty() => panic!("{name} is set, but empty"),
        Ok(value) => Some(value),
        Err(VarError::NotPresent) => None,
        Err(VarError::NotUnicode(_)) => panic!("{name} is not UTF-8"),
    }
}
