//! A host of the Lambda Runtime API for one process of a function.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::convert::Infallible;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

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

/// For the init phase, and for each invocation.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The deadline of every invocation, in milliseconds since 1970: the year 2100.
const DEADLINE: &str = "4102444800000";

/// A process of a function. It is killed when this is dropped.
#[derive(Debug)]
pub struct Sandbox {
    process: Process,
    calls: mpsc::UnboundedReceiver<Call>,
    next_event: oneshot::Sender<Bytes>,
    init_time: Duration,
}

/// The response to an event.
#[derive(Debug)]
pub struct Answer {
    /// The payload.
    pub body: Value,
    /// From the event to the whole response.
    pub elapsed: Duration,
}

/// A call of the function, and when it was received.
#[derive(Debug)]
struct Call {
    received_at: Instant,
    kind: CallKind,
}

#[derive(Debug)]
enum CallKind {
    /// `GET next`, whose response is an event.
    Next(oneshot::Sender<Bytes>),
    Response(Bytes),
    Error(Bytes),
}

impl Sandbox {
    /// Starts a process, on the CPU with this number if there is one, and waits for the end of its init phase.
    ///
    /// # Errors
    /// When the process does not start, or does not ask for an event.
    pub async fn start(
        executable: &Path,
        environment: &[(String, String)],
        cpu: Option<usize>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let runtime_api = listener.local_addr()?.to_string();
        let (sender, mut calls) = mpsc::unbounded_channel();
        tokio::spawn(serve(listener, sender));
        // Lambda's own variables, and nothing of this process's environment.
        let mut command = Command::new(executable);
        command
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
            .stdout(Stdio::null());
        let (process, started_at) = spawn(command, cpu)?;
        let process = Process(process);
        let Call { received_at, kind } = receive(&mut calls).await?;
        let CallKind::Next(next_event) = kind else { return Err(unexpected(&kind)) };
        Ok(Self { process, calls, next_event, init_time: received_at - started_at })
    }

    /// From the start of the process to its first request for an event.
    pub fn init_time(&self) -> Duration {
        self.init_time
    }

    /// Sends the function an event, and returns its response once it asks for another event.
    ///
    /// # Errors
    /// When the function fails or ends.
    pub async fn invoke(&mut self, event: &Value) -> io::Result<Answer> {
        let event = Bytes::from(event.to_string());
        let (unused, _) = oneshot::channel();
        let next_event = std::mem::replace(&mut self.next_event, unused);
        let sent_at = Instant::now();
        next_event.send(event).map_err(|_| io::Error::other("the function has closed its connection"))?;
        let Call { received_at, kind } = receive(&mut self.calls).await?;
        let CallKind::Response(body) = kind else { return Err(unexpected(&kind)) };
        let Call { kind, .. } = receive(&mut self.calls).await?;
        let CallKind::Next(next_event) = kind else { return Err(unexpected(&kind)) };
        self.next_event = next_event;
        Ok(Answer { body: serde_json::from_slice(&body)?, elapsed: received_at - sent_at })
    }

    /// The CPU time that the process has used, in user and kernel mode, once all its threads are idle.
    ///
    /// # Errors
    /// When the kernel does not report it, or a thread does not become idle.
    pub async fn cpu_time(&self) -> io::Result<Duration> {
        let idle = async {
            // The kernel counts the time of a thread when it leaves the CPU.
            while !self.process.is_idle()? {
                tokio::task::yield_now().await;
            }
            self.process.cpu_time()
        };
        let timeout =
            |_| io::Error::other(format!("the function was busy for {TIMEOUT:?} after its response"));
        tokio::time::timeout(TIMEOUT, idle).await.map_err(timeout)?
    }

    /// The peak resident memory, in KB.
    ///
    /// # Errors
    /// When the kernel does not report it.
    pub fn peak_memory(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.0.id()))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = peak.and_then(|peak| peak.split_whitespace().next()?.parse().ok());
        kilobytes.ok_or_else(|| io::Error::other("the kernel does not report the memory of processes"))
    }
}

/// Kills its process when it is dropped.
#[derive(Debug)]
struct Process(Child);

