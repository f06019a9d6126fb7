//! JSON in both directions, and what a call that failed becomes as a problem.

use axum::Json;
use serde::{Deserialize, Serialize};

use super::*;
use crate::problem::{Code, Problem};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Thing {
    size: u32,
}

#[tokio::test]
async fn json_is_sent_and_read() {
    let double = async |headers: HeaderMap, Json(thing): Json<Thing>| {
        for name in ["accept", "content-type"] {
            assert_eq!(headers[name], "application/json", "{name}");
        }
        Json(Thing { size: 2 * thing.size })
    };
    let app = Router::new()
        .route("/double", axum::routing::post(double))
        .route("/thing", axum::routing::get(async || Json(Thing { size: 1 })))
        .route("/nothing", axum::routing::post(async || StatusCode::NO_CONTENT));
    let (upstream, _) = client(serve(app).await, |_| {});
    assert_eq!(upstream.get_json::<Thing>("/thing").await.unwrap(), Thing { size: 1 });
    assert_eq!(upstream.post_json::<Thing>("/double", &Thing { size: 4 }).await.unwrap(), Thing { size: 8 });
    let () = upstream.post_json("/nothing", "text").await.unwrap();
}

#[tokio::test]
async fn another_status_and_another_shape_are_errors_and_name_their_cause() {
    let app = Router::new().route("/thing", axum::routing::get(async || r#"{"size":"large"}"#));
    let (upstream, _) = client(serve(app).await, |_| {});
    let status = upstream.get_json::<Thing>("/nowhere").await.unwrap_err();
    assert!(matches!(status, UpstreamError::Status(StatusCode::NOT_FOUND)), "{status:?}");
    let shape = upstream.get_json::<Thing>("/thing").await.unwrap_err();
    assert!(matches!(shape, UpstreamError::Json(_)), "{shape:?}");
    assert!(shape.reason().starts_with("the response is not the expected JSON: invalid type"), "{}", shape.reason());
}

#[tokio::test]
async fn the_limit_of_the_body_holds_for_json() {
    let app = Router::new().route("/thing", axum::routing::get(async || Json(Thing { size: 1 })));
    let (upstream, _) = client(serve(app).await, |settings| settings.max_body = Size::bytes(3));
    let error = upstream.get_json::<Thing>("/thing").await.unwrap_err();
    assert!(matches!(error, UpstreamError::TooLarge), "{error:?}");
}

#[tokio::test]
async fn a_refused_connection_is_named_in_the_reason() {
    let (upstream, _) = client(SocketAddr::from(([127, 0, 0, 1], 1)), |settings| settings.retries = 0);
    let reason = upstream.get_json::<Thing>("/thing").await.unwrap_err().reason();
    assert!(reason.starts_with("cannot connect: ") && reason.contains("Connection refused"), "{reason}");
    assert!(!reason.contains("127.0.0.1"), "an address is in {reason}");
}

#[test]
fn a_call_that_failed_is_a_problem_by_what_failed() {
    for (error, code) in [
        (UpstreamError::CircuitOpen, Code::Unavailable),
        (UpstreamError::Timeout, Code::DeadlineExceeded),
        (UpstreamError::DeadlineExceeded, Code::DeadlineExceeded),
        (UpstreamError::Status(StatusCode::NOT_FOUND), Code::BadGateway),
        (UpstreamError::TooLarge, Code::BadGateway),
        (UpstreamError::InvalidRequest, Code::InternalError),
    ] {
        assert_eq!(Problem::from(error).code(), code.as_str());
    }
}
