//! A first result for new users of the pipeline.

use std::fmt::Write;
use std::time::Duration;

use badgesmith_aws::clock::Clock;
use badgesmith_aws::dynamodb::Registrations;
use badgesmith_domain::derived_key::{KeyId, MasterKey};
use badgesmith_domain::ids::Repository;
use badgesmith_domain::registration::{ActiveRegistration, Registration};
use badgesmith_domain::signature::HmacKey;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use serde_json::json;
use uuid::Uuid;

use crate::server::Server;
use crate::stack::{MASTER_KEY, SECRETS_TABLE};

const REPOSITORY: &str = "demo/badgesmith";
const BADGE_PATH: &str = "/badges/tests/linux/demo/badgesmith/main";
const IMAGE_PATH: &str = "/svg/tests/linux/demo/badgesmith/main";
/// The message of the badge before the first result.
const NO_RESULTS: &str = "\"no results\"";
/// How often the badge is read until it shows the first result.
const POLLS_MAX: u32 = 100;
const POLL_PERIOD: Duration = Duration::from_millis(50);

/// Registers the demo repository unless it exists, submits its first result unless it has one, and returns a text
/// with the badge and the next steps. If an operator has removed the repository, or it has no derived key, changes
/// nothing, and returns a text that says so.
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
        submit(server, &key).await?;
        for _ in 0..POLLS_MAX {
            badge = get_badge(server).await?;
            if !badge.contains(NO_RESULTS) {
                break;
            }
            tokio::time::sleep(POLL_PERIOD).await;
        }
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
    let repository: Repository = REPOSITORY.parse().map_err(|_| "invalid demo repository".to_owned())?;
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

/// Submits a result, signed with the characters of the key.
async fn submit(server: &Server, key: &str) -> Result<(), String> {
    let run = "https://github.com/demo/badgesmith/actions/runs/1";
    let body = json!({
        "owner": "demo", "repo": "badgesmith", "platform": "linux", "branch": "main",
        "passed": 190, "failed": 0, "skipped": 2, "total": 192,
        "timestamp": Clock::System.now(), "nonce": Uuid::new_v4().to_string(), "run_id": "1",
        "workflow_run_url": run,
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
    let request = Request::builder().method(Method::GET).uri(BADGE_PATH).body(Bytes::new());
    let response = server.gateway().answer(request.map_err(|error| error.to_string())?).await;
    Ok(String::from_utf8_lossy(response.body()).into_owned())
}

fn text(server: &Server, badge: &str, key: &str) -> String {
    // The next result has another badge.
    let (passed, failed) = if badge.contains("failed") { (190, 0) } else { (188, 2) };
    let base = format!("http://{}", server.address());
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        r#"
{REPOSITORY} has this badge on linux, branch main:

  {badge}
  {base}{BADGE_PATH}
  {base}{IMAGE_PATH}

Submit another result from a second terminal:

  KEY='{key}'
  BODY='{{"owner":"demo","repo":"badgesmith","platform":"linux","branch":"main","passed":{passed},"failed":{failed},"skipped":0,"total":190,"timestamp":"'$(date -u +%Y-%m-%dT%H:%M:%SZ)'","nonce":"'$(openssl rand -hex 16)'","run_id":"2","workflow_run_url":"https://github.com/demo/badgesmith/actions/runs/2"}}'
  SIGNATURE=$(printf %s "$BODY" | openssl dgst -sha256 -hmac "$KEY" | sed 's/^.* //')
  curl -i {base}/tests/results -H 'Content-Type: application/json' \
    -H "X-Repo-Secret: {REPOSITORY}" -H "X-Signature: sha256=$SIGNATURE" --data-raw "$BODY"; echo

Badges are cached for up to 30 s. Packages on nuget.org have badges, too. Their message is "pending" until they are
fetched:

  curl {base}/badges/packages/nuget/Newtonsoft.Json; echo

Stop with Ctrl-C.
"#
    );
    text
}
