//! An API server that remembers objects and calls, and fails when it is told to: for tests of the steps that hold a client.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use http::{Method, Request, Response};
use http_body_util::BodyExt;
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tower::{BoxError, service_fn};

/// Cheap to clone; all clones are one server.
#[derive(Clone, Default)]
pub(super) struct Server(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Value>,
    calls: Vec<Call>,
    /// The answer to the call of this number.
    fault: Option<(usize, u16)>,
    made: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub method: Method,
    pub path: String,
    pub query: String,
}

impl Call {
    pub(super) fn is_write(&self) -> bool {
        self.method != Method::GET
    }
}

impl Server {
    pub(super) fn client(&self) -> Client {
        let server = self.clone();
        let service = service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                let (path, query) = (head.uri.path().to_owned(), head.uri.query().unwrap_or_default().to_owned());
                let (status, answer) = server.answer(Call { method: head.method, path, query }, &body);
                let answer = Response::builder().status(status).body(Body::from(answer.to_string().into_bytes()));
                Ok::<_, BoxError>(answer?)
            }
        });
        Client::new(service, "team")
    }

    pub(super) fn put(&self, path: &str, object: Value) {
        self.0.lock().unwrap().objects.insert(path.to_owned(), object);
    }

    pub(super) fn objects(&self) -> BTreeMap<String, Value> {
        self.0.lock().unwrap().objects.clone()
    }

    /// And forgets them.
    pub(super) fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.0.lock().unwrap().calls)
    }

    /// The call of this number, from now, is answered so.
    pub(super) fn fail(&self, number: usize, status: u16) {
        let mut state = self.0.lock().unwrap();
        state.calls.clear();
        state.fault = Some((number, status));
    }

    fn answer(&self, call: Call, body: &[u8]) -> (u16, Value) {
        let mut state = self.0.lock().unwrap();
        let number = state.calls.len();
        state.calls.push(call.clone());
        if state.fault.is_some_and(|(at, _)| at == number) {
            let (_, status) = state.fault.take().unwrap();
            return (status, refusal(status));
        }
        let found = state.objects.get(&call.path).cloned();
        match (call.method, found) {
            (Method::GET, Some(object)) => (200, object),
            (Method::DELETE, Some(object)) => {
                state.objects.remove(&call.path);
                (200, object)
            }
            (Method::PATCH, found) => {
                state.made += 1;
                let uid = format!("uid-{}", state.made);
                let mut object: Value = serde_json::from_slice(body).unwrap();
                object["metadata"]["resourceVersion"] = json!(state.made.to_string());
                object["metadata"]["uid"] = found.map_or(json!(uid), |found| found["metadata"]["uid"].clone());
                state.objects.insert(call.path, object.clone());
                (200, object)
            }
            (_, None) => (404, refusal(404)),
            (method, Some(_)) => panic!("no answer to {method}"),
        }
    }
}

fn refusal(status: u16) -> Value {
    // The client goes by the reason, not by the status.
    let reason = match status {
        404 => "NotFound",
        409 => "Conflict",
        429 => "TooManyRequests",
        _ => "InternalError",
    };
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": status,
        "message": format!("refused with {status}"), "reason": reason,
    })
}
