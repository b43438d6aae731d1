//! A first result for new users of the pipeline.

use std::fmt::Write;
use std::time::Duration;

use badgesmith_aws::clock::Clock;
use badgesmith_aws::secrets_manager::SecretNames;
use badgesmith_domain::ids::Repository;
use badgesmith_domain::signature::HmacKey;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::config::Secret;
use crate::server::Server;

const REPOSITORY: &str = "demo/badgesmith";
const BADGE_PATH: &str = "/badges/tests/linux/demo/badgesmith/main";
const IMAGE_PATH: &str = "/svg/tests/linux/demo/badgesmith/main";
/// The message of the badge before the first result.
const NO_RESULTS: &str = "\"no results\"";
/// How often the badge is read until it shows the first result.
const POLLS_MAX: u32 = 100;
const POLL_PERIOD: Duration = Duration::from_millis(50);

/// Registers the demo repository unless it exists, submits its first result unless it has one, and returns a text
/// with the badge and the next steps.
///
/// # Errors
/// The message for the log. The pipeline itself keeps running.
pub async fn run(server: &Server) -> Result<String, String> {
    let repository: Repository = REPOSITORY.parse().map_err(|_| "invalid demo repository".to_owned())?;
    let name = SecretNames::default().repository(&repository);
    let secrets = server.aws().secrets();
    let secret = secrets.current(&name).map_err(|error| error.to_string())?;
    let key = if let Some(secret) = secret {
        key_of(&secret).ok_or_else(|| format!("the secret {name} holds no key"))?
    } else {
        let key = random_key();
        let secret = Secret::new(repository, &key)?;
        secrets.put(&name, &secret.value).map_err(|error| error.to_string())?;
        key
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

/// 366 random bits, in base64.
fn random_key() -> String {
    let bytes = [Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4()].map(Uuid::into_bytes).concat();
    STANDARD.encode(bytes)
}

fn key_of(secret: &str) -> Option<String> {
    let secret: Value = serde_json::from_str(secret).ok()?;
    secret["hmac_key"].as_str().map(str::to_owned)
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
