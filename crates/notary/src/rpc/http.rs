//! The paths, and the way of a post from its headers to its answer.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Extension, Request as HttpRequest, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::future::join_all;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::answer::{answer, wait};
use super::body::{BodyFault, Memory};
use super::counters::{Counters, Turned};
use super::files::{OPENAPI, PAGE, POLICY, SCRIPT, STYLE};
use super::limits::Limits;
use super::quota::{Denied, Quotas};
use crate::backend::Backend;
use crate::call::{self, Body as CallBody, Call, Fault, FaultCode, Request};

/// When to come back to a node that is busy.
const SOON: Duration = Duration::from_secs(1);

/// For the backend to say how it is.
const HEALTH_TIME: Duration = Duration::from_secs(2);

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Where a connection comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) IpAddr);

/// Everything that the handlers share.
pub(super) struct App<B> {
    backend: B,
    pub(super) limits: Limits,
    pub(super) quotas: Quotas,
    pub(super) counters: Counters,
    memory: Memory,
    in_flight: Arc<Semaphore>,
    held: Arc<Semaphore>,
    heavy: Arc<Semaphore>,
}

impl<B> App<B> {
    pub(super) fn new(backend: B, limits: Limits, quotas: Quotas) -> Self {
        let permits = |n: usize| Arc::new(Semaphore::new(n.min(Semaphore::MAX_PERMITS)));
        Self {
            memory: Memory::new(limits.buffered),
            in_flight: permits(limits.in_flight),
            held: permits(limits.held),
            heavy: permits(limits.heavy),
            counters: Counters::default(),
            backend,
            limits,
            quotas,
        }
    }
}

/// All paths.
pub(super) fn router<B: Backend>(app: Arc<App<B>>) -> Router {
    Router::new()
        .route("/", get(|| file("text/html; charset=utf-8", PAGE)).post(post::<B>))
        .route("/page.js", get(|| file("text/javascript; charset=utf-8", SCRIPT)))
        .route("/page.css", get(|| file("text/css; charset=utf-8", STYLE)))
        .route("/openapi.json", get(|| file("application/json", OPENAPI)))
        .route("/health", get(health::<B>))
        .route("/ready", get(ready::<B>))
        .route("/metrics", get(metrics::<B>))
        .fallback(elsewhere)
        .method_not_allowed_fallback(not_allowed)
        .layer(from_fn(cross_origin))
        .with_state(app)
}

async fn post<B: Backend>(
    State(app): State<Arc<App<B>>>,
    Extension(Peer(address)): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Ok(_turn) = app.in_flight.clone().try_acquire_owned() else {
        app.counters.turned(Turned::InFlight);
        let message = "the node works on as many requests as it can: try again in a second";
        return refuse(StatusCode::OK, Fault::later("RPC_BUSY", message, SOON));
    };
    let _open = app.counters.call();
    let read = match app.memory.read(body, app.limits.body_time).await {
        Ok(read) => read,
        Err(fault) => return app.refuse_body(fault),
    };
    let parsed = call::parse(&read.bytes);
    // What was parsed owns what it needs: the body makes room for others before anyone waits.
    drop(read);
    let (requests, is_array) = match parsed {
        CallBody::One(request) => (vec![request], false),
        CallBody::Many(requests) => (requests, true),
    };
    let key = headers.get(API_KEY).map(HeaderValue::as_bytes);
    if let Some(denied) = app.deny(key, address, &requests) {
        return denied;
    }
    let answers = join_all(requests.into_iter().map(|request| app.call(request))).await;
    compose(answers, is_array)
}

impl<B: Backend> App<B> {
    fn refuse_body(&self, fault: BodyFault) -> Response {
        let refused = |word, message| Fault::new(FaultCode::Request, word, message);
        let (status, fault, why) = match fault {
            BodyFault::TooLarge => {
                let message = format!("the body has more than {} bytes: split it", call::MAX_BODY);
                let status = StatusCode::PAYLOAD_TOO_LARGE;
                (status, refused("RPC_BODY_SIZE", message), Turned::TooLarge)
            }
            BodyFault::TooSlow => {
                let message = "the body came too slowly: send it again".to_owned();
                let status = StatusCode::REQUEST_TIMEOUT;
                (status, refused("RPC_BODY_TIME", message), Turned::TooSlow)
            }
            BodyFault::NoMemory => {
                let message = "the node holds as many bodies as it can: try again in a second";
                (StatusCode::OK, Fault::later("RPC_BUSY", message, SOON), Turned::Memory)
            }
            BodyFault::Broken => {
                let message = "the body broke off: send it again".to_owned();
                let status = StatusCode::BAD_REQUEST;
                (status, refused("RPC_BODY_BROKEN", message), Turned::TooSlow)
            }
        };
        self.counters.turned(why);
        refuse(status, fault)
    }

