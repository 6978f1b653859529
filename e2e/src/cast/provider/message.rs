//! What a model says, in the Messages format: the same message as a stream of events or as one JSON object.

use bytes::Bytes;
use serde_json::{Map, Value, json};

/// A reply in the making: `Message::new("claude-…").thinking("…").text("…").tool_use("Bash", …)`.
#[derive(Debug, Clone)]
pub struct Message {
    model: String,
    parts: Vec<Part>,
    usage: Usage,
    stop_reason: &'static str,
}

/// What the message counts as. The cache fields are sent always, as the real provider does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cache_read_input_tokens: u64,
    pub ephemeral_5m_input_tokens: u64,
    pub ephemeral_1h_input_tokens: u64,
}

#[derive(Debug, Clone)]
enum Part {
    Block {
        opening: Value,
        deltas: Vec<Value>,
        whole: Value,
    },
    /// An event between blocks: a ping, or one that nobody has heard of.
    Event {
        name: String,
        data: Value,
    },
}

impl Default for Usage {
    fn default() -> Self {
        Self {
            input_tokens: 25,
            output_tokens: 15,
            cache_read_input_tokens: 0,
            ephemeral_5m_input_tokens: 0,
            ephemeral_1h_input_tokens: 0,
        }
    }
}

impl Message {
    pub fn new(model: &str) -> Self {
        Self { model: model.to_owned(), parts: Vec::new(), usage: Usage::default(), stop_reason: "end_turn" }
    }

    /// A text block; streamed word by word.
    pub fn text(self, text: &str) -> Self {
        self.text_in(text.split_inclusive(' '), text)
    }

    /// A text block of `count` deltas, `delta 0;delta 1;…`, so that a lost or doubled one shows.
    pub fn deltas(self, count: usize) -> Self {
        let pieces: Vec<String> = (0..count).map(|n| format!("delta {n};")).collect();
        let whole = pieces.concat();
        self.text_in(pieces.iter().map(String::as_str), &whole)
    }

    /// A text block that rests on a passage of a document.
    pub fn cited_text(self, text: &str, cited: &str) -> Self {
        let citation = json!({
            "type": "char_location", "cited_text": cited, "document_index": 0, "document_title": "The document",
            "start_char_index": 0, "end_char_index": cited.len(),
        });
        self.block(
            json!({"type": "text", "text": "", "citations": []}),
            vec![json!({"type": "text_delta", "text": text}), json!({"type": "citations_delta", "citation": citation})],
            json!({"type": "text", "text": text, "citations": [citation]}),
        )
    }

    pub fn thinking(self, thought: &str) -> Self {
        let mut deltas: Vec<Value> =
            thought.split_inclusive(' ').map(|word| json!({"type": "thinking_delta", "thinking": word})).collect();
        deltas.push(json!({"type": "signature_delta", "signature": "Y2FzdA=="}));
        self.block(
            json!({"type": "thinking", "thinking": "", "signature": ""}),
            deltas,
            json!({"type": "thinking", "thinking": thought, "signature": "Y2FzdA=="}),
        )
    }

    /// A call of a tool; its input arrives in two pieces of JSON that are none by themselves.
    pub fn tool_use(mut self, name: &str, input: &Value) -> Self {
        let id = format!("toolu_cast{}", self.parts.len());
        let text = input.to_string();
        let (head, tail) = text.split_at(1);
        self.stop_reason = "tool_use";
        self.block(
            json!({"type": "tool_use", "id": id, "name": name, "input": {}}),
            [head, tail].map(|piece| json!({"type": "input_json_delta", "partial_json": piece})).to_vec(),
            json!({"type": "tool_use", "id": id, "name": name, "input": input}),
        )
    }

    pub fn ping(self) -> Self {
        self.event("ping", json!({"type": "ping"}))
    }

    /// Any event, between the blocks before and after it. A JSON reply has no place for it.
    pub fn event(mut self, name: &str, data: Value) -> Self {
        self.parts.push(Part::Event { name: name.to_owned(), data });
        self
    }

    pub fn usage(mut self, usage: Usage) -> Self {
        self.usage = usage;
        self
    }

    /// The events of a stream, each with its trailing empty line.
    pub fn frames(&self) -> Vec<Bytes> {
        let mut start = self.envelope(json!([]), Value::Null);
        start["usage"]["output_tokens"] = json!(1);
        let mut frames = vec![frame("message_start", &json!({"type": "message_start", "message": start}))];
        let mut index = 0;
        for part in &self.parts {
            match part {
                Part::Event { name, data } => frames.push(frame(name, data)),
                Part::Block { opening, deltas, whole: _ } => {
                    let open = json!({"type": "content_block_start", "index": index, "content_block": opening});
                    frames.push(frame("content_block_start", &open));
                    frames.extend(deltas.iter().map(|delta| {
                        let delta = json!({"type": "content_block_delta", "index": index, "delta": delta});
                        frame("content_block_delta", &delta)
                    }));
                    frames.push(frame("content_block_stop", &json!({"type": "content_block_stop", "index": index})));
                    index += 1;
                }
            }
        }
        let delta = json!({"stop_reason": self.stop_reason, "stop_sequence": null});
        let usage = json!({"output_tokens": self.usage.output_tokens});
        frames.push(frame("message_delta", &json!({"type": "message_delta", "delta": delta, "usage": usage})));
        frames.push(frame("message_stop", &json!({"type": "message_stop"})));
        frames
    }

    /// The whole message as one object.
    pub fn json(&self) -> Value {
        let blocks = self.parts.iter().filter_map(|part| match part {
            Part::Block { whole, opening: _, deltas: _ } => Some(whole.clone()),
            Part::Event { .. } => None,
        });
        self.envelope(blocks.collect(), json!(self.stop_reason))
    }

    fn envelope(&self, content: Value, stop_reason: Value) -> Value {
        let usage = &self.usage;
        json!({
            "id": "msg_cast", "type": "message", "role": "assistant", "model": self.model, "content": content,
            "stop_reason": stop_reason, "stop_sequence": null,
            "usage": {
                "input_tokens": usage.input_tokens,
                "cache_creation_input_tokens": usage.ephemeral_5m_input_tokens + usage.ephemeral_1h_input_tokens,
                "cache_read_input_tokens": usage.cache_read_input_tokens,
                "cache_creation": {
                    "ephemeral_5m_input_tokens": usage.ephemeral_5m_input_tokens,
                    "ephemeral_1h_input_tokens": usage.ephemeral_1h_input_tokens,
                },
                "output_tokens": usage.output_tokens,
                "service_tier": "standard",
            },
        })
    }

    fn text_in<'a>(self, pieces: impl Iterator<Item = &'a str>, whole: &str) -> Self {
        self.block(
            json!({"type": "text", "text": ""}),
            pieces.map(|piece| json!({"type": "text_delta", "text": piece})).collect(),
            json!({"type": "text", "text": whole}),
        )
    }

    fn block(mut self, opening: Value, deltas: Vec<Value>, whole: Value) -> Self {
        self.parts.push(Part::Block { opening, deltas, whole });
        self
    }
}

/// One server-sent event as the provider writes it.
pub fn frame(name: &str, data: &Value) -> Bytes {
    format!("event: {name}\ndata: {data}\n\n").into()
}

/// The provider's error envelope.
pub fn error(kind: &str, message: &str) -> Value {
    let mut error = Map::new();
    error.insert("type".to_owned(), json!("error"));
    error.insert("error".to_owned(), json!({"type": kind, "message": message}));
    error.insert("request_id".to_owned(), json!("req_of_the_provider"));
    Value::Object(error)
}
