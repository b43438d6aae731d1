//! SQS as its standard queues may be at their worst, on a port of this machine: no order, no deletion by an old handle,
//! an end to what can be hidden, counts and clocks of its own, and calls that take long. `local` is kinder.
//!
//! It knows what `badgesmith dlq` and `status` ask for, in SQS's JSON protocol. Each connection has a thread.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use badgesmith_aws::clock::Clock;
use serde_json::{Map, Value, json};

use super::{CommandOutput, badgesmith};

pub(super) const DEAD: &str = "ResultsDeadLetterQueue";
pub(super) const SOURCE: &str = "ResultsQueue";
/// What has this in its body can never succeed: it comes back at once.
pub(super) const POISON: &str = "poison";

/// An SQS with queues that are made when they are first named. Clones are the same.
#[derive(Clone)]
pub(super) struct StandardQueues {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

pub(super) struct State {
    random: fastrand::Rng,
    queues: HashMap<String, Vec<Message>>,
    handles: u64,
    /// So many of a queue are hidden at most.
    pub(super) hidden_max: usize,
    /// Said instead of what is true, of all counts.
    pub(super) count: Option<usize>,
    /// How far its clock is ahead of this machine's, in milliseconds.
    pub(super) ahead: i64,
    /// Of each call.
    pub(super) latency: Duration,
    /// What happens to a call: the operation, after how many of it, what.
    pub(super) planned: Vec<(&'static str, usize, Planned)>,
    /// When each batch was sent, and how many it had.
    pub(super) sends: Vec<(Instant, usize)>,
    /// The operations, as they came.
    pub(super) calls: Vec<String>,
}

#[derive(Clone, Copy)]
pub(super) enum Planned {
    /// It begins later.
    Pause(Duration),
    /// It begins later, and somebody else has received what shows then.
    Steal(Duration),
    /// It is not allowed.
    Deny,
}

struct Message {
    id: String,
    body: String,
    sent_at: i64,
    /// When it shows.
    shows_at: Instant,
    first_received_at: i64,
    receives: usize,
    handle: String,
    attributes: Value,
    trace: Option<String>,
}

impl StandardQueues {
    pub(super) fn start(seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            random: fastrand::Rng::with_seed(seed),
            queues: HashMap::new(),
            handles: 0,
            hidden_max: 120_000,
            count: None,
            ahead: 0,
            latency: Duration::ZERO,
            planned: Vec::new(),
            sends: Vec::new(),
            calls: Vec::new(),
        }));
        let queues = Self { address, state };
        let served = queues.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let served = served.clone();
                std::thread::spawn(move || served.serve(&stream.unwrap()));
            }
        });
        queues
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = badgesmith(arguments);
        command.args(["--endpoint-url", &format!("http://{}", self.address)]);
        command
    }

    pub(super) fn run(&self, arguments: &[&str]) -> CommandOutput {
        self.command(arguments).output().unwrap().into()
    }

    fn serve(&self, stream: &TcpStream) {
        stream.set_nodelay(true).unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some((operation, body)) = read(&mut reader) {
            let (status, answer) = self.answer(&operation, &body);
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {}\r\n\r\n",
                answer.len()
            );
            // Whoever was killed does not read it.
            if (&mut &*stream).write_all(format!("{head}{answer}").as_bytes()).is_err() {
                return;
            }
        }
    }

    fn answer(&self, operation: &str, body: &Value) -> (&'static str, String) {
        let queue = body["QueueUrl"].as_str().unwrap_or_default().rsplit('/').next().unwrap().to_owned();
        let mut state = self.state();
        state.calls.push(operation.to_owned());
        let calls = state.calls.iter().filter(|call| *call == operation).count();
        let planned =
            state.planned.iter().find(|(of, after, _)| *of == operation && calls == after.saturating_add(1));
        let planned = planned.map(|(_, _, planned)| *planned);
        let always = state.planned.iter().any(|(of, after, _)| *of == operation && *after == usize::MAX);
        let pause = match planned {
            Some(Planned::Pause(pause) | Planned::Steal(pause)) => pause,
            Some(Planned::Deny) | None => state.latency,
        };
        drop(state);
        if always || matches!(planned, Some(Planned::Deny)) {
            return error("AccessDeniedException");
        }
        if !pause.is_zero() {
            std::thread::sleep(pause);
        }
        if let Some(Planned::Steal(_)) = planned {
            let hour = Instant::now() + Duration::from_hours(1);
            for message in self.state().showing(&queue) {
                message.shows_at = hour;
                "stolen".clone_into(&mut message.handle);
            }
        }
        match operation {
            "ReceiveMessage" => self.receive(&queue, body),
            "GetQueueAttributes" => ("200 OK", self.state().counts(&queue).to_string()),
            "DeleteMessageBatch" | "ChangeMessageVisibilityBatch" | "SendMessageBatch" => {
                ("200 OK", self.state().each(operation, &queue, body).to_string())
            }
            "PurgeQueue" => {
                self.state().queue(&queue).clear();
                ("200 OK", "{}".to_owned())
            }
            // Tables are empty.
            _ => ("200 OK", json!({ "Count": 0, "Items": [], "ScannedCount": 0 }).to_string()),
        }
    }

    fn receive(&self, queue: &str, body: &Value) -> (&'static str, String) {
        let wait = Duration::from_secs(body["WaitTimeSeconds"].as_u64().unwrap_or_default());
        let deadline = Instant::now() + wait;
        // SQS says so only to who does not wait; its documentation does not promise that.
        let tells_limit = wait.is_zero() || self.state().random.bool();
        loop {
            match self.state().take(queue, body) {
                Some(messages) if !messages.is_empty() => {
                    return ("200 OK", json!({ "Messages": messages }).to_string());
                }
                None if tells_limit => return error("OverLimit"),
                _ if Instant::now() >= deadline => return ("200 OK", "{}".to_owned()),
                _ => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}

impl State {
    fn queue(&mut self, name: &str) -> &mut Vec<Message> {
        self.queues.entry(name.to_owned()).or_default()
    }

    fn showing(&mut self, name: &str) -> impl Iterator<Item = &mut Message> {
        let now = Instant::now();
        self.queue(name).iter_mut().filter(move |message| message.shows_at <= now)
    }

    fn now(&self) -> i64 {
        Clock::System.now().unix_milliseconds() + self.ahead
    }

    pub(super) fn send(&mut self, queue: &str, body: &str, age: Duration) {
        let sent_at = self.now() - i64::try_from(age.as_millis()).unwrap();
        self.push(queue, &json!({ "MessageBody": body }), sent_at);
    }

    fn push(&mut self, queue: &str, entry: &Value, sent_at: i64) {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let message = Message {
            id: uuid::Builder::from_random_bytes(self.random.u128(..).to_be_bytes()).into_uuid().to_string(),
            body: text(&entry["MessageBody"]).unwrap(),
            sent_at,
            shows_at: Instant::now(),
            first_received_at: 0,
            receives: 0,
            handle: String::new(),
            attributes: entry["MessageAttributes"].clone(),
            trace: entry.pointer("/MessageSystemAttributes/AWSTraceHeader/StringValue").and_then(text),
        };
        self.queue(queue).push(message);
    }

    /// What a queue has, whether it shows or not.
    pub(super) fn bodies(&mut self, queue: &str) -> Vec<String> {
        let mut bodies: Vec<_> = self.queue(queue).iter().map(|message| message.body.clone()).collect();
        bodies.sort();
        bodies
    }

    pub(super) fn ids(&mut self, queue: &str) -> Vec<String> {
        self.queue(queue).iter().map(|message| message.id.clone()).collect()
    }

    pub(super) fn hidden(&mut self, queue: &str) -> usize {
        let all = self.queue(queue).len();
        all - self.showing(queue).count()
    }

    pub(super) fn traces(&mut self, queue: &str) -> Vec<Option<String>> {
        self.queue(queue).iter().map(|message| message.trace.clone()).collect()
    }

    pub(super) fn set_trace(&mut self, queue: &str, trace: &str) {
        for message in self.queue(queue) {
            message.trace = Some(trace.to_owned());
        }
    }

    fn counts(&mut self, queue: &str) -> Value {
        let hidden = self.hidden(queue);
        let all = self.queue(queue).len();
        let count = |count: usize| self.count.unwrap_or(count).to_string();
        json!({ "Attributes": {
            "ApproximateNumberOfMessages": count(all - hidden),
            "ApproximateNumberOfMessagesNotVisible": count(hidden),
            "ApproximateNumberOfMessagesDelayed": "0",
        } })
    }

    /// Some that show, in no order; `None` when as many are hidden as may be.
    fn take(&mut self, queue: &str, body: &Value) -> Option<Vec<Value>> {
        let free = self.hidden_max.saturating_sub(self.hidden(queue));
        if free == 0 {
            return None;
        }
        let (now, at) = (Instant::now(), self.now());
        let hide = Duration::from_secs(body["VisibilityTimeout"].as_u64().unwrap_or(30));
        let most = usize::try_from(body["MaxNumberOfMessages"].as_u64().unwrap_or(1)).unwrap();
        // Often fewer than there are.
        let most = self.random.usize(1..=most).max(self.random.usize(1..=most)).min(free);
        let messages = self.queues.get_mut(queue)?;
        let showing: Vec<_> = messages.iter_mut().filter(|message| message.shows_at <= now).collect();
        let mut taken = Vec::new();
        for message in self.random.choose_multiple(showing, most) {
            self.handles += 1;
            message.receives += 1;
            if message.receives == 1 {
                message.first_received_at = at;
            }
            message.shows_at = now + hide;
            message.handle = self.handles.to_string();
            let mut system = Map::new();
            system.insert("SentTimestamp".into(), message.sent_at.to_string().into());
            system.insert("ApproximateReceiveCount".into(), message.receives.to_string().into());
            let first = message.first_received_at.to_string();
            system.insert("ApproximateFirstReceiveTimestamp".into(), first.into());
            system.extend(message.trace.clone().map(|trace| ("AWSTraceHeader".to_owned(), trace.into())));
            taken.push(json!({
                "MessageId": message.id,
                "ReceiptHandle": message.handle,
                "Body": message.body,
                "Attributes": system,
                "MessageAttributes": message.attributes,
            }));
        }
        Some(taken)
    }

    fn each(&mut self, operation: &str, queue: &str, body: &Value) -> Value {
        let entries = body["Entries"].as_array().unwrap();
        if operation == "SendMessageBatch" {
            self.sends.push((Instant::now(), entries.len()));
        }
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for entry in entries {
            let id = &entry["Id"];
            let handle = entry["ReceiptHandle"].as_str().unwrap_or_default();
            let done = match operation {
                "SendMessageBatch" => {
                    let is_poison = entry["MessageBody"].as_str().unwrap().contains(POISON);
                    self.push(if is_poison { DEAD } else { queue }, entry, self.now());
                    true
                }
                "DeleteMessageBatch" => {
                    self.queue(queue).retain(|message| message.handle != handle);
                    // SQS says so even when the handle is an old one.
                    true
                }
                _ => {
                    let now = Instant::now();
                    let hide = Duration::from_secs(entry["VisibilityTimeout"].as_u64().unwrap());
                    let mut messages = self.queue(queue).iter_mut();
                    let found = messages.find(|message| message.handle == handle && message.shows_at > now);
                    found.map(|message| message.shows_at = now + hide).is_some()
                }
            };
            if done {
                successful.push(json!({ "Id": id, "MessageId": "", "MD5OfMessageBody": "" }));
            } else {
                failed.push(json!({ "Id": id, "Code": "MessageNotInflight", "SenderFault": true }));
            }
        }
        json!({ "Successful": successful, "Failed": failed })
    }
}

fn error(code: &str) -> (&'static str, String) {
    ("400 Bad Request", json!({ "__type": format!("com.amazonaws.sqs#{code}"), "message": code }).to_string())
}

/// Reads a request: its operation and body. `None` when there are no more.
fn read(reader: &mut BufReader<TcpStream>) -> Option<(String, Value)> {
    let (mut operation, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let Some((name, value)) = line.trim().split_once(": ") else {
            if line.trim().is_empty() {
                break;
            }
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "x-amz-target" => value.rsplit('.').next()?.clone_into(&mut operation),
            "content-length" => length = value.parse().unwrap(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((operation, serde_json::from_slice(&body).unwrap()))
}
