//! The heads of a request and of its reply (RFC 9112 sections 3 to 6).
//!
//! Where a body ends is said once: for a request by us, whatever its headers say; for a reply by one length or by its chunks, and a
//! head that could be read in two ways is refused. Taken for less or more than it is, a body would become part of the next reply,
//! which is another person's.

use std::mem::MaybeUninit;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request};
use httparse::{Header, ParserConfig, Status};

use super::body::Framing;

/// Of one response head.
pub(super) const LONGEST: usize = 16 * 1024;
const FIELDS: usize = 100;

/// What a reply begins with.
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) framing: Framing,
    /// The connection can carry another request after this reply.
    pub(super) is_kept: bool,
    /// In bytes.
    pub(super) length: usize,
}

/// Why a response head cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    #[error("the response head is not HTTP/1.1: {0}")]
    Malformed(#[from] httparse::Error),
    #[error("the response head is longer than {} KiB", LONGEST / 1024)]
    TooLong,
    #[error("the upstream switches protocols, which nobody asked for")]
    Switched,
    #[error("the response has several lengths, or one that is no number")]
    Length,
    #[error("the response has a transfer coding that nobody asked for")]
    Coding,
}

/// Room for the head of a usual request.
const USUAL: usize = 1024;

/// A request's head, with the length of its body.
pub(super) fn written(head: &request::Parts, length: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(USUAL);
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    for part in [head.method.as_str(), " ", path, " HTTP/1.1\r\n"] {
        text.extend_from_slice(part.as_bytes());
    }
    for (name, value) in head.headers.iter().filter(|(name, _)| !is_ours(name)) {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            text.extend_from_slice(part);
        }
    }
    text.extend_from_slice(format!("content-length: {length}\r\n\r\n").as_bytes());
    text
}

/// What the connection says itself.
fn is_ours(name: &HeaderName) -> bool {
    [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION].contains(name)
}

/// `None` where the head has not come whole. Interim responses (RFC 9110 section 15.2) are heads too, without a body.
pub(super) fn read(bytes: &[u8]) -> Result<Option<Head>, HeadError> {
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS];
    let mut response = httparse::Response::new(&mut []);
    let parsed = ParserConfig::default().parse_response_with_uninit_headers(&mut response, bytes, &mut fields)?;
    let Status::Complete(length) = parsed else {
        return if bytes.len() >= LONGEST { Err(HeadError::TooLong) } else { Ok(None) };
    };
    let status = StatusCode::from_u16(response.code.unwrap_or_default()).map_err(|_| httparse::Error::Status)?;
    if length > LONGEST {
        return Err(HeadError::TooLong);
    }
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(HeadError::Switched);
    }
    let mut headers = fields_of(response.headers)?;
    let (framing, counted_too) = framing(status, &mut headers)?;
    let is_kept = response.version == Some(1) && !counted_too && framing != Framing::UntilClose && !closes(&headers);
    Ok(Some(Head { status, headers, framing, is_kept, length }))
}

fn fields_of(fields: &[Header<'_>]) -> Result<HeaderMap, HeadError> {
    let mut headers = HeaderMap::with_capacity(fields.len());
    for Header { name, value } in fields {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| httparse::Error::HeaderName)?;
        let value = HeaderValue::from_bytes(value).map_err(|_| httparse::Error::HeaderValue)?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// Where the body ends (RFC 9112 section 6.3), and whether it is counted although it comes in chunks: then the chunks hold, the
/// count goes, and nothing else is believed of that connection.
fn framing(status: StatusCode, headers: &mut HeaderMap) -> Result<(Framing, bool), HeadError> {
    if status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Ok((Framing::Counted(0), false));
    }
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => {}
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => {
            return Ok((Framing::Chunked, headers.remove(header::CONTENT_LENGTH).is_some()));
        }
        _ => return Err(HeadError::Coding),
    }
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else { return Ok((Framing::UntilClose, false)) };
    let digits = length.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let counted = digits.and_then(|digits| digits.parse().ok()).ok_or(HeadError::Length)?;
    match lengths.next() {
        None => {}
        // Said twice, it is passed on once (RFC 9110 section 8.6).
        Some(second) if second == length && lengths.all(|other| other == length) => {
            let once = length.clone();
            headers.insert(header::CONTENT_LENGTH, once);
        }
        Some(_) => return Err(HeadError::Length),
    }
    Ok((Framing::Counted(counted), false))
}

