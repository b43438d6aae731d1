//! A repository with some weeks of results, for new users of the pipeline.

mod history;

use std::time::Duration;

use badgesmith_aws::clock::Clock;
use badgesmith_aws::dynamodb::{Registrations, Results};
use badgesmith_domain::derived_key::{KeyId, MasterKey};
use badgesmith_domain::ids::Repository;
use badgesmith_domain::registration::{ActiveRegistration, Registration};
use badgesmith_domain::signature::HmacKey;
use bytes::Bytes;
use http::{Request, StatusCode};
use serde_json::json;
use uuid::Uuid;

use crate::server::Server;
use crate::stack::{MASTER_KEY, RESULTS_QUEUE, SECRETS_TABLE, TEST_RESULTS_TABLE};

const REPOSITORY: &str = "demo/badgesmith";
const BADGE_PATH: &str = "/badges/tests/linux/demo/badgesmith/main";
const IMAGE_PATH: &str = "/svg/tests/linux/demo/badgesmith/main";
const PAGE_PATH: &str = "/repos/demo/badgesmith";
/// The message of the badge before the first result.
const NO_RESULTS: &str = "\"no results\"";
/// How often the queue is read until the newest result is stored.
const POLLS_MAX: u32 = 100;
const POLL_PERIOD: Duration = Duration::from_millis(50);

/// Registers the demo repository unless it exists, stores its history and submits its newest result unless it has
/// results, and returns a text with its page, the badge and the next steps. If an operator has removed the repository, or
/// it has no derived key, changes nothing, and returns a text that says so.
///
/// # Errors
/// The message for the log. The pipeline itself keeps running.
pub async fn run(server: &Server) -> Result<String, String> {
    let key = match key(server).await? {
        DemoKey::Derived(key) => key,
        DemoKey::Removed => {
            return Ok(format!(
                "no demo: {REPOSITORY} was removed; `badgesmith repo add {REPOSITORY}` registers it again\n"
            ));
        }
        DemoKey::NotDerived => {
            return Ok(format!(
                "no demo: {REPOSITORY} has no derived key; `badgesmith repo rotate {REPOSITORY} --derived` makes one\n"
            ));
        }
    };
    let mut badge = get_badge(server).await?;
    if badge.contains(NO_RESULTS) {
        store_history(server).await?;
        submit(server, &key).await?;
        for _ in 0..POLLS_MAX {
            if server.aws().queues().depth(RESULTS_QUEUE).map_err(|error| error.to_string())? == 0 {
                break;
            }
            tokio::time::sleep(POLL_PERIOD).await;
        }
        badge = get_badge(server).await?;
    }
    Ok(text(server, &badge, &key))
}

/// The key of the demo repository, or why it has none that the demo may use.
enum DemoKey {
    Derived(String),
    Removed,
    NotDerived,
}

/// The key of the demo repository, which is registered if it never was.
async fn key(server: &Server) -> Result<DemoKey, String> {
    let repository = repository()?;
    let registrations = Registrations::new(&server.aws().sdk_config(), SECRETS_TABLE.to_owned());
    let record = registrations.find(&repository).await.map_err(|error| error.to_string())?;
    let id = match record.map(|record| record.registration) {
        Some(Registration::Active(active)) => match active.proofs.derived {
            Some(ids) => ids.current,
            None => return Ok(DemoKey::NotDerived),
        },
        Some(Registration::Removed(_)) => return Ok(DemoKey::Removed),
        None => {
            let id = KeyId::new(Uuid::new_v4().into_bytes());
            let registration = ActiveRegistration::with_derived_key(id, Clock::System.now());
            let put = registrations.put(&repository, &Registration::Active(registration), None).await;
            if !put.map_err(|error| error.to_string())? {
                return Err("the registration of the demo has changed".to_owned());
            }
            id
        }
    };
    derive(server, &repository, id).map(DemoKey::Derived)
}

fn derive(server: &Server, repository: &Repository, key_id: KeyId) -> Result<String, String> {
    let secret = server.aws().secrets().current(MASTER_KEY).map_err(|error| error.to_string())?;
    let master = secret.and_then(|secret| MasterKey::new(&secret)).ok_or("there is no master key")?;
    Ok(master.derive(repository, key_id).as_str().to_owned())
}

