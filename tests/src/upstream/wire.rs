//! A client that shows an answer as it came.

use std::io::{Read, Write};
use std::net::TcpStream;

use flate2::read::GzDecoder;
use serde_json::Value;

/// What came back.
#[derive(Debug)]
pub(super) struct Raw {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Raw {
    /// The value of a header, or nothing at all.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value)
    }

    /// The body, unpacked if it says that it is packed.
    pub(super) fn json(&self) -> Value {
        let mut body = self.body.clone();
        if self.header("content-encoding") == "gzip" {
            body.clear();
            GzDecoder::new(&self.body[..]).read_to_end(&mut body).unwrap();
        }
        serde_json::from_slice(&body).unwrap()
    }
}

/// Asks for an address; there has to be an answer.
#[track_caller]
pub(super) fn get(address: &str, headers: &[(&str, &str)]) -> Raw {
    try_get(address, headers).expect("an answer")
}

/// Asks for an address; nothing if the connection was closed instead.
pub(super) fn try_get(address: &str, headers: &[(&str, &str)]) -> Option<Raw> {
    let (host, path) = address.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut request = format!("GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.extend([name, ": ", value, "\r\n"]);
    }
    let mut stream = TcpStream::connect(host).unwrap();
    stream.write_all(format!("{request}\r\n").as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok();
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let head = str::from_utf8(&answer[..end]).unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    Some(Raw { status, headers: headers.collect(), body: answer[end + 4..].to_vec() })
}
