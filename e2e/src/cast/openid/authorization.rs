//! The authorization endpoint: a page on which a person picks who they are, or, with `login_hint`, the answer at once.

use http::StatusCode;
use url::{Url, form_urlencoded};

use super::{
    Desk,
    behaviour::Misbehaviour,
    person::Person,
    record::Recorded,
    server::{Answer, html, redirect},
    token::{Code, fresh},
};

pub(crate) fn authorize(desk: &Desk, asked: &Recorded) -> Answer {
    match asked.query("login_hint") {
        None => html(StatusCode::OK, &page(desk, asked)),
        Some(sub) => match callback(desk, asked, sub) {
            Ok(url) => redirect(url.as_str()),
            // An unproven redirect URI is not redirected to.
            Err(reason) => html(StatusCode::BAD_REQUEST, &format!("<!doctype html><p>{}</p>", escaped(&reason))),
        },
    }
}

/// Where the browser goes next, with a code for the person or an error.
pub(crate) fn callback(desk: &Desk, asked: &Recorded, sub: &str) -> Result<Url, String> {
    let wanted = |name: &str| asked.query(name).ok_or(format!("the request has no {name}"));
    let mut books = desk.books();
    if wanted("client_id")? != books.behaviour.client_id {
        return Err("no such client".to_owned());
    }
    let redirect_uri = wanted("redirect_uri")?;
    let mut url = Url::parse(redirect_uri).map_err(|_| "the redirect URI is none".to_owned())?;
    if wanted("response_type")? != "code" || !wanted("scope")?.split(' ').any(|scope| scope == "openid") {
        return Err("only the code flow with openid is spoken here".to_owned());
    }
    if asked.query("code_challenge_method").is_some_and(|method| method != "S256") {
        return Err("only S256 challenges".to_owned());
    }
    let enabled = books.behaviour.find(sub).ok_or("nobody of that name")?.enabled;
    if enabled {
        let code = fresh("code");
        url.query_pairs_mut().append_pair("code", &code);
        let granted = Code {
            sub: sub.to_owned(),
            nonce: asked.query("nonce").map(str::to_owned),
            challenge: asked.query("code_challenge").map(str::to_owned),
            redirect_uri: redirect_uri.to_owned(),
            scope: wanted("scope")?.to_owned(),
        };
        books.codes.insert(code, granted);
    } else {
        url.query_pairs_mut().append_pair("error", "access_denied");
    }
    if let Some(state) = asked.query("state") {
        url.query_pairs_mut().append_pair("state", state);
    }
    let behaviour = &books.behaviour;
    match behaviour.misbehaviour {
        Some(Misbehaviour::CallbackWithoutIssuer) => {}
        Some(Misbehaviour::CallbackOfAnotherIssuer) => {
            url.query_pairs_mut().append_pair("iss", "http://another.example.com");
        }
        _ if behaviour.names_itself_in_callback => {
            url.query_pairs_mut().append_pair("iss", &desk.issuer);
        }
        _ => {}
    }
    Ok(url)
}

fn page(desk: &Desk, asked: &Recorded) -> String {
    let people: String = desk.books().behaviour.people.iter().map(|person| entry(person, asked)).collect();
    format!(
        r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Test identity provider</title>
<style>
  :root {{ color-scheme: light dark; }}
  body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 32rem; margin: 3rem auto; padding: 0 1rem; }}
  ul {{ list-style: none; padding: 0; }}
  a {{ display: block; padding: .75rem 1rem; margin: .5rem 0; border: 1px solid; border-radius: .5rem; }}
</style>
<main>
<h1>Who is signing in?</h1>
<p>This is a test identity provider: nobody needs a password.</p>
<ul>{people}</ul>
</main>
</html>
"#
    )
}

fn entry(person: &Person, asked: &Recorded) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(&asked.query)
        .append_pair("login_hint", &person.sub)
        .finish();
    let groups = if person.groups.is_empty() { "no groups".to_owned() } else { person.groups.join(", ") };
    let state = if person.enabled { "" } else { " (disabled)" };
    format!(
        r#"<li><a href="/authorize?{}" data-sub="{}"><strong>{}</strong>{state}<br>{}: {}</a></li>"#,
        escaped(&query),
        escaped(&person.sub),
        escaped(&person.name),
        escaped(&person.email),
        escaped(&groups),
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use http_body_util::BodyExt;

    use super::*;
    use crate::cast::openid::Behaviour;

    fn desk(behaviour: Behaviour) -> Desk {
        Desk::new("http://127.0.0.1:1".to_owned(), behaviour)
    }

    fn asked(more: &[(&str, &str)]) -> Recorded {
        let mut url = Url::parse("http://127.0.0.1:1/authorize?response_type=code&state=%22%26s&scope=openid").unwrap();
        url.query_pairs_mut()
            .append_pair("client_id", "claude-gateway")
            .append_pair("redirect_uri", "https://gateway.test/callback")
            .extend_pairs(more);
        Recorded::of_url("GET", &url)
    }

    async fn text(answer: Answer) -> String {
        String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn the_page_offers_everybody_and_escapes_what_it_shows() {
        let behaviour = Behaviour::default().person(Person::new("eve", "<img onerror>", &[]));
        let page = text(authorize(&desk(behaviour), &asked(&[]))).await;
        for sub in ["alice", "bob", "carol", "eve"] {
            assert!(page.contains(&format!("login_hint={sub}\"")), "{sub}");
        }
        assert!(page.contains("&lt;img onerror&gt;") && !page.contains("<img"), "{page}");
        assert!(page.contains("state=%22%26s&amp;"), "the request is kept: {page}");
    }

    #[test]
    fn a_choice_leads_back_with_the_state_and_a_code_or_an_error() {
        let desk = desk(Behaviour::default());
        let back = |sub: &str| callback(&desk, &asked(&[]), sub).map(|url| url.query_pairs().into_owned().collect());
        let pairs: HashMap<String, String> = back("alice").unwrap();
        assert_eq!(pairs["state"], "\"&s");
        assert!(desk.books().codes.contains_key(&pairs["code"]));
        desk.books().behaviour.person_mut("alice").enabled = false;
        assert_eq!(back("alice").unwrap()["error"], "access_denied");
        assert!(back("nobody").is_err());
    }
}
