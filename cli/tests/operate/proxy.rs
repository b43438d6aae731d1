//! A proxy between a command and the AWS of `local`. It records calls, can delay or deny them, and can alter
//! responses.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::Value;

use super::{CommandOutput, badgesmith, output_of};

const DENIED: &str = "HTTP/1.1 400 Bad Request\r\ncontent-type: application/x-amz-json-1.0\r\n\
                      content-length: 51\r\n\r\n{\"__type\":\"com.amazonaws.sqs#AccessDeniedException\"}";

pub(super) struct Proxy {
    address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
}

pub(super) struct Call {
    pub(super) operation: String,
    pub(super) body: Value,
    pub(super) at: Instant,
}

impl Proxy {
    /// `before` runs before each call, with the operation and its number from 1. If it returns false, the call is
    /// denied.
    pub(super) fn start(
        target: SocketAddr,
        before: impl Fn(&str, usize) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self::altering(target, before, |_, _, _| ())
    }

    /// `alter` changes the body of each response that is not a denial.
    pub(super) fn altering(
        target: SocketAddr,
        before: impl Fn(&str, usize) -> bool + Send + Sync + 'static,
        alter: impl Fn(&str, usize, &mut Vec<u8>) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self { address: listener.local_addr().unwrap(), calls: Arc::default() };
        let (calls, hooks) = (Arc::clone(&proxy.calls), Arc::new((before, alter)));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (calls, hooks) = (Arc::clone(&calls), Arc::clone(&hooks));
                std::thread::spawn(move || serve(&client.unwrap(), target, &calls, &hooks.0, &hooks.1));
            }
        });
        proxy
    }

    /// Runs the command. Its calls go through the proxy.
    pub(super) async fn run(&self, arguments: &[&str]) -> CommandOutput {
        let mut command = badgesmith(arguments);
        command.args(["--endpoint-url", &format!("http://{}", self.address)]);
        output_of(command).await
    }

    /// The calls so far of an operation.
    pub(super) fn take_calls(&self, operation: &str) -> Vec<Call> {
        self.calls.lock().unwrap().extract_if(.., |call| call.operation == operation).collect()
    }
}

fn serve(
    mut client: &TcpStream,
    target: SocketAddr,
    calls: &Mutex<Vec<Call>>,
    before: &dyn Fn(&str, usize) -> bool,
    alter: &dyn Fn(&str, usize, &mut Vec<u8>),
) {
    let server = TcpStream::connect(target).unwrap();
    let (mut requests, mut responses) = (BufReader::new(client), BufReader::new(&server));
    while let Some((head, body)) = read(&mut requests) {
        // Not a call; the clock check of `doctor`, for example.
        let Some(target) = header(&head, "x-amz-target") else { return };
        let operation = target.rsplit('.').next().unwrap().to_owned();
        let call = Call {
            operation: operation.clone(),
            body: serde_json::from_slice(&body).unwrap(),
            at: Instant::now(),
        };
        let mut recorded = calls.lock().unwrap();
        recorded.push(call);
        let number = recorded.iter().filter(|call| call.operation == operation).count();
        drop(recorded);
        let response = if before(&operation, number) {
            (&server).write_all(&[head.as_bytes(), &body].concat()).unwrap();
            let (mut head, mut body) = read(&mut responses).unwrap();
            let length = body.len();
            alter(&operation, number, &mut body);
            if body.len() != length {
                let header = |length| format!("content-length: {length}\r\n");
                head = head.replace(&header(length), &header(body.len()));
            }
            [head.as_bytes(), &body].concat()
        } else {
            DENIED.into()
        };
        client.write_all(&response).unwrap();
    }
}

/// Reads the head and the body of a request or a response; `None` at the end of the connection.
fn read(reader: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let mut body = vec![0; header(&head, "content-length").map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut headers = head.lines().filter_map(|line| line.split_once(": "));
    headers.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}
