//! Faults of an upstream.

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

/// The uncompressed size of a [`UpstreamFault::GzipBomb`].
const BOMB_MEBIBYTES: u32 = 512;

/// A fault of one response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamFault {
    /// The response has only this status, these headers and this body.
    Status { status: u16, headers: Vec<(&'static str, String)>, body: String },
    /// The response is correct, but delayed by this time.
    Slow(Duration),
    /// The connection closes without a response.
    Dropped,
    /// The connection closes after half of the body; `content-length` is that of the whole body.
    BrokenOff,
    /// The body's gzip is truncated, with a matching `content-length`.
    TruncatedGzip,
    /// 200 with bytes that are neither JSON nor UTF-8.
    Garbage,
    /// 200 with half a megabyte that decompresses to 512 MiB of spaces.
    GzipBomb,
    /// 302 to this address.
    RedirectTo(String),
    /// `If-None-Match` is ignored: 200 with the tag and the body that the client has.
    SameTag,
}

impl UpstreamFault {
    pub(super) fn delay(&self) -> Duration {
        if let Self::Slow(delay) = self { *delay } else { Duration::ZERO }
    }

    /// The faulty form of the response. `correct` makes the correct one, and takes whether to honor the request's
    /// conditions. `None` drops the connection.
    pub(super) fn answer(&self, correct: impl FnOnce(bool) -> Response<Bytes>) -> Option<Response<Sent>> {
        let whole = match self {
            Self::Dropped => return None,
            Self::BrokenOff => return Some(correct(false).map(|body| Sent::broken_off(&body))),
            Self::Status { status, headers, body } => {
                let mut answer = response(*status, JSON, body.clone());
                for (name, value) in headers {
                    set(&mut answer, HeaderName::from_static(name), value);
                }
                answer
            }
            Self::Slow(_) => correct(true),
            Self::SameTag => correct(false),
            Self::TruncatedGzip => truncated(correct(false)),
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

/// Spaces as gzip (RFC 1952). It repeats one compressed mebibyte that refers to nothing before it.
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
    // The last block is empty.
    gzip.extend([3, 0]);
    gzip.extend(crc.sum().to_le_bytes());
    gzip.extend(crc.amount().to_le_bytes());
    gzip.into()
}

/// A body that may end early.
#[derive(Debug)]
pub(super) struct Sent {
    data: Option<Bytes>,
    length: u64,
    end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Proper,
    /// Lets hyper flush what was sent: a connection that breaks drops its buffers.
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

    use super::*;

    #[test]
    fn a_gzip_bomb_is_valid_gzip() {
        let mut blanks = Vec::new();
        GzDecoder::new(&bomb(3)[..]).read_to_end(&mut blanks).unwrap();
        assert_eq!(blanks.len(), 3 * 1024 * 1024);
        assert!(blanks.iter().all(|byte| *byte == b' '));
        assert!(bomb(BOMB_MEBIBYTES).len() < 1024 * 1024);
    }
}
