//! The two endpoints, and what they answer.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State as Shared};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::contract::Details;
use crate::fault::{Kind, Method};
use crate::listener::{Break, Connection};
use crate::state::{ReceivedRequest, State};

/// The largest body that is read.
const BODY_LIMIT: usize = 1024 * 1024;

pub(crate) fn router(state: Arc<State>) -> Router {
    Router::new().fallback(handle).with_state(state)
}

/// Every request comes here: what goes wrong on purpose comes before what is answered.
async fn handle(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
) -> Response<Body> {
    let method = request.method().to_string();
    let path = request.uri().path().to_owned();
    let fault = match method.as_str() {
        "GET" => state.next_fault(Method::Get),
        "POST" => state.next_fault(Method::Post),
        _ => None,
    };
    let end = match fault {
        None => End::Answer(answer(&state, request).await.into_response()),
        Some(Kind::Status(status)) => {
            drain(request).await;
            End::Answer(Answer::fault(status).into_response())
        }
        Some(Kind::Hang) => {
            drain(request).await;
            End::Silence
        }
        Some(Kind::Reset) => {
            drain(request).await;
            End::Broken(Break::Reset)
        }
        Some(Kind::Lost) => {
            answer(&state, request).await;
            End::Broken(Break::Close)
        }
        Some(Kind::Garbage) => {
            let mut answer = answer(&state, request).await;
            if answer.status.is_success() {
                answer.body = None;
            }
            End::Answer(answer.into_response())
        }
    };
    let status = match &end {
        End::Answer(response) => Some(response.status().as_u16()),
        End::Broken(_) | End::Silence => None,
    };
    state.record(ReceivedRequest { method, path, status });
    match end {
        End::Answer(response) => response,
        End::Broken(how) => {
            connection.break_off(how);
            Response::default()
        }
        End::Silence => std::future::pending().await,
    }
}

/// How a request ends for who sent it.
enum End {
    Answer(Response<Body>),
    Broken(Break),
    Silence,
}

async fn drain(request: Request) {
    // What is in it does not matter: it is not processed.
    let _ = to_bytes(request.into_body(), BODY_LIMIT).await;
}

struct Answer {
    status: StatusCode,
    /// Without a body it is one that cannot be read.
    body: Option<Value>,
}

impl Answer {
    fn error(status: StatusCode, code: &str, message: &str) -> Self {
        Self { status, body: Some(json!({ "code": code, "message": message })) }
    }

    fn invalid(details: &Details) -> Self {
        let mut answer = Self::error(
            StatusCode::UNPROCESSABLE_ENTITY,
            "InvalidPayload",
            "One or more fields provided in the request body are malformed",
        );
        if let Some(body) = &mut answer.body {
            body["details"] = json!(details);
        }
        answer
    }

    fn fault(status: u16) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::error(status, "Fault", "The sandbox was told to answer so")
    }

    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(match &self.body {
            Some(body) => body.to_string(),
            None => "{\"garbage".to_owned(),
        }));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, "application/json".parse().expect("a header value"));
        let id = Uuid::new_v4().to_string();
        headers.insert("x-request-id", id.parse().expect("a UUID is a header value"));
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            headers.insert(RETRY_AFTER, "1".parse().expect("a header value"));
        }
        response
    }
}

/// The order of the checks is Bird's as far as it is known: who asks, how often, where, what.
async fn answer(state: &State, request: Request) -> Answer {
    let not_found = |message| Answer::error(StatusCode::NOT_FOUND, "NotFound", message);
    if !authorized(state, request.headers()) {
        return Answer::error(
            StatusCode::UNAUTHORIZED,
            "Unauthorized",
            "Access key is missing or invalid",
        );
    }
    let path = request.uri().path().to_owned();
    let (workspace, connector) = match *path.split('/').collect::<Vec<_>>() {
        ["", "workspaces", workspace, "connectors"] => (workspace, None),
        ["", "workspaces", workspace, "connectors", connector] => (workspace, Some(connector)),
        _ => return not_found("There is nothing here"),
    };
    let method = match (request.method().as_str(), connector) {
        ("POST", None) => Method::Post,
        ("GET", Some(_)) => Method::Get,
        _ => {
            return Answer::error(
                StatusCode::METHOD_NOT_ALLOWED,
                "MethodNotAllowed",
                "This path does not know the method",
            );
        }
    };
    if !state.within_limit(method) {
        return Answer::error(
            StatusCode::TOO_MANY_REQUESTS,
            "TooManyRequests",
            "Rate limit exceeded",
        );
    }
    let ids = (Uuid::try_parse(workspace), connector.map(Uuid::try_parse).transpose());
    let (Ok(workspace), Ok(connector)) = ids else {
        return Answer::error(
            StatusCode::BAD_REQUEST,
            "BadRequest",
            "An id in the path is not a UUID",
        );
    };
    if workspace != state.workspace_id {
        return not_found("Workspace not found");
    }
    match connector {
        Some(id) => match state.connector(id) {
            Some(connector) => Answer { status: StatusCode::OK, body: Some(connector) },
            None => not_found("Connector not found"),
        },
        None => create(state, request).await,
    }
}

async fn create(state: &State, request: Request) -> Answer {
    let bad = |message| Answer::error(StatusCode::BAD_REQUEST, "BadRequest", message);
    let Ok(body) = to_bytes(request.into_body(), BODY_LIMIT).await else {
        return Answer::error(
            StatusCode::PAYLOAD_TOO_LARGE,
            "PayloadTooLarge",
            "The body is larger than 1 MiB",
        );
    };
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return bad("The body is not JSON");
    };
    let details = state.contract.check(&body);
    if !details.is_empty() {
        return Answer::invalid(&details);
    }
    match state.create(&body) {
        Some(connector) => Answer { status: StatusCode::CREATED, body: Some(connector) },
        None => Answer::error(
            StatusCode::CONFLICT,
            "AlreadyExists",
            "A connector for this phone number already exists",
        ),
    }
}

fn authorized(state: &State, headers: &HeaderMap) -> bool {
    headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("AccessKey "))
        .is_some_and(|key| key == state.key.0)
}
