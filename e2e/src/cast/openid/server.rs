//! The provider's front: routes, bodies, and the record of both.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

use super::{Desk, authorization, discovery, record::Recorded, token};

pub(crate) type Answer = Response<Full<Bytes>>;

pub(crate) fn serve(listener: TcpListener, desk: Arc<Desk>) -> JoinHandle<()> {
    accept(listener, move |request| route(desk.clone(), request))
}

/// Serves until it is aborted, and takes its connections with it.
pub(crate) fn accept<F>(
    listener: TcpListener,
    answer: impl Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
) -> JoinHandle<()>
where
    F: Future<Output = Answer> + Send + 'static,
{
    tokio::spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            connections.spawn(async move {
                let service = service_fn(|request| {
                    let answered = answer(request);
                    async move { Ok::<_, Infallible>(answered.await) }
                });
                // A peer that breaks off is its own affair.
                let _ = http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service).await;
            });
            while connections.try_join_next().is_some() {}
        }
    })
}

async fn route(desk: Arc<Desk>, request: Request<Incoming>) -> Answer {
    let asked = recorded(request).await;
    desk.books().requests.push(asked.clone());
    match (asked.method.as_str(), asked.path.as_str()) {
        ("GET", "/.well-known/openid-configuration") => discovery::metadata(&desk),
        ("GET", "/jwks") => discovery::key_set(&desk),
        ("GET", "/authorize") => authorization::authorize(&desk, &asked),
        ("POST", "/token") => token::token(&desk, &asked).await,
        ("GET", "/userinfo") => token::userinfo(&desk, &asked).await,
        _ => answer(404, &json!({"error": "not_found"})),
    }
}

pub(crate) async fn recorded(request: Request<Incoming>) -> Recorded {
    let (head, body) = request.into_parts();
    let body = match head.method {
        Method::POST => body.collect().await.map(|body| body.to_bytes()).unwrap_or_default(),
        _ => Bytes::new(),
    };
    Recorded::of_request(&head, &body)
}

pub(crate) fn answer(status: u16, body: &Value) -> Answer {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CACHE_CONTROL, "no-store")
        .body(Full::new(Bytes::from(body.to_string())))
        .expect("a scripted answer is well formed")
}

pub(crate) fn html(status: StatusCode, body: &str) -> Answer {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "text/html; charset=utf-8")
        .body(Full::new(Bytes::from(body.to_owned())))
        .expect("a scripted page is well formed")
}

pub(crate) fn redirect(location: &str) -> Answer {
    Response::builder()
        .status(StatusCode::FOUND)
        .header(header::LOCATION, location)
        .body(Full::new(Bytes::new()))
        .expect("a scripted redirect is well formed")
}
