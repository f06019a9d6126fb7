//! `GET /`: the replica board of the sample app, behind a real balancer.

use std::{net::SocketAddr, time::Duration};

use nix::sys::signal::Signal;

use super::SOON;
use crate::harness::{browser::Browser, free_port, local, proxy::Proxy, server::Server, shared};

#[tokio::test]
async fn a_parcel_is_priced_from_the_docs_page() {
    let _turn = shared().await;
    let server = Server::start(&[]).await;
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/docs", server.app)).await;
    browser.until("document.documentElement.dataset.state === 'shown'", SOON).await;
    let quotes = "document.getElementById('postV1Quotes')";
    for word in ["weight_g", "1 to 30000", "chargeable_weight_g", "415", "unsupported_media_type"] {
        let told = browser.run(&format!("return {quotes}.textContent.includes('{word}')")).await;
        assert_eq!(told, true, "no {word}");
    }
    browser
        .run(&format!("{quotes}.querySelector('.try').open = true; {quotes}.querySelector('.try button').click()"))
        .await;
    browser.until(&format!("{quotes}.querySelector('.answer').textContent.includes('amount_minor')"), SOON).await;
    browser.run(&format!("{quotes}.querySelector('.answer').scrollIntoView({{ block: 'center' }})")).await;
    browser.photograph("docs-tried").await;
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
