//! When each watch was last heard of, read off the wire: an answer, an event or a bookmark, which comes once a minute.
//!
//! A watch that was dropped without a word has been seen to wait for ever while its process looked well; what the wire says
//! cannot be mistaken. Ages are by the monotonic clock, which goes on while a process is frozen.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use http::{Request, Response};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use kube::client::Body;
use tower::{BoxError, Layer, Service};

/// Without any word from any watch for this long, the process is to be started anew. An idle watch ends after 295 s.
pub const SILENCE: Duration = Duration::from_secs(600);

/// What an answer's body is once it is listened to.
pub type Heard = UnsyncBoxBody<bytes::Bytes, BoxError>;

/// Which resources were heard of, and when.
#[derive(Debug, Clone)]
pub struct Progress(Arc<Mutex<Moments>>);

#[derive(Debug)]
struct Moments {
    begun: Instant,
    by_resource: BTreeMap<String, Instant>,
}

impl Progress {
    pub fn begin(now: Instant) -> Self {
        Self(Arc::new(Mutex::new(Moments { begun: now, by_resource: BTreeMap::new() })))
    }

    fn heard(&self, resource: &str, now: Instant) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match heard.by_resource.get_mut(resource) {
            Some(at) => *at = now,
            None => drop(heard.by_resource.insert(resource.to_owned(), now)),
        }
    }

    /// How long ago any watch was heard of; before the first one, how long the process runs.
    pub fn silence(&self, now: Instant) -> Duration {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = heard.by_resource.values().max().unwrap_or(&heard.begun);
        now.saturating_duration_since(*last)
    }

    pub fn alive(&self, now: Instant) -> bool {
        self.silence(now) < SILENCE
    }

    pub fn ages(&self, now: Instant) -> Vec<(String, Duration)> {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.by_resource.iter().map(|(name, at)| (name.clone(), now.saturating_duration_since(*at))).collect()
    }
}

impl<S> Layer<S> for Progress {
    type Service = Listening<S>;

    fn layer(&self, inner: S) -> Listening<S> {
        Listening { inner, progress: self.clone() }
    }
}

/// Notes what watches hear on their way.
#[derive(Debug, Clone)]
pub struct Listening<S> {
    inner: S,
    progress: Progress,
}

impl<S, B> Service<Request<Body>> for Listening<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Heard>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Heard>, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let watched = watched(request.uri());
        let progress = self.progress.clone();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await.map_err(Into::into)?;
            let Some(resource) = watched.filter(|_| answer.status().is_success()) else {
                return Ok(answer.map(|body| body.map_err(Into::into).boxed_unsync()));
            };
            progress.heard(&resource, Instant::now());
            Ok(answer.map(|body| {
                let listened = body.map_frame(move |frame| {
                    progress.heard(&resource, Instant::now());
                    frame
                });
                listened.map_err(Into::into).boxed_unsync()
            }))
        })
    }
}

/// The plural of what a request watches.
fn watched(uri: &http::Uri) -> Option<String> {
    let watches = uri.query()?.split('&').any(|part| part == "watch=true" || part == "watch=1");
    watches.then(|| uri.path().rsplit('/').next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;
    use tower::{ServiceExt, service_fn};

    use super::*;

    async fn ask(progress: &Progress, uri: &str, status: u16) {
        let server = service_fn(move |_: Request<Body>| async move {
            let body = Full::new(bytes::Bytes::from_static(b"{}"));
            Ok::<_, BoxError>(Response::builder().status(status).body(body).unwrap())
        });
        let answer = progress.layer(server).oneshot(Request::get(uri).body(Body::empty()).unwrap()).await.unwrap();
        answer.into_body().collect().await.unwrap();
    }

    #[tokio::test]
    async fn only_a_watch_that_is_answered_is_progress() {
        let progress = Progress::begin(Instant::now());
        ask(&progress, "/api/v1/secrets?labelSelector=a", 200).await;
        ask(&progress, "/api/v1/namespaces/a/secrets?watch=true", 403).await;
        assert!(progress.ages(Instant::now()).is_empty());
        ask(&progress, "/api/v1/namespaces/a/secrets?&watch=true&timeoutSeconds=290", 200).await;
        let ages = progress.ages(Instant::now());
        assert_eq!(ages.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["secrets"]);
    }

    #[test]
    fn ten_minutes_without_a_word_from_any_watch_are_no_life() {
        let begun = Instant::now();
        let progress = Progress::begin(begun);
        assert!(progress.alive(begun + Duration::from_secs(599)));
        assert!(!progress.alive(begun + Duration::from_secs(600)));
        progress.heard("secrets", begun + Duration::from_secs(500));
        assert!(progress.alive(begun + Duration::from_secs(1099)));
        assert!(!progress.alive(begun + Duration::from_secs(1100)));
    }
}