fn repository() -> Result<Repository, String> {
    REPOSITORY.parse().map_err(|_| "invalid demo repository".to_owned())
}

/// Stores the history as the processor does. Only the API requires that a result is new.
async fn store_history(server: &Server) -> Result<(), String> {
    let results = history::results(&repository()?, Clock::System.now()).map_err(|error| error.to_string())?;
    let table = Results::new(&server.aws().sdk_config(), TEST_RESULTS_TABLE.to_owned());
    if table.put_all(&results).await.is_empty() {
        Ok(())
    } else {
        Err("the history of the demo was not stored".to_owned())
    }
}

/// Submits a result, signed with the characters of the key.
async fn submit(server: &Server, key: &str) -> Result<(), String> {
    let body = json!({
        "owner": "demo", "repo": "badgesmith", "platform": "linux", "branch": "main", "suite": "unit",
        "passed": 142, "failed": 0, "skipped": 0, "total": 142, "default_branch": "main",
        "timestamp": Clock::System.now(), "nonce": Uuid::new_v4().to_string(),
        "run_id": history::NEWEST_RUN, "commit": history::commit(history::NEWEST_RUN), "workflow_run_url": history::run_url(history::NEWEST_RUN),
    })
    .to_string();
    let signature =
        HmacKey::new(key.as_bytes()).ok_or("the key of the demo is too short")?.sign(body.as_bytes());
    let request = Request::post("/tests/results")
        .header("content-type", "application/json")
        .header("x-signature", signature.to_string())
        .header("x-repo-secret", REPOSITORY)
        .body(Bytes::from(body))
        .map_err(|error| error.to_string())?;
    let response = server.gateway().answer(request).await;
    if response.status() == StatusCode::ACCEPTED {
        Ok(())
    } else {
        Err(format!(
            "the first result was rejected with {}: {}",
            response.status(),
            String::from_utf8_lossy(response.body())
        ))
    }
}

async fn get_badge(server: &Server) -> Result<String, String> {
    let request = Request::get(BADGE_PATH).body(Bytes::new()).map_err(|error| error.to_string())?;
    let response = server.gateway().answer(request).await;
    Ok(String::from_utf8_lossy(response.body()).into_owned())
}

fn text(server: &Server, badge: &str, key: &str) -> String {
    // The next result has another badge.
    let (passed, failed, failures) = if badge.contains("failed") {
        (142, 0, "[]")
    } else {
        (140, 2, r#"["cli::prints_help","cli::reads_stdin"]"#)
    };
    let (run_id, url) = (history::NEWEST_RUN + 1, history::run_url(history::NEWEST_RUN + 1));
    let base = format!("http://{}", server.address());
    format!(
        r#"
This is the page of a demo repository, whose results are made up:

  {base}{PAGE_PATH}

{REPOSITORY} has this badge on linux, branch main:

  {badge}
  {base}{BADGE_PATH}
  {base}{IMAGE_PATH}

Submit another result from a second terminal:

  KEY='{key}'
  BODY='{{"owner":"demo","repo":"badgesmith","platform":"linux","branch":"main","suite":"unit","passed":{passed},"failed":{failed},"skipped":0,"total":142,"failures":{failures},"default_branch":"main","timestamp":"'$(date -u +%Y-%m-%dT%H:%M:%SZ)'","nonce":"'$(openssl rand -hex 16)'","run_id":"{run_id}","workflow_run_url":"{url}"}}'
  SIGNATURE=$(printf %s "$BODY" | openssl dgst -sha256 -hmac "$KEY" | sed 's/^.* //')
  curl -i {base}/tests/results -H 'Content-Type: application/json' \
    -H "X-Repo-Secret: {REPOSITORY}" -H "X-Signature: sha256=$SIGNATURE" --data-raw "$BODY"; echo

Badges are cached for up to 30 s. Packages on nuget.org have badges, too. Their message is "pending" until they are
fetched:

  curl {base}/badges/packages/nuget/Newtonsoft.Json; echo

Stop with Ctrl-C.
"#
    )
}
