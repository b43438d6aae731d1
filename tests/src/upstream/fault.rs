//! What an upstream does that it should not.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress};
use http::header::{CONTENT_ENCODING, LOCATION};
use http::{HeaderName, Response};
use hyper::body::{Body, Frame, SizeHint};

use super::document::{JSON, compressed, response, set};

/// How large a [`UpstreamFault::GzipBomb`] becomes when it is unpacked.
const BOMB_MEBIBYTES: u32 = 512;

/// How an answer goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamFault {
    /// It has this status, these headers and this body, and none of its own.
    Status {
        /// 429 for example.
        status: u16,
        /// Names in lower case.
        headers: Vec<(&'static str, String)>,
        /// Whatever it is.
        body: String,
    },
    /// It is right, and comes this much later.
    Slow(Duration),
    /// The connection is closed without an answer.
    Dropped,
    /// Half of the body comes, then the connection is closed; `content-length` tells of all of it.
    BrokenOff,
    /// The body's gzip is cut off, and `content-length` agrees with that.
    TruncatedGzip,
    /// 200 with bytes that are no JSON and no text.
    Garbage,
    /// 200 with half a megabyte that unpacks to 512 MiB of blanks.
    GzipBomb,
    /// 302 to this address.
    RedirectTo(String),
    /// `If-None-Match` is ignored: 200 with the body and the tag that the client has already.
    SameTag,
}

impl UpstreamFault {
    pub(super) fn delay(&self) -> Duration {
        if let Self::Slow(delay) = self { *delay } else { Duration::ZERO }
    }

    /// The answer in place of the true one, which `truth` gives, with regard to conditions or without;
    /// nothing if the connection is to be dropped.
    pub(super) fn answer(&self, truth: impl FnOnce(bool) -> Response<Bytes>) -> Option<Response<Sent>> {
        let whole = match self {
            Self::Dropped => return None,
            Self::BrokenOff => return Some(truth(false).map(|body| Sent::broken_off(&body))),
            Self::Status { status, headers, body } => {
                let mut answer = response(*status, JSON, body.clone());
                for (name, value) in headers {
                    set(&mut answer, HeaderName::from_static(name), value);
                }
                answer
            }
            Self::Slow(_) => truth(true),
            Self::SameTag => truth(false),
            Self::TruncatedGzip => truncated(truth(false)),
            Self::Garbage => response(200, JSON, &b"\xff\xfe<html>\0{\"versions\":["[..]),
            Self::GzipBomb => gzipped(response(200, JSON, bomb(BOMB_MEBIBYTES))),
            Self::RedirectTo(address) => {
                let mut answer = response(302, "text/plain", "");
                set(&mut answer, LOCATION, address);
                answer
            }
        };
        Some(whole.map(Sent::whole))
    }
}

fn gzipped(mut answer: Response<Bytes>) -> Response<Bytes> {
    set(&mut answer, CONTENT_ENCODING, "gzip");
    answer
}

fn truncated(answer: Response<Bytes>) -> Response<Bytes> {
    let is_gzip = answer.headers().contains_key(CONTENT_ENCODING);
    gzipped(answer.map(|body| {
        let gzip = if is_gzip { body } else { compressed(&body) };
        gzip.slice(..gzip.len() / 2)
    }))
}

/// The gzip (RFC 1952) of blanks. One mebibyte is compressed, up to a boundary behind which nothing refers
/// to what was before, so that repeating it takes no work.
fn bomb(mebibytes: u32) -> Bytes {
    let block = vec![b' '; 1024 * 1024];
    let mut deflated = Vec::with_capacity(64 * 1024);
    let mut compress = Compress::new(Compression::best(), false);
    compress.compress_vec(&block, &mut deflated, FlushCompress::Full).unwrap();
    assert_eq!(compress.total_in(), 1024 * 1024, "one call takes the whole block");
    let mut block_crc = Crc::new();
    block_crc.update(&block);

    let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut crc = Crc::new();
    for _ in 0..mebibytes {
        gzip.extend(&deflated);
        crc.combine(&block_crc);
    }
    // The last block, which is empty.
    gzip.extend([3, 0]);
    gzip.extend(crc.sum().to_le_bytes());
    gzip.extend(crc.amount().to_le_bytes());
    gzip.into()
}

/// A body on its way.
#[derive(Debug)]
pub(super) struct Sent {
    data: Option<Bytes>,
    length: u64,
    end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Proper,
    /// What was sent so far has to leave first: a connection that breaks takes its buffers with it.
    BreaksOnceFlushed,
    Breaks,
}

impl Sent {
    pub(super) fn whole(body: Bytes) -> Self {
        Self { length: body.len() as u64, data: Some(body), end: End::Proper }
    }