    /// What a caller is told whom the quotas do not let through.
    fn deny(&self, key: Option<&[u8]>, address: IpAddr, requests: &[Request]) -> Option<Response> {
        let calls = u32::try_from(requests.len()).unwrap_or(u32::MAX);
        let certifies = requests.iter().any(|r| r.call.as_ref().is_ok_and(Call::is_write));
        let denied = self.quotas.admit(key, address, calls, certifies).err()?;
        let (status, fault) = match denied {
            Denied::KeyNeeded => {
                let message = "this needs a key in the header X-API-Key: ask the operator for one";
                let fault = Fault::new(FaultCode::Request, "RPC_KEY_NEEDED", message);
                (StatusCode::UNAUTHORIZED, fault)
            }
            Denied::KeyUnknown => {
                let message = "the key in X-API-Key is not a subscriber's: check it";
                let fault = Fault::new(FaultCode::Request, "RPC_KEY_UNKNOWN", message);
                (StatusCode::UNAUTHORIZED, fault)
            }
            Denied::Second(wait) => {
                let message = "more calls a second than the subscription has: slow down";
                (StatusCode::TOO_MANY_REQUESTS, Fault::later("RPC_QUOTA_SECOND", message, wait))
            }
            Denied::Month(wait) => {
                let message = "the month's calls are used up: ask the operator for more";
                (StatusCode::TOO_MANY_REQUESTS, Fault::later("RPC_QUOTA_MONTH", message, wait))
            }
        };
        let is_key = status == StatusCode::UNAUTHORIZED;
        self.counters.turned(if is_key { Turned::Key } else { Turned::Quota });
        let id = if let [request] = requests { request.id.as_str() } else { "null" };
        let mut response = reply(status, fault.retry_after, Body::from(error(id, &fault)));
        if is_key {
            let challenge = HeaderValue::from_static("ApiKey");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        Some(response)
    }

    /// Answers one call.
    async fn call(&self, request: Request) -> Answer {
        let started = Instant::now();
        let (result, permit) = match request.call {
            Ok(call) => self.work(call).await,
            Err(fault) => (Err(fault), None),
        };
        self.counters.answered(request.method, result.is_ok(), started.elapsed());
        let retry_after = result.as_ref().err().and_then(|fault| fault.retry_after);
        let id = request.id.as_str();
        let text = match result {
            Ok(result) => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#),
            Err(fault) => error(id, &fault),
        };
        Answer { text, retry_after, permit }
    }

    async fn work(
        &self,
        mut call: Call,
    ) -> (Result<Box<serde_json::value::RawValue>, Fault>, Option<OwnedSemaphorePermit>) {
        let mut permit = None;
        if call.is_heavy() {
            let Ok(heavy) = self.heavy.clone().try_acquire_owned() else {
                self.counters.turned(Turned::Heavy);
                let message = "the node works on as many long answers as it can: try again";
                return (Err(Fault::later("RPC_BUSY", message, SOON)), None);
            };
            permit = Some(heavy);
        }
        let held = match &mut call {
            Call::Inclusion(_, wait) if !wait.is_zero() => {
                let held = self.held.clone().try_acquire_owned().ok();
                if held.is_none() {
                    *wait = Duration::ZERO;
                }
                held
            }
            _ => None,
        };
        let limit = wait(&call) + self.limits.call_time;
        let late = || {
            let message = "the node did not answer in time: ask again, or another node";
            Err(Fault::new(FaultCode::Internal, "RPC_TIME", message))
        };
        if permit.is_some() {
            // The work goes on when nobody waits any more, and so does its share of what is allowed.
            let backend = self.backend.clone();
            let work = tokio::spawn(async move { (answer(&backend, call).await, permit) });
            return match timeout(limit, work).await {
                Ok(Ok(done)) => done,
                _ => (late(), None),
            };
        }
        let result = timeout(limit, answer(&self.backend, call)).await.unwrap_or_else(|_| late());
        drop(held);
        (result, None)
    }
}

/// The answer to one call, and what must be kept until it is sent.
struct Answer {
    text: String,
    retry_after: Option<Duration>,
    permit: Option<OwnedSemaphorePermit>,
}

fn compose(answers: Vec<Answer>, is_array: bool) -> Response {
    let retry_after = answers.iter().filter_map(|answer| answer.retry_after).max();
    let mut permits = Vec::new();
    let mut text = String::new();
    for (i, answer) in answers.into_iter().enumerate() {
        if i == 0 && !is_array {
            text = answer.text;
        } else {
            text.push(if i == 0 { '[' } else { ',' });
            text.push_str(&answer.text);
        }
        permits.extend(answer.permit);
    }
    if is_array {
        text.push(']');
    }
    reply(StatusCode::OK, retry_after, Body::new(Kept { bytes: text.into(), permits }))
}

/// A body that keeps its permits until it is sent, so that long answers to slow readers stay few.
struct Kept {
    bytes: Bytes,
    permits: Vec<OwnedSemaphorePermit>,
}

impl HttpBody for Kept {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        /// Small enough for the connection to take one when the one before has gone out.
        const PART: usize = 64 << 10;
        let part = self.bytes.len().min(PART);
        let part = self.bytes.split_to(part);
        if part.is_empty() {
            self.permits.clear();
            return std::task::Poll::Ready(None);
        }
        std::task::Poll::Ready(Some(Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}

fn error(id: &str, fault: &Fault) -> String {
    let mut data = json!({ "code": fault.word });
    if let Some(after) = fault.retry_after {
        data["retryAfterMs"] = u64::try_from(after.as_millis()).unwrap_or(u64::MAX).into();
    }
    let error = json!({ "code": fault.code.number(), "message": fault.message, "data": data });
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#)
}

fn refuse(status: StatusCode, fault: Fault) -> Response {
    reply(status, fault.retry_after, Body::from(error("null", &fault)))
}

fn reply(status: StatusCode, retry_after: Option<Duration>, body: Body) -> Response {
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(after) = retry_after {
        // Whole seconds, rounded up: coming back early would be refused again.
        let seconds = after.as_millis().div_ceil(1_000).max(1);
        if let Ok(seconds) = u64::try_from(seconds) {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
    }
    response
}

/// Lets a page of any origin ask: answers depend on the key that it sends, and on no cookie.
async fn cross_origin(request: HttpRequest, next: Next) -> Response {
    let mut response = if request.method() == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "Content-Type, X-State-ID, X-API-Key"),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Retry-After"),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn file(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text).into_response()
}

async fn health<B: Backend>(State(app): State<Arc<App<B>>>) -> Response {
    let status = timeout(HEALTH_TIME, app.backend.status()).await;
    let ready = timeout(HEALTH_TIME, app.backend.ready()).await;
    let (code, word) = match (&status, &ready) {
        (Ok(Ok(_)), Ok(Ok(()))) => (StatusCode::OK, "ok"),
        (Ok(Ok(_)), _) => (StatusCode::OK, "degraded"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "unhealthy"),
    };
    let mut body = json!({ "status": word, "role": "standalone" });
    if let Ok(Err(error)) = &status {
        body["details"] = json!({ "error": error.code() });
    }
    if let Ok(Ok(status)) = status {
        let shard = status.partition.shard.len();
        body["serverId"] = status.node.as_str().into();
        body["sharding"] = json!({ "mode": "standalone", "shardIdLen": shard });
        body["details"] = json!({
            "blockNumber": status.height.to_string(),
            "commitment_queue": status.pending.to_string(),
        });
    }
    reply(code, None, Body::from(body.to_string()))
}

async fn ready<B: Backend>(State(app): State<Arc<App<B>>>) -> Response {
    match timeout(HEALTH_TIME, app.backend.ready()).await {
        Ok(Ok(())) => reply(StatusCode::OK, None, Body::from(r#"{"ready":true}"#)),
        failed => {
            let why = match failed {
                Ok(Err(not)) => not.0,
                _ => "the node does not answer".to_owned(),
            };
            let body = json!({ "ready": false, "reason": why }).to_string();
            reply(StatusCode::SERVICE_UNAVAILABLE, Some(SOON), Body::from(body))
        }
    }
}

async fn metrics<B: Backend>(State(app): State<Arc<App<B>>>) -> Response {
    let mut text = app.counters.text();
    if let Ok(more) = timeout(HEALTH_TIME, app.backend.metrics()).await {
        text.push_str(&more);
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// A post to a wrong path must not get 404, which clients of the wire format take for "not yet".
async fn elsewhere(method: Method) -> Response {
    if method == Method::POST {
        let fault = Fault::new(FaultCode::Request, "RPC_PATH", "calls are posted to the path /");
        return refuse(StatusCode::BAD_REQUEST, fault);
    }
    (StatusCode::NOT_FOUND, "there is nothing here: see / and /openapi.json\n").into_response()
}

async fn not_allowed() -> Response {
    let fault = Fault::new(FaultCode::Request, "RPC_HTTP_METHOD", "calls are posted to the path /");
    refuse(StatusCode::METHOD_NOT_ALLOWED, fault)
}
