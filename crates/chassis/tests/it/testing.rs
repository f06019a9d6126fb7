//! The service in the test's own process, as a service's tests use it.

use std::{
    convert::Infallible,
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
        mpsc::{Receiver, channel},
    },
};

use axum::body::Body;
use bytes::Bytes;
use chassis::{
    Chassis,
    config::{self, SettingErrors},
    health::{Check, Kind},
    openapi::{get, post},
    problem::Json,
    router::Router,
    testing::Service,
};
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Notify;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// What it answers.
    word: String,
}

impl config::Check for Settings {
    fn check(&self, errors: &mut SettingErrors) {
        errors.require(self.word != "no", "word", "expected another word");
    }
}

#[derive(Deserialize, Serialize, schemars::JsonSchema)]
struct Sum {
    of: Vec<u32>,
}

async fn app(settings: &Settings, _: &Chassis) -> Result<Router, Infallible> {
    let word = settings.word.clone();
    let say = move || {
        let word = word.clone();
        async move {
            tracing::info!(word, "asked");
            word
        }
    };
    Ok(Router::new()
        .route("/word", get(say))
        .route("/sum", post(async |Json(Sum { of }): Json<Sum>| Json(json!({ "sum": of.iter().sum::<u32>() }))))
        .route("/panic", get(async || panic!("this route always does") as &str)))
}

fn start<const N: usize>(settings: [(&str, &str); N]) -> Service {
    Service::start(service::SERVICE, app, settings).wait().expect("it starts")
}

#[test]
fn two_services_in_one_process_have_their_own_settings_metrics_and_logs() {
    let (one, two) = (start([("APP__APP__WORD", "one")]), start([("APP__APP__WORD", "two")]));
    for (service, word, times) in [(&one, "one", 1.0), (&two, "two", 3.0)] {
        for _ in 0..3 - i32::from(word == "one") * 2 {
            assert_eq!(service.get("/word").wait().body, word);
        }
        let labels = [("http_route", "/word"), ("http_response_status_code", "200")];
        let asked = service.wait_for_metric("http_server_request_duration_seconds_count", &labels, move |n| n >= times);
        assert!((asked.wait() - times).abs() < f64::EPSILON);
    }
    let line: Value = serde_json::from_str(&one.wait_for_log("\"asked\"").wait()).expect("JSON");
    assert_eq!(line["word"], "one");
    assert!(!one.log().contains("two"), "{}", one.log());
}

#[tokio::test]
async fn requests_can_be_awaited_beside_what_the_test_serves_itself() {
    let service = Service::start(service::SERVICE, app, [("APP__APP__WORD", "hi")]).await.expect("it starts");
    let answer = service.get("/word").header("x-request-id", "mine").await;
    assert_eq!((answer.status, answer.header("x-request-id")), (200, Some("mine")), "{answer:?}");
    let sum: Value = service.post("/sum").json(&Sum { of: vec![1, 2] }).await.json();
    assert_eq!(sum, json!({ "sum": 3 }));
    let refused = service.post("/sum").header("content-type", "application/json").body("{").await;
    assert_eq!((refused.status, refused.json::<Value>()["code"].as_str()), (400, Some("malformed_request")));
    assert_eq!(service.request(Method::OPTIONS, "/word").await.status, 405);
    assert_eq!(service.probe("/readyz").await.body.trim(), "ok");
    service.drain();
    assert_eq!(service.exit_code().await, 0);
    assert!(service.get("/word").send().try_wait().is_err());
}

/// A service with a route that answers once it is told to, and what it tells of each request.
fn held(settings: &[(&str, &str)]) -> (Service, Receiver<()>, Arc<Notify>) {
    let (sender, arrived) = channel();
    let go = Arc::new(Notify::new());
    let told = Arc::clone(&go);
    let app = async move |(): &(), _: &Chassis| {
        let hold = move || {
            let (sender, told) = (sender.clone(), Arc::clone(&told));
            async move {
                let _ = sender.send(());
                told.notified().await;
                "at last"
            }
        };
        Ok::<_, Infallible>(Router::new().route("/held", get(hold)))
    };
    let service = Service::start(service::SERVICE, app, settings.iter().copied()).wait().expect("it starts");
    (service, arrived, go)
}

#[test]
fn a_drain_waits_for_the_request_in_flight_and_nothing_is_lost() {
    let (service, arrived, go) = held(&[]);
    let pending = service.get("/held").send();
    arrived.recv().expect("it arrives");
    service.drain();
    assert!(service.wait_for_probe("/readyz", 503).wait().body.contains("drain"));
    go.notify_one();
    assert_eq!(pending.wait().body, "at last");
    assert_eq!(service.exit_code().wait(), 0);
}

#[test]
fn a_request_that_is_cut_off_is_told_by_the_exit_code() {
    let settings = [("APP__LIFECYCLE__DRAIN_TIMEOUT", "200ms"), ("APP__SERVER__REQUEST_TIMEOUT", "200ms")];
    // The first route that takes longer than its own timeout is a stream.
    let (sender, arrived) = channel();
    let app = async move |(): &(), _: &Chassis| {
        let endless = move || {
            let _ = sender.send(());
            async { Body::from_stream(futures_util::stream::pending::<Result<Bytes, Infallible>>()) }
        };
        Ok::<_, Infallible>(Router::new().route("/endless", axum::routing::get(endless)))
    };
    let service = Service::start(service::SERVICE, app, settings).wait().expect("it starts");
    let pending = service.get("/endless").send();
    arrived.recv().expect("it arrives");
    service.drain();
    assert_eq!(service.exit_code().wait(), 1);
    assert!(service.log().contains("requests were cut off"), "{}", service.log());
    assert!(pending.try_wait().is_err());
}

