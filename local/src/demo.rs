//! A first result for someone who has just started the pipeline.

use std::fmt::Write;
use std::time::Duration;

use badgesmith_aws::clock::Clock;
use badgesmith_aws::secrets_manager::repository_secret_name;
use badgesmith_domain::ids::Repository;
use badgesmith_domain::signature::HmacKey;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::options::Secret;
use crate::server::Server;

/// The demo's repository.
const REPOSITORY: &str = "demo/badgesmith";
/// Where its badge is.
const BADGE_PATH: &str = "/badges/tests/linux/demo/badgesmith/main";
/// What it says before the first result.
const NOTHING_YET: &str = "\"no results\"";
/// The result is looked for this often, at this distance.
const LOOKS: u32 = 100;
const LOOK_PERIOD: Duration = Duration::from_millis(50);

/// Makes sure of the demo's repository, sends its first result if it had none yet, and returns the text
/// that shows what came of it and how to go on.
///
/// # Errors
/// What went wrong, as a sentence; the pipeline itself is not affected.
pub async fn run(server: &Server) -> Result<String, String> {
    let repository: Repository = REPOSITORY.parse().map_err(|_| "the demo has no repository".to_owned())?;
    let name = repository_secret_name(&repository);
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
    if badge.contains(NOTHING_YET) {
        submit(server, &key).await?;
        for _ in 0..LOOKS {
            badge = get_badge(server).await?;
            if !badge.contains(NOTHING_YET) {
                break;
            }
            tokio::time::sleep(LOOK_PERIOD).await;
        }
    }
    Ok(text(server, &badge, &key))
}

/// Sends a result as a client of today does, signed with the key's string.
async fn submit(server: &Server, key: &str) -> Result<(), String> {
    let run = "https://github.com/demo/badgesmith/actions/runs/1";
    let body = json!({
        "owner": "demo", "repo": "badgesmith", "platform": "linux", "branch": "main",
        "passed": 190, "failed": 0, "skipped": 2, "total": 192,
        "timestamp": Clock::System.now(), "nonce": Uuid::new_v4().to_string(), "run_id": "1",
        "workflow_run_url": run,
    })
    .to_string();
    let signature = HmacKey::new(key.as_bytes()).ok_or("the demo's key is too short")?.sign(body.as_bytes());
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
            "the first result got {}: {}",
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

/// More than 256 bits from the operating system, in base64.
fn random_key() -> String {
    let bytes = [Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4()].map(Uuid::into_bytes).concat();
    STANDARD.encode(bytes)
}

fn key_of(secret: &str) -> Option<String> {
    let secret: Value = serde_json::from_str(secret).ok()?;
    secret["hmac_key"].as_str().map(str::to_owned)
}

fn text(server: &Server, badge: &str, key: &str) -> String {
    // A result that will show as another one.
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

Send it another result from a second terminal:

  KEY='{key}'
  BODY='{{"owner":"demo","repo":"badgesmith","platform":"linux","branch":"main","passed":{passed},"failed":{failed},"skipped":0,"total":190,"timestamp":"'$(date -u +%Y-%m-%dT%H:%M:%SZ)'","nonce":"'$(openssl rand -hex 16)'","run_id":"2","workflow_run_url":"https://github.com/demo/badgesmith/actions/runs/2"}}'
  SIGNATURE=$(printf %s "$BODY" | openssl dgst -sha256 -hmac "$KEY" | sed 's/^.* //')
  curl -i {base}/tests/results -H 'Content-Type: application/json' \
    -H "X-Repo-Secret: {REPOSITORY}" -H "X-Signature: sha256=$SIGNATURE" --data-raw "$BODY"; echo

The badge may stay as it is for up to 30 s, since a badge that was read is kept that long. A package of nuget.org has
a badge too, "pending" until it was looked up:

  curl {base}/badges/packages/nuget/Newtonsoft.Json; echo

Stop with Ctrl-C.
"#
    );
    text
}
