//! The two pages in a real browser: all of the API on `/docs`, and the replica board behind a real balancer.
//!
//! Their screenshots are in `target/tmp/screenshots`.

use std::{net::SocketAddr, time::Duration};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::{browser::Browser, free_port, local, proxy::Proxy, server::Server, shared};

/// How long a page may take to show what it has to.
const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn the_docs_page_shows_every_operation_and_tries_one() {
    let _turn = shared().await;
    let server = Server::start(&[]).await;
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/docs#postV1Quotes", server.app)).await;
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
    (expected.sort_unstable(), shown.sort_unstable());
    assert_eq!(shown, expected);
    assert_eq!(browser.run("return document.title").await, document["info"]["title"]);
    assert!(browser.run("return scrollY").await.as_f64().expect("pixels") > 0.0, "the address names an operation");

    let quotes = "document.getElementById('postV1Quotes')";
    for word in ["weight_g", "1 to 30000", "chargeable_weight_g", "x-request-id", "415", "unsupported_media_type"] {
        let told = browser.run(&format!("return {quotes}.textContent.includes('{word}')")).await;
        assert_eq!(told, true, "no {word}");
    }
    browser.photograph("docs-operation").await;
    browser.run("scrollTo(0, 0)").await;
    browser.photograph("docs").await;

    browser
        .run(&format!("{quotes}.querySelector('.try').open = true; {quotes}.querySelector('.try button').click()"))
        .await;
    browser.until(&format!("{quotes}.querySelector('.answer').textContent.includes('amount_minor')"), SOON).await;
    browser.run(&format!("{quotes}.querySelector('.answer').scrollIntoView({{ block: 'center' }})")).await;
    browser.photograph("docs-tried").await;

    let filter = "const filter = document.getElementById('filter'); filter.value = 'post quotes'; filter.dispatchEvent(new Event('input'));";
    browser.run(filter).await;
    let left =
        browser.run("return [...document.querySelectorAll('article')].filter(({ hidden }) => !hidden).length").await;
    assert_eq!(left, 1);
    assert_eq!(browser.console().await, Vec::<String>::new());
}

#[tokio::test]
async fn the_board_shows_balance_a_scale_out_and_a_restart() {
    let _turn = shared().await;
    let ports: Vec<Ports> = (0..3).map(|_| Ports { app: local(free_port()), admin: local(free_port()) }).collect();
    let addresses: Vec<SocketAddr> = ports.iter().map(|ports| ports.app).collect();
    let mut first = start(0, &ports[0]).await;
    let _second = start(1, &ports[1]).await;
    let proxy = Proxy::nginx(&addresses).await;
    proxy.take_out(2);

    let browser = Browser::start().await;
    browser.open(&format!("http://{}/", proxy.address)).await;
    browser.run("document.getElementById('pace').value = '40'").await;
    let balanced = |count: u32, least: u32, most: u32| {
        let share = "parseInt(row.querySelector('.bar span').textContent)";
        format!(
            "[...document.querySelectorAll('#replicas tr')].filter((row) => {share} >= {least} && {share} <= {most}).length === {count}"
        )
    };
    browser.until(&balanced(2, 45, 55), SOON).await;
    browser.until("/^[0-9.]+ ms$/.test(document.getElementById('median').textContent)", SOON).await;
    assert_eq!(names(&browser).await, ["replica-0", "replica-1"]);
    assert_eq!(browser.run("return document.getElementById('present').textContent").await, "2");

    // A scale-out: the new replica answers from the moment that it is in, and comes to a third.
    let _third = start(2, &ports[2]).await;
    proxy.put_back(2);
    browser.until(&happened("replica-2 answers"), SOON).await;
    browser.until(&balanced(3, 25, 41), Duration::from_secs(40)).await;
    browser.photograph("board").await;

    // A restart: it drains, it is gone, and it is back with a new start.
    first.signal(Signal::SIGTERM);
    browser.until(&phase("replica-0", "draining"), SOON).await;
    browser.photograph("board-draining").await;
    proxy.take_out(0);
    assert_eq!(first.wait_exit(SOON).await, 0, "{}", first.log());
    browser.until(&phase("replica-0", "gone"), SOON).await;
    assert_eq!(browser.run("return document.getElementById('present').textContent").await, "2");
    browser.photograph("board-gone").await;
    let _again = start(0, &ports[0]).await;
    proxy.put_back(0);
    browser.until(&phase("replica-0", "ready"), SOON).await;
    for event in ["replica-0 drains", "replica-0 is gone", "replica-0 restarted"] {
        browser.until(&happened(event), SOON).await;
    }
    assert_eq!(browser.run("return document.getElementById('failed').textContent").await, "0");
    assert!(drawn(&browser, "shares").await && drawn(&browser, "latency").await, "an empty drawing");
    assert_eq!(browser.console().await, Vec::<String>::new());
}

#[tokio::test]
async fn the_board_counts_what_is_not_answered() {
    let _turn = shared().await;
    let ports = Ports { app: local(free_port()), admin: local(free_port()) };
    let server = start(0, &ports).await;
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/", server.app)).await;
    browser.until(&phase("replica-0", "ready"), SOON).await;
    drop(server);
    browser.until("Number(document.getElementById('failed').textContent) > 0", SOON).await;
    browser.until(&happened("A request failed"), SOON).await;
    browser.photograph("board-failing").await;
}

/// Where a replica listens, over its restarts.
struct Ports {
    app: SocketAddr,
    admin: SocketAddr,
}

/// A replica that drains for long enough to be seen doing so.
async fn start(number: u32, ports: &Ports) -> Server {
    let (listen, admin) = (format!("http://{}", ports.app), ports.admin.to_string());
    let settings = [
        ("APP__SERVER__LISTEN", listen.as_str()),
        ("APP__ADMIN__LISTEN", admin.as_str()),
        ("APP__LIFECYCLE__DRAIN_DELAY", "15s"),
        ("POD_NAME", &format!("replica-{number}")),
    ];
    Server::start(&settings).await
}

async fn names(browser: &Browser) -> Vec<String> {
    let names =
        browser.run("return [...document.querySelectorAll('#replicas tr')].map((row) => row.dataset.replica)").await;
    names.as_array().expect("names").iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

fn phase(replica: &str, phase: &str) -> String {
    format!("document.querySelector('[data-replica={replica}] .phase')?.textContent === '{phase}'")
}

fn happened(event: &str) -> String {
    format!("document.getElementById('events').textContent.includes('{event}')")
}

/// Whether a canvas has anything on it.
async fn drawn(browser: &Browser, canvas: &str) -> bool {
    let script = format!(
        "const canvas = document.getElementById('{canvas}');
        const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
        return pixels.some((value) => value > 0)"
    );
    browser.run(&script).await == true
}
