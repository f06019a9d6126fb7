//! The API's description is what a replica serves.

use serde_json::Value;

use crate::harness::{
    server::{Server, run_to_exit},
    shared,
};

#[tokio::test]
async fn what_is_printed_is_what_is_served() {
    let _turn = shared().await;
    let printed = run_to_exit(&["openapi"], &[]).await;
    assert_eq!(printed.code, 0, "{}", printed.text);
    let printed: Value = serde_json::from_str(&printed.text).expect("the printed document in JSON");
    let server = Server::start(&[]).await;
    let answer = server.get("/openapi.json").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let document: Value = serde_json::from_slice(&answer.body).expect("the served document in JSON");
    assert_eq!(document, printed);
    assert_eq!(document["openapi"], "3.1.0");
}