fn closes(headers: &HeaderMap) -> bool {
    let mut options =
        headers.get_all(header::CONNECTION).iter().flat_map(|value| value.as_bytes().split(|b| *b == b','));
    options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn head(text: &str) -> Result<Head, HeadError> {
        read(text.as_bytes()).map(|head| head.expect("a whole head"))
    }

    #[test]
    fn a_body_ends_where_the_head_says() {
        let framing = |fields: &str| {
            let head = head(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n")).unwrap();
            (head.framing, head.is_kept)
        };
        assert_eq!(framing("content-length: 12\r\n"), (Framing::Counted(12), true));
        assert_eq!(framing("Transfer-Encoding: Chunked\r\n"), (Framing::Chunked, true));
        assert_eq!(framing("content-length: 12\r\nContent-Length: 12\r\n"), (Framing::Counted(12), true));
        assert_eq!(framing("content-length: 12\r\nconnection: x, Close\r\n"), (Framing::Counted(12), false));
        assert_eq!(framing("content-length: 12\r\ntransfer-encoding: chunked\r\n"), (Framing::Chunked, false));
        assert_eq!(framing(""), (Framing::UntilClose, false));
        for bare in ["204 No Content", "304 Not Modified", "100 Continue", "103 Early Hints"] {
            let head = head(&format!("HTTP/1.1 {bare}\r\ncontent-length: 12\r\n\r\n")).unwrap();
            assert_eq!(head.framing, Framing::Counted(0), "{bare}");
        }
        assert!(!head("HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\n").unwrap().is_kept);
    }

    #[test]
    fn a_count_beside_chunks_reaches_nobody() {
        let beside = head("HTTP/1.1 200 OK\r\ncontent-length: 12\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
        assert_eq!(beside.headers.get(header::CONTENT_LENGTH), None);
        let twice = head("HTTP/1.1 200 OK\r\ncontent-length: 12\r\ncontent-length: 12\r\n\r\n").unwrap();
        assert_eq!(twice.headers.get_all(header::CONTENT_LENGTH).iter().count(), 1);
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for (fields, error) in [
            ("content-length: 1\r\ncontent-length: 2\r\n", HeadError::Length),
            ("content-length: 1, 1\r\n", HeadError::Length),
            ("content-length: +1\r\n", HeadError::Length),
            ("content-length: \r\n", HeadError::Length),
            ("content-length: 18446744073709551616\r\n", HeadError::Length),
            ("transfer-encoding: gzip, chunked\r\n", HeadError::Coding),
            ("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", HeadError::Coding),
            ("transfer-encoding: identity\r\n", HeadError::Coding),
        ] {
            assert_eq!(head(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n")).err(), Some(error), "{fields}");
        }
        assert_eq!(head("HTTP/1.1 101 Switching Protocols\r\n\r\n").err(), Some(HeadError::Switched));
        for text in ["HTTP/2 200\r\n\r\n", "HTTP/1.1 99 x\r\n\r\n", "HTTP/1.1 200 OK\r\n x: y\r\n\r\n", "SSH-2.0-x\r\n"]
        {
            assert!(matches!(head(text).err(), Some(HeadError::Malformed(_))), "{text}");
        }
    }

    #[test]
    fn a_head_is_read_when_it_is_whole_and_not_without_end() {
        let text = b"HTTP/1.1 200 OK\r\nrequest-id: a\r\nx: 1\r\nx: 2\r\n\r\nbody";
        let whole = text.len() - 4;
        for length in 0..whole {
            assert!(read(&text[..length]).unwrap().is_none(), "{length}");
        }
        let head = read(text).unwrap().unwrap();
        assert_eq!((head.length, head.status, head.headers.len()), (whole, StatusCode::OK, 3));
        let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(LONGEST));
        assert_eq!(read(endless.as_bytes()).err(), Some(HeadError::TooLong));
        assert_eq!(read((endless + "\r\n\r\n").as_bytes()).err(), Some(HeadError::TooLong), "however it was cut");
    }

    #[test]
    fn a_request_says_its_length_once_whatever_it_was_given() {
        let request = Request::post("/v1/messages?beta=true").header("host", "h").header("content-length", "99");
        let request = request.header("connection", "close").header("transfer-encoding", "chunked").header("x", "y");
        let text = written(&request.body(()).unwrap().into_parts().0, 12);
        let expected = "POST /v1/messages?beta=true HTTP/1.1\r\nhost: h\r\nx: y\r\ncontent-length: 12\r\n\r\n";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }
}
