//! `/docs`: all of the API's description, under a policy that allows nothing inline.

use serde_json::Value;

use super::SOON;
use crate::harness::{browser::Browser, http::Connection, server::Server, shared};

#[tokio::test]
async fn the_docs_page_shows_every_operation_and_tries_one() {
    let _turn = shared().await;
    let server = Server::start(&[]).await;
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/docs#getOpenapiJson", server.app)).await;
    browser.until("document.documentElement.dataset.state === 'shown'", SOON).await;

    let document: Value = serde_json::from_slice(&server.get("/openapi.json").await.body).expect("the document");
    let paths = document["paths"].as_object().expect("paths");
    let mut expected: Vec<&str> = paths
        .values()
        .flat_map(|item| item.as_object().expect("a path item").values())
        .map(|operation| operation["operationId"].as_str().expect("an id"))
        .collect();
    let shown = browser.run("return [...document.querySelectorAll('article')].map(({ id }) => id)").await;
    let mut shown: Vec<&str> = shown.as_array().expect("ids").iter().filter_map(Value::as_str).collect();
    expected.sort_unstable();
    shown.sort_unstable();
    assert_eq!(shown, expected);
    assert_eq!(browser.run("return document.title").await, document["info"]["title"]);
    assert!(browser.run("return scrollY").await.as_f64().expect("pixels") > 0.0, "the address names an operation");

    let own = "document.getElementById('getOpenapiJson')";
    for word in ["This document", "application/json", "x-request-id", "503", "overloaded", "retry-after"] {
        let told = browser.run(&format!("return {own}.textContent.includes('{word}')")).await;
        assert_eq!(told, true, "no {word}");
    }
    browser.photograph("docs-operation").await;
    browser.run("scrollTo(0, 0)").await;
    browser.photograph("docs").await;

    browser.run(&format!("{own}.querySelector('.try').open = true; {own}.querySelector('.try button').click()")).await;
    browser
        .until(&format!("{own}.querySelector('.answer').textContent.includes('\"openapi\": \"3.1.0\"')"), SOON)
        .await;

    let filter = "const filter = document.getElementById('filter'); filter.value = 'get healthz'; filter.dispatchEvent(new Event('input'));";
    browser.run(filter).await;
    let left = "[...document.querySelectorAll('article')].filter(({ hidden }) => !hidden).map(({ id }) => id).join()";
    assert_eq!(browser.run(&format!("return {left}")).await, "getHealthz");
    assert_eq!(browser.console().await, Vec::<String>::new());
}

#[tokio::test]
async fn the_docs_page_says_when_it_cannot_show_the_document() {
    let _turn = shared().await;
    let server = Server::start(&[("APP__ADMIN__MUTABLE", "true")]).await;
    let body = r#"{"rules":[{"route":"/openapi.json","status":503,"expires_in":"1m"}]}"#;
    let length = body.len();
    let request = format!(
        "PUT /faults HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let mut admin = Connection::open(server.admin).await.expect("connecting");
    admin.send(request.as_bytes()).await.expect("sending");
    assert_eq!(admin.receive().await.expect("an answer").status, 200);

    let browser = Browser::start().await;
    browser.open(&format!("http://{}/docs", server.app)).await;
    browser.until("document.documentElement.dataset.state === 'failed'", SOON).await;
    let said = browser.run("return document.getElementById('operations').textContent").await;
    assert_eq!(said, "The document cannot be shown: openapi.json returned 503");
}
