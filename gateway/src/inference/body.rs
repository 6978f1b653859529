//! The request body, read once and kept whole: it must be replayable for the next upstream.

use std::{ops::Range, time::Duration};

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;

use super::{
    refusal::Refusal,
    scan::{self, ScanError},
    text_bytes::text_bytes,
};
use crate::upstream::Spliced;

/// Below this, after the first silence that is allowed, a body is a slow-loris.
const SLOWEST_BYTES_PER_SECOND: u64 = 8 * 1024;

const DISCARD: Duration = Duration::from_secs(2);

/// What a client's body may cost.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub most: u64,
    /// Silence of the client in the middle of its body.
    pub idle: Duration,
}

/// A Messages API request that can be routed.
#[derive(Debug)]
pub struct Prompt {
    bytes: Bytes,
    /// As the client wrote it, unescaped.
    pub model: String,
    model_span: Range<usize>,
    pub stream: bool,
    pub max_tokens: Option<u64>,
}

impl Prompt {
    pub fn parse(bytes: Bytes) -> Result<Self, Refusal> {
        let keys = ["model", "stream", "max_tokens"];
        let [model, stream, max_tokens] = scan::members(&bytes, keys).map_err(Refusal::BadBody)?;
        let model_span = model.ok_or(Refusal::ModelMissing)?;
        let raw = &bytes[model_span.clone()];
        if raw.first() != Some(&b'"') {
            return Err(if raw == b"null" { Refusal::ModelMissing } else { Refusal::ModelNotString });
        }
        // A lone surrogate is JSON's grammar, but no model's name.
        let model: String = serde_json::from_slice(raw).map_err(|_| Refusal::BadBody(ScanError::Invalid))?;
        if model.is_empty() {
            return Err(Refusal::ModelMissing);
        }
        let stream = stream.is_some_and(|span| &bytes[span] == b"true");
        let max_tokens = max_tokens.and_then(|span| whole_number(&bytes[span]));
        Ok(Self { bytes, model, model_span, stream, max_tokens })
    }

    /// Pictures and documents count for what they are at most, not for their length.
    pub fn text_bytes(&self) -> usize {
        text_bytes(&self.bytes)
    }

    /// The body for one upstream: byte for byte, only the model replaced, and only where it is mapped.
    pub fn body(&self, replacement: Option<&Bytes>) -> Spliced {
        match replacement {
            None => Spliced::whole(self.bytes.clone()),
            Some(model) => Spliced::replacing(&self.bytes, self.model_span.clone(), model.clone()),
        }
    }
}

/// However it is written: `6.4e4`, and `"64000"`, which a lenient parser behind us may take for a number. Fractions are rounded
/// up.
fn whole_number(raw: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(raw).ok()?.trim_matches('"').trim();
    let number = || Some(text.parse::<f64>().ok()?.ceil()).filter(|number| *number >= 0.0);
    text.parse().ok().or_else(|| number().map(|number| number as u64))
}

/// Reads the whole body, or refuses without reading on: too large, too slow, or broken off.
pub async fn read<B>(body: &mut B, bounds: Bounds) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let Bounds { most, idle } = bounds;
    let announced = body.size_hint().lower();
    if announced > most {
        discard(body).await;
        return Err(Refusal::TooLarge { most });
    }
    let expected = if announced > 0 { announced } else { most };
    let budget = idle + Duration::from_secs(expected / SLOWEST_BYTES_PER_SECOND);
    tokio::time::timeout(budget, collect(body, announced, bounds)).await.unwrap_or(Err(Refusal::BodyTooSlow))
}

/// Reads past what is left of a body that nobody wants, for a moment and without keeping it: a connection that is closed with
/// unread bytes is reset, and the client may lose the reply that says why.
pub async fn discard<B>(body: &mut B)
where
    B: Body<Data = Bytes> + Unpin,
{
    let passed = async { while let Some(Ok(_)) = body.frame().await {} };
    let _ = tokio::time::timeout(DISCARD, passed).await;
}

