//! The forms of a page, as far as pressing a button needs them.

/// A form: where it goes and what it carries.
#[derive(Debug, Clone, Default)]
pub struct Form {
    pub action: String,
    pub fields: Vec<(String, String)>,
    pub buttons: Vec<Button>,
}

#[derive(Debug, Clone, Default)]
pub struct Button {
    pub text: String,
    /// `formaction`.
    pub action: Option<String>,
    /// Its own name and value.
    pub field: Option<(String, String)>,
}

/// Every form of the page, in order.
pub(super) fn forms(html: &str) -> Vec<Form> {
    let mut forms = Vec::new();
    let mut open: Option<Form> = None;
    for piece in html.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').unwrap_or((piece, ""));
        let name = tag.split_ascii_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        match (name.as_str(), &mut open) {
            ("form", _) => {
                open = Some(Form { action: attribute(tag, "action").unwrap_or_default(), ..Form::default() });
            }
            ("/form", _) => forms.extend(open.take()),
            ("input", Some(form)) => {
                if let Some(name) = attribute(tag, "name") {
                    form.fields.push((name, attribute(tag, "value").unwrap_or_default()));
                }
            }
            ("button", Some(form)) => form.buttons.push(Button {
                text: text.trim().to_owned(),
                action: attribute(tag, "formaction"),
                field: attribute(tag, "name").map(|name| (name, attribute(tag, "value").unwrap_or_default())),
            }),
            _ => {}
        }
    }
    forms
}

/// Where the link goes that has this value in that attribute.
pub(super) fn link(html: &str, name: &str, value: &str) -> Option<String> {
    let mut links = html.split('<').filter_map(|piece| piece.strip_prefix("a ")?.split('>').next());
    let tag = links.find(|tag| attribute(&format!("a {tag}"), name).as_deref() == Some(value))?;
    attribute(&format!("a {tag}"), "href")
}

/// A quoted attribute of a tag, its entities undone.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let found = tag.match_indices(name).find_map(|(at, _)| {
        let before = tag[..at].chars().next_back()?;
        let rest = tag[at + name.len()..].strip_prefix("=\"")?;
        before.is_ascii_whitespace().then(|| rest.split('"').next())?
    })?;
    let plain = found.replace("&quot;", "\"").replace("&#x27;", "'").replace("&#39;", "'").replace("&#38;", "&");
    Some(plain.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_gives_its_fields_and_each_button_its_own() {
        let page = r#"<form method="post" action="/device"><input type="hidden" name="user_code" value="A&amp;B">
            <button class="go">Continue</button><button formaction="/device/deny" name="n" value="v">Deny</button></form>"#;
        let forms = forms(page);
        assert_eq!(forms[0].action, "/device");
        assert_eq!(forms[0].fields, [("user_code".to_owned(), "A&B".to_owned())]);
        assert_eq!(forms[0].buttons[0].text, "Continue");
        assert_eq!(forms[0].buttons[1].action.as_deref(), Some("/device/deny"));
        assert_eq!(forms[0].buttons[1].field, Some(("n".to_owned(), "v".to_owned())));
    }
}
