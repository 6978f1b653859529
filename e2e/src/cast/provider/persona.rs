//! What the provider answers when no test says otherwise: to a test a fixed line, to a person something to look at.

use std::time::Duration;

use serde_json::{Value, json};

use super::{message::Message, message::Usage, reply::Reply, request::Received};

/// The one line of every plain answer.
pub const PLAIN_TEXT: &str = "The provider's own words.";

const DEFAULT_MODEL: &str = "claude-sonnet-4-5";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persona {
    /// [`PLAIN_TEXT`], at once.
    Plain,
    /// A thought, a tool when asked for one, and text at reading speed.
    Talkative,
}

impl Persona {
    pub(super) fn answer(self, request: &Received) -> Reply {
        match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/v1/messages") => self.message(&request.json().unwrap_or_default(), request.body.len()),
            ("POST", "/v1/messages/count_tokens") => {
                Reply::json(200, &json!({"input_tokens": request.body.len() / 4 + 1}))
            }
            ("GET", "/v1/models") => Reply::json(200, &models()),
            _ => Reply::error(404, "not_found_error", "there is nothing here"),
        }
    }

    fn message(self, body: &Value, length: usize) -> Reply {
        let model = body["model"].as_str().unwrap_or(DEFAULT_MODEL);
        let message = match self {
            Self::Plain => Message::new(model).text(PLAIN_TEXT),
            Self::Talkative => talk(Message::new(model), body).usage(Usage {
                input_tokens: length as u64 / 4 + 1,
                output_tokens: 60,
                ..Usage::default()
            }),
        };
        match (body["stream"].as_bool(), self) {
            (Some(true), Self::Plain) => Reply::stream(&message),
            (Some(true), Self::Talkative) => Reply::stream(&message).every(Duration::from_millis(25)),
            _ => Reply::message(&message),
        }
    }
}

fn talk(message: Message, body: &Value) -> Message {
    let last = &body["messages"].as_array().and_then(|all| all.last()).unwrap_or(&Value::Null)["content"];
    if let Some(output) = tool_result(last) {
        // The client adds reminders of its own to what the tool said.
        let said = output.split("<system-reminder>").next().unwrap_or_default();
        let shown: String = said.chars().take(600).collect();
        return message.text(&format!("The tool ran on your machine and said:\n\n```\n{}\n```\n", shown.trim_end()));
    }
    let said = last_text(last);
    if wants_a_tool(&said) && has_tool(body, "Bash") {
        let call = json!({"command": "ls", "description": "List the files here"});
        return thinking(message, body, "A tool was asked for; listing files is harmless.")
            .text("I will look at the files here. ")
            .tool_use("Bash", &call);
    }
    let heard: String = said.chars().take(200).collect();
    thinking(message, body, "Somebody is trying the gateway out. I answer from a script and say so.").text(&format!(
        "This is the scripted model provider behind your gateway. You said: \"{}\". The words arrive one by one, as a \
         real model's do. Ask me to run a tool and I will call Bash.",
        heard.trim()
    ))
}

/// Thinking comes only where the client turned it on, as with the real provider.
fn thinking(message: Message, body: &Value, thought: &str) -> Message {
    match body["thinking"]["type"].as_str() {
        Some("enabled" | "adaptive") => message.thinking(thought),
        _ => message,
    }
}

fn tool_result(content: &Value) -> Option<String> {
    let result = content.as_array()?.iter().rev().find(|block| block["type"] == "tool_result")?;
    match &result["content"] {
        Value::String(text) => Some(text.clone()),
        blocks => Some(last_text(blocks)),
    }
}

/// The last text block that a person wrote: the client's own reminders stand in tags.
fn last_text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => blocks
            .iter()
            .rev()
            .filter_map(|block| block["text"].as_str())
            .find(|text| !text.trim_start().starts_with('<'))
            .unwrap_or_default()
            .to_owned(),
        _ => String::new(),
    }
}

fn wants_a_tool(said: &str) -> bool {
    let said = said.to_lowercase();
    ["tool", "list the files", "run "].iter().any(|wish| said.contains(wish))
}

fn has_tool(body: &Value, name: &str) -> bool {
    body["tools"].as_array().is_some_and(|tools| tools.iter().any(|tool| tool["name"] == name))
}

fn models() -> Value {
    json!({
        "data": [{"type": "model", "id": DEFAULT_MODEL, "display_name": "The scripted model", "created_at": "2025-09-29T00:00:00Z"}],
        "has_more": false, "first_id": DEFAULT_MODEL, "last_id": DEFAULT_MODEL,
    })
}
