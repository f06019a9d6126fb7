//! `/docs`: all of the API's description, under a policy that allows nothing inline.

use serde_json::Value;

use super::SOON;
use crate::harness::{browser::Browser, http::Connection, server::Server, shared};

#[tokio::test]
async fn the_docs_page_shows_every_operation_and_tries_one() {
    let _turn = shared().await;
    let server = Server::start(&[]).await;
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/docs#getV1Rates", server.app)).await;
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

    let own = "document.getElementById('getV1Rates')";
    for word in ["The rate table", "application/json", "x-request-id", "503", "overloaded", "retry-after"] {
        let told = browser.run(&format!("return {own}.textContent.includes('{word}')")).await;
        assert_eq!(told, true, "no {word}");
    }
    browser.photograph("docs-operation").await;
    browser.run("scrollTo(0, 0)").await;
    browser.photograph("docs").await;

    browser.run(&format!("{own}.querySelector('.try').open = true; {own}.querySelector('.try button').click()")).await;
    browser
        .until(&format!("{own}.querySelector('.answer').textContent.includes('\"source\": \"built-in\"')"), SOON)
        .await;

    let filter = "const filter = document.getElementById('filter'); filter.value = 'get whoami'; filter.dispatchEvent(new Event('input'));";
    browser.run(filter).await;
    let left = "[...document.querySelectorAll('article')].filter(({ hidden }) => !hidden).map(({ id }) => id).join()";
    assert_eq!(browser.run(&format!("return {left}")).await, "getWhoami");
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

#[tokio::test]
async fn the_docs_page_has_a_field_for_the_key_and_sends_it() {
    let _turn = shared().await;
    let server = Server::start_example("described", &[]).await;
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/docs", server.app)).await;
    browser.until("document.documentElement.dataset.state === 'shown'", SOON).await;

    let own = "document.getElementById('getV1Things')";
    let asked = |status: &str| {
        format!(
            "{own}.querySelector('.answer').textContent.startsWith('{status}') && !{own}.querySelector('button').disabled"
        )
    };
    let send = format!("{own}.querySelector('.try').open = true; {own}.querySelector('.try button').click()");
    assert_eq!(browser.run(&format!("return {own}.textContent.includes('Needs key.')")).await, true);
    browser.run(&send).await;
    browser.until(&asked("401"), SOON).await;
    for (key, status) in [("wrong", "403"), ("secret", "200")] {
        let fill = format!(
            "const field = document.querySelector('#keys input'); field.value = '{key}'; field.dispatchEvent(new Event('input'));"
        );
        browser.run(&fill).await;
        browser.run(&send).await;
        browser.until(&asked(status), SOON).await;
    }
    browser.photograph("docs-key").await;
    let kept = "return [document.cookie, localStorage.length, sessionStorage.length].join()";
    assert_eq!(browser.run(kept).await, ",0,0");

    let bound = "return document.getElementById('postV1Things').textContent.includes('0 to 18446744073709551614')";
    assert_eq!(browser.run(bound).await, true, "bounds of 64 bits are exact");
    let errors = browser.console().await;
    // The browser itself tells of the two refusals.
    assert!(errors.iter().all(|error| error.contains("401") || error.contains("403")), "{errors:?}");
}
