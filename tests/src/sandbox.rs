//! Lambda, as one process of a function sees it: the Runtime API, and the environment.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::convert::Infallible;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

/// Nothing takes longer, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(30);
/// The time that every invocation is said to have, by the clock: the year 2100.
const DEADLINE: &str = "4102444800000";

/// A process of a function.
#[derive(Debug)]
pub struct Sandbox {
    process: Child,
    calls: mpsc::UnboundedReceiver<Call>,
    /// Where the next event goes.
    idle: oneshot::Sender<Value>,
}

/// What the function says.
#[derive(Debug)]
enum Call {
    /// It waits for an event.
    Next(oneshot::Sender<Value>),
    /// It has answered one.
    Response(Bytes),
    /// It has failed.
    Error(Bytes),
}

impl Sandbox {
    /// Starts a process, and waits for the end of its init phase.
    ///
    /// # Errors
    /// When it does not start, or does not ask for an event.
    pub async fn start(executable: &Path, environment: &[(String, String)]) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let runtime_api = listener.local_addr()?.to_string();
        let (said, mut calls) = mpsc::unbounded_channel();
        tokio::spawn(serve(listener, said));
        // Lambda's own variables, and nothing of this process's environment.
        let process = Command::new(executable)
            .env_clear()
            .envs([
                ("AWS_LAMBDA_RUNTIME_API", runtime_api.as_str()),
                ("AWS_REGION", "us-east-1"),
                ("AWS_ACCESS_KEY_ID", "any"),
                ("AWS_SECRET_ACCESS_KEY", "any"),
                ("AWS_SESSION_TOKEN", "any"),
                ("AWS_LAMBDA_FUNCTION_NAME", "function"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
                ("AWS_LAMBDA_LOG_GROUP_NAME", "log"),
                ("AWS_LAMBDA_LOG_STREAM_NAME", "log"),
            ])
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        let mut process = Ended(Some(process));
        match next(&mut calls).await? {
            Call::Next(idle) => {
                let process = process.0.take().expect("it was just started");
                Ok(Self { process, calls, idle })
            }
            call @ (Call::Response(_) | Call::Error(_)) => Err(unexpected(&call)),
        }
    }

    /// Gives the function an event, and returns its answer with the CPU time that the process has taken until then.
    ///
    /// # Errors
    /// When the function fails, or ends.
    pub async fn invoke(&mut self, event: Value) -> io::Result<(Value, Duration)> {
        let (unused, _) = oneshot::channel();
        let gone = |_| io::Error::other("the function has closed its connection");
        std::mem::replace(&mut self.idle, unused).send(event).map_err(gone)?;
        let answer = match next(&mut self.calls).await? {
            Call::Response(answer) => serde_json::from_slice(&answer)?,
            call @ (Call::Next(_) | Call::Error(_)) => return Err(unexpected(&call)),
        };
        let cpu_time = cpu_time(self.process.id())?;
        match next(&mut self.calls).await? {
            Call::Next(idle) => self.idle = idle,
            call @ (Call::Response(_) | Call::Error(_)) => return Err(unexpected(&call)),
        }
        Ok((answer, cpu_time))
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}

/// A process that is ended unless it was taken out.
struct Ended(Option<Child>);

impl Drop for Ended {
    fn drop(&mut self) {
        if let Some(process) = &mut self.0 {
            end(process);
        }
    }
}

fn end(process: &mut Child) {
    // Where it has ended already, there is nothing to be done.
    process.kill().ok();
    process.wait().ok();
}

/// The CPU time of a process, in user and kernel mode, of all threads that live: to the nanosecond, where the usual
/// count is in hundredths of a second. A function has no threads that end but those that look names up, which stay
/// for seconds.
fn cpu_time(process: u32) -> io::Result<Duration> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let statistics = fs::read_to_string(thread?.path().join("schedstat"))?;
        let on_cpu = statistics.split(' ').next().and_then(|number| number.parse::<u64>().ok());
        nanoseconds +=
            on_cpu.ok_or_else(|| io::Error::other("the kernel does not tell the time of threads"))?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

async fn next(calls: &mut mpsc::UnboundedReceiver<Call>) -> io::Result<Call> {
    let call = tokio::time::timeout(PATIENCE, calls.recv()).await;
    call.ok().flatten().ok_or_else(|| io::Error::other(format!("nothing was heard for {PATIENCE:?}")))
}

fn unexpected(call: &Call) -> io::Error {
    match call {
        Call::Next(_) => io::Error::other("the function asks for an event before it has answered one"),
        Call::Response(_) => io::Error::other("the function answers what nobody has asked"),
        Call::Error(error) => io::Error::other(format!("it failed: {}", String::from_utf8_lossy(error))),
    }
}

/// Passes on what the function says, and gives it the events.
async fn serve(listener: TcpListener, said: mpsc::UnboundedSender<Call>) {
    while let Ok((stream, _)) = listener.accept().await {
        let said = said.clone();
        let service = service_fn(move |request| {
            let said = said.clone();
            async move { Ok::<_, Infallible>(hear(request, &said).await) }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn hear(request: Request<Incoming>, said: &mpsc::UnboundedSender<Call>) -> Response<Full<Bytes>> {
    let response = Response::builder();
    let response = if request.method() == Method::GET {
        let (idle, event) = oneshot::channel();
        said.send(Call::Next(idle)).ok();
        match event.await {
            Ok(event) => response
                .header("Lambda-Runtime-Aws-Request-Id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
                .header("Lambda-Runtime-Deadline-Ms", DEADLINE)
                .header(
                    "Lambda-Runtime-Invoked-Function-Arn",
                    "arn:aws:lambda:us-east-1:000000000000:function:function",
                )
                .body(Full::from(event.to_string())),
            // The sandbox is gone, and its process will be in a moment.
            Err(_) => response.status(StatusCode::GONE).body(Full::default()),
        }
    } else {
        let failed = request.uri().path().ends_with("/error");
        let body =
            request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        said.send(if failed { Call::Error(body) } else { Call::Response(body) }).ok();
        response.status(StatusCode::ACCEPTED).body(Full::default())
    };
    response.expect("a response")
}