#[test]
fn a_second_drain_ends_it_at_once() {
    let (service, arrived, _go) = held(&[]);
    let pending = service.get("/held").send();
    arrived.recv().expect("it arrives");
    service.drain();
    service.drain();
    assert_eq!(service.exit_code().wait(), 143);
    assert!(pending.try_wait().is_err());
}

#[test]
fn a_dropped_service_is_gone() {
    let (service, arrived, _go) = held(&[]);
    let (pending, address) = (service.get("/held").send(), service.app());
    arrived.recv().expect("it arrives");
    drop(service);
    assert!(pending.try_wait().is_err());
    TcpListener::bind(address).expect("its port is free");
}

#[test]
fn a_request_that_is_given_up_is_closed() {
    let (service, arrived, _go) = held(&[]);
    let pending = service.get("/held").send();
    arrived.recv().expect("it arrives");
    drop(pending);
    let none = service.wait_for_metric("http_server_active_requests", &[], |active| active < 1.0);
    let _: f64 = none.wait();
}

#[test]
fn each_wrong_setting_is_an_error_of_the_start() {
    let settings = [("APP__APP__WORD", "no"), ("APP__SERVER__MAX_BODY", "much"), ("APP__SERVER__PROT", "1")];
    let error = Service::start(service::SERVICE, app, settings).wait().expect_err("it does not start").to_string();
    for part in ["APP__APP__WORD", "expected another word", "APP__SERVER__MAX_BODY", "APP__SERVER__PROT"] {
        assert!(error.contains(part), "no {part} in: {error}");
    }
}

#[test]
fn an_address_in_use_and_the_apps_own_error_and_its_panic_are_errors_of_the_start() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", taken.local_addr().expect("its address"));
    let start = Service::start(service::SERVICE, app, [("APP__SERVER__LISTEN", &url)]);
    let error = start.wait().expect_err("it does not start").to_string();
    assert!(error.contains("binding the app listener") && error.contains("in use"), "{error}");

    let none: [(&str, &str); 0] = [];
    let fails = async |(): &(), _: &Chassis| Err::<Router, _>("no database");
    let error = Service::start(service::SERVICE, fails, none).wait().expect_err("it does not start").to_string();
    assert_eq!(error, "starting the app: no database");
    let panics = async |(): &(), _: &Chassis| -> Result<Router, Infallible> { panic!("no luck") };
    let error = Service::start(service::SERVICE, panics, none).wait().expect_err("it does not start").to_string();
    assert_eq!(error, "starting the app: it panicked: no luck");
}

#[test]
fn a_panic_of_a_handler_is_an_answer_a_number_and_a_line_of_the_log() {
    let service = start([]);
    let answer = service.get("/panic").wait();
    assert_eq!((answer.status, answer.json::<Value>()["code"].as_str()), (500, Some("internal_error")));
    let labels = [("http_route", "/panic"), ("http_response_status_code", "500")];
    let counted = service.wait_for_metric("http_server_request_duration_seconds_count", &labels, |n| n >= 1.0);
    let _: f64 = counted.wait();
    let line: Value = serde_json::from_str(&service.wait_for_log("this route always does").wait()).expect("JSON");
    assert_eq!(line["target"], "panic");
}

#[test]
fn a_service_that_is_not_ready_can_be_asked_why() {
    let app = async |(): &(), chassis: &Chassis| {
        let check = Check::new("never", Kind::Hard, async || Err("it never is".to_owned()));
        chassis.checks.register(check).map(|()| Router::new())
    };
    let none: [(&str, &str); 0] = [];
    let service = Service::start_unready(service::SERVICE, app, none).wait().expect("it listens");
    assert!(service.wait_for_probe("/readyz/never", 503).wait().body.contains("[-]never"));
    let up = service.wait_for_metric("health_check_up", &[("check", "never")], |up| up < 1.0);
    assert!(up.wait() < 1.0);
    assert_eq!(service.metric("no_such_metric", &[]), None);
}

#[test]
fn a_service_that_waits_for_a_resource_is_ready_once_it_is_there() {
    let there = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&there);
    let app = async move |(): &(), chassis: &Chassis| {
        chassis.before_ready("database", move || {
            let there = seen.load(SeqCst);
            async move { if there { Ok(()) } else { Err("it is away") } }
        });
        Ok::<_, Infallible>(Router::new())
    };
    let none: [(&str, &str); 0] = [];
    let service = Service::start_unready(service::SERVICE, app, none).wait().expect("it listens");
    assert!(service.wait_for_log("it is away").wait().contains("database"));
    assert_eq!(service.probe("/startupz").wait().status, 503);
    there.store(true, SeqCst);
    assert_eq!(service.wait_for_probe("/startupz", 200).wait().status, 200);
}