    fn broken_off(body: &Bytes) -> Self {
        let half = body.slice(..body.len() / 2);
        Self { length: body.len() as u64, data: Some(half), end: End::BreaksOnceFlushed }
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        match self.end {
            End::Proper => Poll::Ready(None),
            End::BreaksOnceFlushed => {
                self.end = End::Breaks;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            End::Breaks => Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.end == End::Proper && self.data.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::super::{Upstream, wire};
    use super::*;

    fn upstream() -> (Upstream, String) {
        let upstream = Upstream::start();
        upstream.publish("Acme.Kit", &["1.0.0", "1.1.0"]);
        let address = format!("{}/v3-flatcontainer/acme.kit/index.json", upstream.url());
        (upstream, address)
    }

    #[test]
    fn misbehaviour_ends_after_so_many_times() {
        let (upstream, address) = upstream();
        let limited = UpstreamFault::Status {
            status: 429,
            headers: vec![("retry-after", "7".to_owned())],
            body: "slow down".to_owned(),
        };
        upstream.plan_fault("acme.kit", limited, 1);
        upstream.plan_fault("acme.kit", UpstreamFault::Dropped, 1);
        let limited = wire::get(&address, &[]);
        assert_eq!((limited.status, limited.header("retry-after")), (429, "7"));
        assert!(wire::try_get(&address, &[]).is_none());
        assert_eq!(wire::get(&address, &[]).status, 200);
        let statuses: Vec<_> = upstream.take_requests().iter().map(|asked| asked.status).collect();
        assert_eq!(statuses, [Some(429), None, Some(200)]);
        upstream.plan_fault("acme.kit", UpstreamFault::Dropped, usize::MAX);
        assert!(wire::try_get(&address, &[]).is_none());
        upstream.heal();
        assert_eq!(wire::get(&address, &[]).status, 200);
    }

    #[test]
    fn half_of_a_body_arrives() {
        let (upstream, address) = upstream();
        let whole = wire::get(&address, &[]);
        upstream.plan_fault("acme.kit", UpstreamFault::BrokenOff, 1);
        let half = wire::get(&address, &[("if-none-match", whole.header("etag"))]);
        assert_eq!((half.status, half.header("content-length")), (200, whole.header("content-length")));
        assert_eq!(half.body, whole.body[..whole.body.len() / 2]);
    }

    #[test]
    fn gzip_is_cut_without_a_trace() {
        let (upstream, address) = upstream();
        upstream.plan_fault("acme.kit", UpstreamFault::TruncatedGzip, 1);
        let cut = wire::get(&address, &[]);
        assert_eq!(cut.header("content-encoding"), "gzip");
        assert_eq!(cut.header("content-length"), cut.body.len().to_string());
        assert!(GzDecoder::new(&cut.body[..]).read_to_end(&mut Vec::new()).is_err());
    }

    #[test]
    fn a_known_tag_is_ignored() {
        let (upstream, address) = upstream();
        let first = wire::get(&address, &[]);
        let known = [("if-none-match", first.header("etag"))];
        assert_eq!(wire::get(&address, &known).status, 304);
        upstream.plan_fault("acme.kit", UpstreamFault::SameTag, 1);
        let again = wire::get(&address, &known);
        assert_eq!((again.status, again.header("etag")), (200, first.header("etag")));
        assert_eq!(again.body, first.body);
    }

    #[test]
    fn a_redirect_and_garbage() {
        let (upstream, address) = upstream();
        upstream.plan_fault("acme.kit", UpstreamFault::RedirectTo("http://elsewhere.test/".to_owned()), 1);
        let redirect = wire::get(&address, &[]);
        assert_eq!((redirect.status, redirect.header("location")), (302, "http://elsewhere.test/"));
        upstream.plan_fault("acme.kit", UpstreamFault::Garbage, 1);
        let garbage = wire::get(&address, &[]);
        assert_eq!(garbage.status, 200);
        assert!(serde_json::from_slice::<serde_json::Value>(&garbage.body).is_err());
    }

    #[test]
    fn a_bomb_is_proper_gzip() {
        let mut blanks = Vec::new();
        GzDecoder::new(&bomb(3)[..]).read_to_end(&mut blanks).unwrap();
        assert_eq!(blanks.len(), 3 * 1024 * 1024);
        assert!(blanks.iter().all(|byte| *byte == b' '));
        let (upstream, address) = upstream();
        upstream.plan_fault("acme.kit", UpstreamFault::GzipBomb, 1);
        assert!(wire::get(&address, &[]).body.len() < 1024 * 1024);
    }
}