impl Process {
    /// The content of a file in `/proc/PID/task/TID`, for each thread.
    fn threads(&self, file: &str) -> io::Result<Vec<String>> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.0.id()))?;
        threads.map(|thread| fs::read_to_string(thread?.path().join(file))).collect()
    }

    /// Whether each thread sleeps. The state follows the name, which is in parentheses.
    fn is_idle(&self) -> io::Result<bool> {
        let threads = self.threads("stat")?;
        Ok(threads
            .iter()
            .all(|thread| thread.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S'))))
    }

    /// The CPU time of all living threads, in nanoseconds, where `stat` has hundredths of a second. Only threads that
    /// look up names end, after seconds without work.
    fn cpu_time(&self) -> io::Result<Duration> {
        let mut total = Duration::ZERO;
        for statistics in self.threads("schedstat")? {
            let nanoseconds = statistics.split(' ').next().and_then(|number| number.parse().ok());
            total += nanoseconds
                .map(Duration::from_nanos)
                .ok_or_else(|| io::Error::other("the kernel does not report the time of threads"))?;
        }
        Ok(total)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail if the process has ended.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Starts a process, on the CPU with this number if there is one; returns the moment before.
fn spawn(mut command: Command, cpu: Option<usize>) -> io::Result<(Child, Instant)> {
    let mut start = move || {
        let started_at = Instant::now();
        command.spawn().map(|process| (process, started_at))
    };
    let Some(cpu) = cpu else { return start() };
    // A process inherits the affinity of the thread that starts it.
    let thread = thread::spawn(move || {
        pin_thread(cpu)?;
        start()
    });
    thread.join().map_err(|_| io::Error::other("the thread that starts the function has panicked"))?
}

/// Pins this thread, and the threads that it starts from now on, to a CPU.
///
/// # Errors
/// When there is no such CPU, or no `taskset`.
pub fn pin_thread(cpu: usize) -> io::Result<()> {
    let thread = fs::read_link("/proc/thread-self")?;
    let id = thread.file_name().ok_or_else(|| io::Error::other("a thread without an id"))?;
    let output = Command::new("taskset").args(["-c", "-p", &cpu.to_string()]).arg(id).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("taskset: {}", String::from_utf8_lossy(&output.stderr))))
}

async fn receive(calls: &mut mpsc::UnboundedReceiver<Call>) -> io::Result<Call> {
    let call = tokio::time::timeout(TIMEOUT, calls.recv()).await;
    call.ok().flatten().ok_or_else(|| io::Error::other(format!("the function made no call for {TIMEOUT:?}")))
}

fn unexpected(call: &CallKind) -> io::Error {
    match call {
        CallKind::Next(_) => {
            io::Error::other("the function asks for an event before it has responded to one")
        }
        CallKind::Response(_) => io::Error::other("the function responds without an event"),
        CallKind::Error(error) => {
            io::Error::other(format!("the function failed: {}", String::from_utf8_lossy(error)))
        }
    }
}

/// Serves the Runtime API, and reports each call.
async fn serve(listener: TcpListener, calls: mpsc::UnboundedSender<Call>) {
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).ok();
        let calls = calls.clone();
        let service = service_fn(move |request| {
            let calls = calls.clone();
            async move { Ok::<_, Infallible>(respond(request, &calls).await) }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn respond(request: Request<Incoming>, calls: &mpsc::UnboundedSender<Call>) -> Response<Full<Bytes>> {
    let report = |kind| calls.send(Call { received_at: Instant::now(), kind }).ok();
    let response = Response::builder();
    let response = if request.method() == Method::GET {
        let (sender, event) = oneshot::channel();
        report(CallKind::Next(sender));
        match event.await {
            Ok(event) => response
                .header("Lambda-Runtime-Aws-Request-Id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
                .header("Lambda-Runtime-Deadline-Ms", DEADLINE)
                .header(
                    "Lambda-Runtime-Invoked-Function-Arn",
                    "arn:aws:lambda:us-east-1:000000000000:function:function",
                )
                .body(Full::from(event)),
            // The sandbox is dropped.
            Err(_) => response.status(StatusCode::GONE).body(Full::default()),
        }
    } else {
        let failed = request.uri().path().ends_with("/error");
        let body =
            request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        report(if failed { CallKind::Error(body) } else { CallKind::Response(body) });
        response.status(StatusCode::ACCEPTED).body(Full::default())
    };
    response.expect("a response")
}