async fn collect<B>(body: &mut B, announced: u64, bounds: Bounds) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    loop {
        let frame = match tokio::time::timeout(bounds.idle, body.frame()).await {
            Err(_) => return Err(Refusal::BodyTooSlow),
            Ok(None) => break,
            Ok(Some(Err(_))) => return Err(Refusal::BodyBroken),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        if (first.len() + whole.len() + data.len()) as u64 > bounds.most {
            return Err(Refusal::TooLarge { most: bounds.most });
        }
        // A body that comes in one piece is not copied.
        if first.is_empty() && whole.is_empty() {
            first = data;
        } else {
            if whole.is_empty() {
                whole.reserve(usize::try_from(announced).unwrap_or(0).max(first.len() + data.len()));
                whole.extend_from_slice(&std::mem::take(&mut first));
            }
            whole.extend_from_slice(&data);
        }
    }
    Ok(if whole.is_empty() { first } else { whole.freeze() })
}

#[cfg(test)]
mod tests {
    use http_body_util::{Full, StreamBody};

    use super::*;

    fn parse(text: &str) -> Result<Prompt, Refusal> {
        Prompt::parse(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn a_model_is_read_and_replaced_in_place() {
        let prompt = parse(r#"{"a":[1], "model" : "x\u0041", "stream":true}"#).unwrap();
        assert_eq!((prompt.model.as_str(), prompt.stream), ("xA", true));
        let body = prompt.body(Some(&Bytes::from_static(br#""y""#)));
        let mut parts = Vec::new();
        let mut body = std::pin::pin!(body);
        while let Some(Ok(frame)) = futures_util::FutureExt::now_or_never(body.frame()).flatten() {
            parts.extend_from_slice(frame.data_ref().unwrap());
        }
        assert_eq!(parts, br#"{"a":[1], "model" : "y", "stream":true}"#);
    }

    #[test]
    fn max_tokens_is_read_however_it_is_written() {
        let asked = |number: &str| parse(&format!(r#"{{"model":"a","max_tokens":{number}}}"#)).unwrap().max_tokens;
        for (written, number) in [("64000", 64_000), ("6.4e4", 64_000), ("64000.5", 64_001), (r#"" 64000""#, 64_000)] {
            assert_eq!(asked(written), Some(number), "{written}");
        }
        assert_eq!(asked("1e300"), Some(u64::MAX));
        for nothing in ["null", "-1", "{}", "[64000]", r#""many""#, "true", r#""NaN""#] {
            assert_eq!(asked(nothing), None, "{nothing}");
        }
        let twice = parse(r#"{"model":"a","max_tokens":1,"max_tokens":2}"#);
        assert!(matches!(twice, Err(Refusal::BadBody(ScanError::Duplicate("max_tokens")))));
    }

    #[test]
    fn each_bad_model_has_its_own_refusal() {
        assert!(matches!(parse("{}"), Err(Refusal::ModelMissing)));
        assert!(matches!(parse(r#"{"model":""}"#), Err(Refusal::ModelMissing)));
        assert!(matches!(parse(r#"{"model":null}"#), Err(Refusal::ModelMissing)));
        assert!(matches!(parse(r#"{"model":1}"#), Err(Refusal::ModelNotString)));
        assert!(matches!(parse(r#"{"model":["a"]}"#), Err(Refusal::ModelNotString)));
    }

    #[tokio::test]
    async fn a_body_in_pieces_is_joined_and_one_over_the_cap_is_refused() {
        let pieces = |n: usize| {
            let frames =
                (0..n).map(|_| Ok::<_, std::convert::Infallible>(http_body::Frame::data(Bytes::from_static(b"abcd"))));
            StreamBody::new(futures_util::stream::iter(frames))
        };
        let most = |most| Bounds { most, idle: Duration::from_secs(10) };
        assert_eq!(read(&mut pieces(3), most(12)).await.unwrap(), "abcdabcdabcd");
        assert!(matches!(read(&mut pieces(4), most(12)).await, Err(Refusal::TooLarge { most: 12 })));
        assert!(matches!(
            read(&mut Full::new(Bytes::from_static(b"12345")), most(4)).await,
            Err(Refusal::TooLarge { .. })
        ));
    }

    #[tokio::test]
    async fn a_body_that_trickles_is_cut() {
        let mut never = StreamBody::new(futures_util::stream::pending::<
            Result<http_body::Frame<Bytes>, std::convert::Infallible>,
        >());
        assert!(matches!(
            read(&mut never, Bounds { most: 100, idle: Duration::from_millis(20) }).await,
            Err(Refusal::BodyTooSlow)
        ));
    }
}
