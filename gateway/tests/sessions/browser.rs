//! A person's browser: one cookie jar at one address, sending what browsers send.

use axum::{
    body::Body,
    http::{Request, header},
};
use url::Url;

use crate::stage::{Answer, HOME, ORIGIN, Pod, Stage, post};

pub(crate) struct Browser {
    pub(crate) address: String,
    pub(crate) cookie: Option<String>,
}

impl Browser {
    pub(crate) fn new() -> Self {
        Self::at(HOME)
    }

    pub(crate) fn at(address: &str) -> Self {
        Self { address: address.to_owned(), cookie: None }
    }

    pub(crate) async fn submit(&mut self, pod: &Pod, target: &str, fields: &[(&str, &str)]) -> Answer {
        let mut request = post(target, fields);
        request.headers_mut().insert("sec-fetch-site", "same-origin".parse().unwrap());
        request.headers_mut().insert(header::ORIGIN, "null".parse().unwrap());
        self.send(pod, request).await
    }

    pub(crate) async fn open(&mut self, pod: &Pod, target: &str) -> Answer {
        self.send(pod, Request::get(target).body(Body::empty()).unwrap()).await
    }

    async fn send(&mut self, pod: &Pod, mut request: Request<Body>) -> Answer {
        if let Some(cookie) = &self.cookie {
            request.headers_mut().insert(header::COOKIE, cookie.parse().unwrap());
        }
        let answer = pod.call(&self.address, request).await;
        if let Some(set) = answer.header("set-cookie") {
            let pair = set.split(';').next().unwrap().to_owned();
            self.cookie = (!pair.ends_with('=')).then_some(pair);
        }
        answer
    }

    pub(crate) async fn enter(&mut self, pod: &Pod, user_code: &str) -> Answer {
        self.submit(pod, "/device", &[("user_code", user_code)]).await
    }

    /// Up to the provider's authorization URL.
    pub(crate) async fn depart(&mut self, pod: &Pod, user_code: &str) -> Url {
        let entered = self.enter(pod, user_code).await;
        assert_eq!(entered.status.as_u16(), 200, "{}", entered.body);
        let departed = self.submit(pod, "/device", &[("user_code", user_code), ("confirm", "yes")]).await;
        assert_eq!(departed.status.as_u16(), 303, "{}", departed.body);
        departed.header("location").unwrap().parse().unwrap()
    }

    /// The way back, for whoever the person says they are.
    pub(crate) async fn come_back(&mut self, stage: &Stage, pod: &Pod, departed: &Url, sub: &str) -> Answer {
        let callback = stage.provider.approve(departed, sub);
        self.open(pod, &target(&callback)).await
    }

    /// The whole walk.
    pub(crate) async fn sign_in(&mut self, stage: &Stage, pod: &Pod, user_code: &str, sub: &str) -> Answer {
        let departed = self.depart(pod, user_code).await;
        self.come_back(stage, pod, &departed, sub).await
    }
}

/// The path and query of a callback to this gateway.
pub(crate) fn target(callback: &Url) -> String {
    assert_eq!(callback.origin().ascii_serialization(), ORIGIN);
    callback[url::Position::BeforePath..].to_owned()
}

/// Alice's tokens: access and refresh.
pub(crate) async fn signed_in(stage: &Stage, pod: &Pod) -> (String, String) {
    let (device_code, user_code) = pod.start().await;
    let page = Browser::new().sign_in(stage, pod, &user_code, "alice").await;
    assert_eq!(page.status.as_u16(), 200, "{}", page.body);
    pod.poll(&device_code).await.tokens()
}
