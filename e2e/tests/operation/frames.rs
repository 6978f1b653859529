//! HTTP/2 by hand (RFC 9113), for what no client library sends.

const END_STREAM: u8 = 0x1;
pub(crate) const END_HEADERS: u8 = 0x4;
pub(crate) const CANCEL: u32 = 0x8;

/// What a client says first: the preface and empty settings.
pub(crate) fn opening() -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(0x4, 0, 0, &[])].concat()
}

/// What a client says first that has no room for any reply's body.
pub(crate) fn opening_without_windows() -> Vec<u8> {
    const INITIAL_WINDOW_SIZE: [u8; 6] = [0, 0x4, 0, 0, 0, 0];
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(0x4, 0, 0, &INITIAL_WINDOW_SIZE)].concat()
}

/// Settings that change nothing, to be acknowledged all the same.
pub(crate) fn settings() -> Vec<u8> {
    frame(0x4, 0, 0, &[])
}

pub(crate) fn ping() -> Vec<u8> {
    frame(0x6, 0, 0, b"say pong")
}

/// The whole body of a request.
pub(crate) fn body(stream: u32, bytes: &[u8]) -> Vec<u8> {
    frame(0x0, END_STREAM, stream, bytes)
}

/// Opens a stream whose body is still to come.
pub(crate) fn headers(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    frame(0x1, flags, stream, block)
}

/// More headers, and not the last.
pub(crate) fn continuation(stream: u32, block: &[u8]) -> Vec<u8> {
    frame(0x9, 0, stream, block)
}

pub(crate) fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(0x3, 0, stream, &code.to_be_bytes())
}

/// Room for so many bytes in a stream that is yet to be opened.
pub(crate) fn initial_window(bytes: u32) -> Vec<u8> {
    frame(0x4, 0, 0, &[&[0, 0x4][..], &bytes.to_be_bytes()].concat())
}

/// A header block: nothing indexed, so nothing for the other side to remember.
pub(crate) fn request(method: &str, path: &str, bearer: &str) -> Vec<u8> {
    [
        literal(":method", method),
        literal(":scheme", "http"),
        literal(":authority", "gateway"),
        literal(":path", path),
        literal("authorization", &format!("Bearer {bearer}")),
        literal("content-type", "application/json"),
    ]
    .concat()
}

/// A literal field without indexing, with a new name (RFC 7541, section 6.2.2).
pub(crate) fn literal(name: &str, value: &str) -> Vec<u8> {
    [&[0][..], &string(name), &string(value)].concat()
}

fn string(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    match text.len() {
        short @ 0..0x7f => bytes.push(short as u8),
        long => {
            bytes.push(0x7f);
            let mut rest = long - 0x7f;
            while rest >= 0x80 {
                bytes.push((rest % 0x80) as u8 | 0x80);
                rest /= 0x80;
            }
            bytes.push(rest as u8);
        }
    }
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = (payload.len() as u32).to_be_bytes();
    [&length[..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}
