//! The import of files, and its own limit.

use chassis::testing::{Request, Service};
use serde_json::{Value, json};

use crate::{
    postgres::Postgres,
    service::{keyed, start},
};

const HEAD: &str =
    "--cut\r\ncontent-disposition: form-data; name=\"file\"; filename=\"links.csv\"\r\ncontent-type: text/csv\r\n\r\n";
const TAIL: &str = "\r\n--cut--\r\n";

fn upload(service: &Service, body: Vec<u8>) -> Request {
    keyed(service.post("/v1/imports")).header("content-type", "multipart/form-data; boundary=cut").body(body)
}

fn form(file: &str) -> Vec<u8> {
    [HEAD, file, TAIL].concat().into_bytes()
}

#[tokio::test]
async fn lines_that_are_links_are_imported_and_others_counted() {
    let postgres = Postgres::shared();
    let (service, _) = start(&postgres, &[]).await;
    let file =
        "url,tags\nhttp://a.example,a b\nhttp://b.example,\nnowhere,a\nhttp://c.example,A\nhttp://d.example,a,b\n";
    let answer = upload(&service, form(file)).await;
    assert_eq!((answer.status, answer.json::<Value>()), (200, json!({ "imported": 2, "refused": 3 })), "{answer:?}");
    let listed: Vec<Value> = keyed(service.get("/v1/links?tag=a&tag=b")).await.json();
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0]["url"], &listed[0]["tags"]), (&json!("http://a.example"), &json!(["a", "b"])));
}

#[tokio::test]
async fn an_upload_may_have_20_mib_and_not_a_byte_more() {
    let postgres = Postgres::shared();
    let (service, _) = start(&postgres, &[]).await;
    let body = |length: usize| {
        let empty = form("url\nhttp://a.example\n").len();
        form(&format!("url\nhttp://a.example\n{}", "a".repeat(length - empty)))
    };
    let limit = 20 << 20;
    let whole = upload(&service, body(limit)).await;
    assert_eq!((whole.status, whole.json::<Value>()), (200, json!({ "imported": 1, "refused": 1 })), "{whole:?}");
    let larger = upload(&service, body(limit + 1)).await;
    assert_eq!(larger.status, 413, "{larger:?}");
    assert_eq!(larger.header("content-type"), Some("application/problem+json"));
    assert_eq!(larger.json::<Value>()["code"], "body_too_large");
}

#[tokio::test]
async fn what_is_no_form_is_a_problem() {
    let postgres = Postgres::shared();
    let (service, _) = start(&postgres, &[]).await;
    for request in [
        keyed(service.post("/v1/imports")).body("url\n"),
        keyed(service.post("/v1/imports")).header("content-type", "multipart/form-data").body("url\n"),
        upload(&service, HEAD.into()),
    ] {
        let answer = request.await;
        assert_eq!((answer.status, &answer.json::<Value>()["code"]), (400, &json!("malformed_request")), "{answer:?}");
    }
}
