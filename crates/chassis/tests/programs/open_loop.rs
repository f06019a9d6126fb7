//! A load generator for overload: requests come when they come, whether or not the last ones were answered.
//!
//! `cargo run --release --example open_loop -- TARGET ADMIN LEAD SECONDS RETRIES PATH@RATE[@CRITICAL]...` asks `TARGET`
//! (host:port) for each path at its rate a second with Poisson arrivals, each with a deadline of 250 ms that it also
//! states; `CRITICAL` is the share that says `x-request-criticality: critical`. What is refused or late is asked again
//! `RETRIES` times. `LEAD` seconds at that rate come first and are not counted. It asks `ADMIN` for `/readyz` every 50 ms
//! meanwhile, unless that is `-`, and prints one JSON object.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};

const DEADLINE: Duration = Duration::from_millis(250);

type Http = Client<HttpConnector, Empty<Bytes>>;

#[derive(Debug, Default)]
struct Seen {
    asked: u64,
    answered: u64,
    critical: (u64, u64),
    late: u64,
    failed: u64,
    /// Milliseconds.
    answers: Vec<f64>,
    refusals: Vec<f64>,
}

/// What came of one try.
enum End {
    Answered,
    Refused,
    Late,
    Failed,
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [target, admin, lead, seconds, retries, streams @ ..] = &arguments[..] else {
        panic!("expected TARGET ADMIN LEAD SECONDS RETRIES PATH@RATE...")
    };
    let time =
        [lead, seconds].map(|text| Duration::from_secs(text.parse().expect("LEAD and SECONDS are whole numbers")));
    let retries = retries.parse().expect("RETRIES is a whole number");
    let http: Http = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let probes = tokio::spawn(probe(http.clone(), admin.clone(), time[0] + time[1]));
    let mut runs = JoinSet::new();
    for stream in streams {
        let mut parts = stream.split('@');
        let path = parts.next().expect("a path").to_owned();
        let rate = parts.next().and_then(|rate| rate.parse().ok()).expect("PATH@RATE");
        let critical = parts.next().map_or(0.0, |share| share.parse().expect("a share"));
        let url = format!("http://{target}{path}");
        runs.spawn(drive(http.clone(), url, path, rate, critical, time, retries));
    }
    let streams = runs.join_all().await;
    let probes = probes.await.expect("the probes");
    println!("{}", json!({ "streams": streams, "probes": probes }));
}

async fn drive(
    http: Http,
    url: String,
    path: String,
    rate: f64,
    critical: f64,
    [lead, time]: [Duration; 2],
    retries: u32,
) -> Value {
    let (ignored, seen) = (Arc::new(Mutex::new(Seen::default())), Arc::new(Mutex::new(Seen::default())));
    let (mut clients, begun) = (JoinSet::new(), Instant::now());
    let mut at = begun;
    loop {
        at += Duration::from_secs_f64(-(1.0 - fastrand::f64()).ln() / rate);
        if at >= begun + lead + time {
            break;
        }
        sleep_until(at).await;
        let is_critical = fastrand::f64() < critical;
        let seen = if at < begun + lead { &ignored } else { &seen };
        clients.spawn(ask(http.clone(), url.clone(), is_critical, retries, Arc::clone(seen)));
        while clients.try_join_next().is_some() {}
    }
    clients.join_all().await;
    let mut seen = seen.lock().expect("what was seen");
    let (answer_p99, refusal_p99) = (percentile(&mut seen.answers, 0.99), percentile(&mut seen.refusals, 0.99));
    json!({
        "path": path, "rate": rate, "seconds": time.as_secs_f64(), "asked": seen.asked, "answered": seen.answered,
        "critical": [seen.critical.0, seen.critical.1], "refused": seen.refusals.len(), "late": seen.late,
        "failed": seen.failed, "answer_p50_ms": percentile(&mut seen.answers, 0.5), "answer_p99_ms": answer_p99,
        "refusal_p99_ms": refusal_p99,
    })
}

/// One client's request, asked again after 10 to 50 ms where it was in vain.
async fn ask(http: Http, url: String, critical: bool, retries: u32, seen: Arc<Mutex<Seen>>) {
    let mut answered = false;
    for attempt in 0..=retries {
        if attempt > 0 {
            sleep(Duration::from_millis(fastrand::u64(10..50))).await;
        }
        let begun = Instant::now();
        let end = attempt_one(&http, &url, critical).await;
        let milliseconds = begun.elapsed().as_secs_f64() * 1e3;
        let mut seen = seen.lock().expect("what was seen");
        match end {
            End::Answered => seen.answers.push(milliseconds),
            End::Refused => seen.refusals.push(milliseconds),
            End::Late => seen.late += 1,
            End::Failed => seen.failed += 1,
        }
        answered = matches!(end, End::Answered);
        if answered {
            break;
        }
    }
    let mut seen = seen.lock().expect("what was seen");
    seen.asked += 1;
    seen.answered += u64::from(answered);
    if critical {
        seen.critical = (seen.critical.0 + u64::from(answered), seen.critical.1 + 1);
    }
}

async fn attempt_one(http: &Http, url: &str, critical: bool) -> End {
    let mut request = Request::get(url).header("x-request-timeout", DEADLINE.as_millis().to_string());
    if critical {
        request = request.header("x-request-criticality", "critical");
    }
    let request = request.body(Empty::new()).expect("a request");
    let exchange = async {
        let response = http.request(request).await.ok()?;
        let status = response.status().as_u16();
        response.into_body().collect().await.ok()?;
        Some(status)
    };
    match timeout(DEADLINE, exchange).await {
        Ok(Some(200)) => End::Answered,
        Ok(Some(503)) => End::Refused,
        Ok(Some(504)) | Err(_) => End::Late,
        Ok(_) => End::Failed,
    }
}

/// The probe's 99th percentile, and how many failed: not 200 within a second.
async fn probe(http: Http, admin: String, time: Duration) -> Value {
    if admin == "-" {
        return Value::Null;
    }
    let url = format!("http://{admin}/readyz");
    let (begun, mut times, mut failed) = (Instant::now(), Vec::new(), 0);
    while begun.elapsed() < time {
        let asked = Instant::now();
        let request = Request::get(&url).body(Empty::new()).expect("a request");
        match timeout(Duration::from_secs(1), http.request(request)).await {
            Ok(Ok(response)) if response.status() == 200 => times.push(asked.elapsed().as_secs_f64() * 1e3),
            _ => failed += 1,
        }
        sleep_until(asked + Duration::from_millis(50)).await;
    }
    json!({ "asked": times.len() + failed, "failed": failed, "p99_ms": percentile(&mut times, 0.99) })
}

/// None of none.
fn percentile(values: &mut [f64], share: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index"
    )]
    let at = (values.len() as f64 * share) as usize;
    values.get(at.min(values.len().saturating_sub(1))).map(|value| (value * 100.0).round() / 100.0)
}
