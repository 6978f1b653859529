//! The request body, read once and kept whole: it must be replayable for the next upstream.

use std::{
    collections::BTreeSet,
    ops::Range,
    pin::{Pin, pin},
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt;
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    joined::Joined,
    other_models,
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
    /// Whatever else it asks the provider to ask.
    pub other_models: BTreeSet<String>,
    pub stream: bool,
    pub max_tokens: Option<u64>,
    /// Bytes between the values that say nothing.
    white_space: usize,
}

impl Prompt {
    pub fn parse(bytes: Bytes) -> Result<Self, Refusal> {
        let keys = ["model", "stream", "max_tokens", "tools", "fallbacks"];
        let (spans, white_space) = scan::measured(&bytes, keys).map_err(Refusal::BadBody)?;
        let [model, stream, max_tokens, tools, fallbacks] = spans;
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
        let other_models = other_models::named(&bytes, tools, fallbacks)?;
        let stream = stream.is_some_and(|span| &bytes[span] == b"true");
        let max_tokens = max_tokens.and_then(|span| whole_number(&bytes[span]));
        Ok(Self { bytes, model, model_span, other_models, stream, max_tokens, white_space })
    }

    /// Pictures and documents count for what they are at most, not for their length; how the JSON is laid out does not count.
    pub fn text_bytes(&self) -> usize {
        text_bytes(&self.bytes).saturating_sub(self.white_space)
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
    let announced = body.size_hint().lower();
    if announced > bounds.most {
        discard(body).await;
        return Err(Refusal::TooLarge { most: bounds.most });
    }
    collect(body, announced, bounds).await
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
    let mut read = Joined::expecting(usize::try_from(announced).unwrap_or(0));
    let mut add = |frame: Frame<Bytes>| {
        let Ok(data) = frame.into_data() else { return Ok(()) };
        if (read.len() + data.len()) as u64 > bounds.most {
            return Err(Refusal::TooLarge { most: bounds.most });
        }
        read.push(data);
        Ok(())
    };
    // What came with the head needs no patience and no clock; most bodies are no more.
    while let Some(frame) = body.frame().now_or_never() {
        match frame.transpose().map_err(|_| Refusal::BodyBroken)? {
            Some(frame) => add(frame)?,
            None => return Ok(read.into_bytes()),
        }
    }
    let expected = if announced > 0 { announced } else { bounds.most };
    let mut patience = Patience::for_body(expected, bounds.idle, Instant::now());
    let mut alarm = pin!(sleep_until(patience.due));
    while let Some(frame) = next(body, &mut patience, alarm.as_mut()).await? {
        add(frame)?;
    }
    Ok(read.into_bytes())
}

async fn next<B>(
    body: &mut B,
    patience: &mut Patience,
    mut alarm: Pin<&mut Sleep>,
) -> Result<Option<Frame<Bytes>>, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    loop {
        tokio::select! {
            biased;
            frame = body.frame() => {
                patience.heard(Instant::now())?;
                return frame.transpose().map_err(|_| Refusal::BodyBroken);
            }
            () = alarm.as_mut() => {
                patience.rung(Instant::now())?;
                alarm.as_mut().reset(patience.due);
            }
        }
    }
}

/// How long a client may be silent in its body, and how long it may take over the whole.
struct Patience {
    idle: Duration,
    due: Instant,
    end: Instant,
}

impl Patience {
    fn for_body(expected: u64, idle: Duration, now: Instant) -> Self {
        let due = now + idle;
        Self { idle, due, end: due + Duration::from_secs(expected / SLOWEST_BYTES_PER_SECOND) }
    }

    /// The one timer is not set again for each frame, only where it rings early.
    fn heard(&mut self, now: Instant) -> Result<(), Refusal> {
        self.due = self.end.min(now + self.idle);
        if now < self.end { Ok(()) } else { Err(Refusal::BodyTooSlow) }
    }

    fn rung(&self, now: Instant) -> Result<(), Refusal> {
        if now < self.due { Ok(()) } else { Err(Refusal::BodyTooSlow) }
    }
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
        let (parts, _) = prompt.body(Some(&Bytes::from_static(br#""y""#))).into_parts();
        assert_eq!(parts.into_iter().flatten().collect::<Vec<_>>(), br#"{"a":[1], "model" : "y", "stream":true}"#);
    }

    #[test]
    fn a_body_is_as_long_as_its_text_however_it_is_laid_out() {
        let value = serde_json::json!({"model": "a", "messages": [{"role": "user", "content": "two  words \n and {\" }"}, [], {}]});
        let (compact, pretty) = (value.to_string(), serde_json::to_string_pretty(&value).unwrap());
        let padded = compact.replacen(':', &format!("\t:{}", " \r\n".repeat(100_000)), 1);
        for text in [&compact, &pretty, &padded] {
            assert_eq!(parse(text).unwrap().text_bytes(), compact.len(), "of {} bytes", text.len());
        }
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
            let frames = (0..n).map(|_| Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from_static(b"abcd"))));
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
        let mut never =
            StreamBody::new(futures_util::stream::pending::<Result<Frame<Bytes>, std::convert::Infallible>>());
        assert!(matches!(
            read(&mut never, Bounds { most: 100, idle: Duration::from_millis(20) }).await,
            Err(Refusal::BodyTooSlow)
        ));
    }

    #[test]
    fn a_client_that_is_heard_has_more_time_but_not_for_ever() {
        let (start, idle) = (Instant::now(), Duration::from_secs(30));
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut patience = Patience::for_body(100 * SLOWEST_BYTES_PER_SECOND, idle, start);
        assert!(patience.rung(after(29)).is_ok() && patience.rung(after(30)).is_err(), "silent from the start");
        for second in (20..130).step_by(20) {
            assert!(patience.heard(after(second)).is_ok());
        }
        assert_eq!(patience.due, after(130), "130 s for 100 s worth of bytes and one silence");
        assert!(patience.rung(after(129)).is_ok() && patience.rung(after(130)).is_err());
        assert!(patience.heard(after(130)).is_err(), "slower than the slowest");
    }

    #[tokio::test]
    async fn the_timer_follows_a_body_that_is_longer_than_one_silence() {
        let pieces = futures_util::stream::unfold(0, async |n| {
            tokio::time::sleep(Duration::from_millis(200)).await;
            (n < 8).then(|| (Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from_static(b"abcd"))), n + 1))
        });
        let mut body = StreamBody::new(Box::pin(pieces));
        let read = read(&mut body, Bounds { most: 1 << 20, idle: Duration::from_millis(1500) }).await;
        assert_eq!(read.unwrap().len(), 32);
    }
}
