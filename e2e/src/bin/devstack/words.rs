//! What a person reads when the stack stands: what is running, how to connect, how to look at the flow.

use std::{fmt::Write, io::IsTerminal};

use crate::Stack;

pub(crate) const FAREWELL: &str = "Ending the gateway, the providers and Postgres …";

pub(crate) fn welcome(stack: &Stack) -> String {
    let (url, port) = (stack.gateway.url(), stack.gateway.port());
    let mut text = String::new();
    let _ = writeln!(text, "\n{}\n", strong("Running"));
    let model = match &stack.scripted_model {
        Some(provider) => (provider.url(), "scripted: thinks, streams, and runs a tool if you ask for one"),
        None => ("api.anthropic.com".to_owned(), "the real API, with your ANTHROPIC_API_KEY"),
    };
    for (what, place, note) in [
        ("gateway", url.clone(), "this is what you are trying"),
        ("identity provider", stack.people.issuer(), "alice, bob and carol; nobody needs a password"),
        ("model provider", model.0, model.1),
        ("Postgres", format!("127.0.0.1:{}", stack.store.port()), "empty at every start"),
        (
            "configuration",
            stack.gateway.file().display().to_string(),
            "policies and secrets are read again when it changes",
        ),
    ] {
        let _ = writeln!(text, "  {what:<18} {place}\n  {:<18} {}", "", faint(note));
    }
    let _ = writeln!(text, "\n{}\n", strong("Connect a Claude Code"));
    let _ =
        writeln!(text, "  sudo install -D {} /etc/claude-code/managed-settings.json", stack.managed_settings.display());
    let _ = writeln!(text, "  claude /login");
    let _ = writeln!(text, "\n{}\n", strong("See the device flow by hand"));
    let _ = writeln!(text, "  curl -d surface=claude_code {url}/oauth/device_authorization");
    let _ = writeln!(
        text,
        "\n  {}",
        faint("Open the verification_uri_complete that it answers with, pick a person, and collect the token:")
    );
    let _ = writeln!(
        text,
        "  curl -d grant_type=urn:ietf:params:oauth:grant-type:device_code -d device_code=… localhost:{port}/oauth/token"
    );
    let _ = writeln!(text, "\n{}\n", strong("What happens (Ctrl-C ends everything)"));
    text
}

pub(crate) fn strong(text: &str) -> String {
    styled("1", text)
}

pub(crate) fn faint(text: &str) -> String {
    styled("2", text)
}

fn styled(style: &str, text: &str) -> String {
    match std::io::stdout().is_terminal() {
        true => format!("\x1b[{style}m{text}\x1b[0m"),
        false => text.to_owned(),
    }
}
