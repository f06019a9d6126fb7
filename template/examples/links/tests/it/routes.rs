//! Every route, as clients use it.

use std::{convert::Infallible, fs, process::Command};

use axum::Json;
use chassis::{
    Chassis,
    openapi::post,
    router::Router,
    testing::{Answer, Service},
};
use http::Method;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::{
    postgres::Postgres,
    service::{keyed, start},
};

async fn make(service: &Service, link: Value) -> Answer {
    keyed(service.post("/v1/links")).json(&link).await
}

/// A field of each listed link.
async fn listed(service: &Service, query: &str, field: &str) -> Vec<Value> {
    let answer = keyed(service.get(&format!("/v1/links{query}"))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json::<Vec<Value>>().into_iter().map(|link| link[field].clone()).collect()
}

#[tokio::test]
async fn a_link_is_made_shown_followed_and_deleted() {
    let postgres = Postgres::shared();
    let (service, _) = start(&postgres, &[]).await;
    let made = make(&service, json!({ "url": "https://example.com/a?b=c", "tags": ["docs"] })).await;
    assert_eq!(made.status, 201, "{made:?}");
    let link: Value = made.json();
    let path = made.header("location").expect("where it is").to_owned();
    assert_eq!(path, format!("/v1/links/{}", link["id"]));

    let slug = format!("/{}", link["slug"].as_str().expect("a text"));
    let followed = service.get(&slug).await;
    assert_eq!((followed.status, followed.header("location")), (307, Some("https://example.com/a?b=c")));
    let shown: Value = keyed(service.get(&path)).await.json();
    assert_eq!((&shown["hits"], &shown["tags"]), (&json!(1), &json!(["docs"])));

    assert_eq!(keyed(service.delete(&path)).await.status, 204);
    for gone in [keyed(service.get(&path)).await, keyed(service.delete(&path)).await, service.get(&slug).await] {
        assert_eq!((gone.status, &gone.json::<Value>()["code"]), (404, &json!("not_found")));
    }
}

#[tokio::test]
async fn links_are_listed_by_all_of_their_tags_and_in_pages() {
    let postgres = Postgres::shared();
    let (service, _) = start(&postgres, &[]).await;
    for (url, tags) in
        [("http://a.example", json!(["a"])), ("http://b.example", json!(["a", "b"])), ("http://c.example", json!([]))]
    {
        assert_eq!(make(&service, json!({ "url": url, "tags": tags })).await.status, 201);
    }
    let (a, b, c) = (json!("http://a.example"), json!("http://b.example"), json!("http://c.example"));
    assert_eq!(listed(&service, "", "url").await, [a.clone(), b.clone(), c.clone()]);
    assert_eq!(listed(&service, "?tag=a", "url").await, [a.clone(), b.clone()]);
    assert_eq!(listed(&service, "?tag=a&tag=b", "url").await, std::slice::from_ref(&b));
    assert_eq!(listed(&service, "?limit=1", "url").await, [a]);
    let ids = listed(&service, "", "id").await;
    assert_eq!(listed(&service, &format!("?limit=1&after={}", ids[0]), "url").await, [b]);
    assert!(listed(&service, "?tag=d", "url").await.is_empty());
}

#[tokio::test]
async fn below_v1_nobody_without_a_key_is_answered() {
    let postgres = Postgres::shared();
    let (service, _) = start(&postgres, &[]).await;
    let routes = [
        (Method::GET, "/v1/links"),
        (Method::POST, "/v1/links"),
        (Method::GET, "/v1/links/1"),
        (Method::DELETE, "/v1/links/1"),
        (Method::POST, "/v1/imports"),
    ];
    for (method, path) in routes {
        let without = service.request(method.clone(), path).await;
        let wrong = service.request(method.clone(), path).header("x-api-key", "a-key-of-somebody").await;
        for answer in [without, wrong] {
            assert_eq!(answer.status, 401, "{method} {path}: {answer:?}");
            assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{method} {path}");
            assert_eq!(answer.json::<Value>()["code"], "unauthorized", "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_method_that_a_path_does_not_have_is_405_with_and_without_a_key() {
    let postgres = Postgres::shared();
    let (service, _) = start(&postgres, &[]).await;
    for answer in [service.put("/v1/links").await, keyed(service.put("/v1/links")).await] {
        assert_eq!(answer.status, 405, "{answer:?}");
        assert_eq!(answer.header("allow"), Some("GET,HEAD,POST"));
    }
    assert_eq!(service.get("/v1/nothing").await.status, 404);
}

#[tokio::test]
async fn fields_are_held_to_their_bounds() {
    let postgres = Postgres::shared();
    let (service, _) = start(&postgres, &[]).await;
    let url = |length: usize| format!("http://a.example/{}", "a".repeat(length - "http://a.example/".len()));
    assert_eq!(make(&service, json!({ "url": url(2048) })).await.status, 201);
    for (link, field) in [
        (json!({ "url": url(2049) }), "/url"),
        (json!({ "url": "ftp://a.example" }), "/url"),
        (json!({ "url": "http://a.example/\0" }), "/url"),
        (json!({ "url": url(20), "days": 0 }), "/days"),
        (json!({ "url": url(20), "days": 3651 }), "/days"),
        (json!({ "url": url(20), "tags": vec!["a"; 11] }), "/tags"),
        (json!({ "url": url(20), "tags": ["a", "B"] }), "/tags/1"),
        (json!({ "url": url(20), "color": "red" }), "/color"),
        (json!({}), "/url"),
    ] {
        let answer = make(&service, link.clone()).await;
        assert_eq!(
            (answer.status, &answer.json::<Value>()["errors"][0]["field"]),
            (422, &json!(field)),
            "{link}: {answer:?}"
        );
    }
    for (query, field) in
        [("limit=0", "limit"), ("limit=501", "limit"), ("tag=a&tag=%00", "tag/1"), ("after=-1", "after")]
    {
        let answer = keyed(service.get(&format!("/v1/links?{query}"))).await;
        assert_eq!(answer.status, 422, "{query}: {answer:?}");
        let named = answer.json::<Value>()["errors"][0]["field"].as_str().unwrap_or_default().to_owned();
        assert!(named.contains(field.split('/').next().unwrap_or_default()), "{query}: {named}");
    }
}

#[tokio::test]
async fn a_page_of_another_origin_may_call_and_reads_refusals_too() {
    let postgres = Postgres::shared();
    let (service, _) = start(&postgres, &[]).await;
    let origin = "https://admin.example";
    // A browser sends no key with its preflight.
    let preflight = service.request(Method::OPTIONS, "/v1/links").header("origin", origin);
    let preflight = preflight.header("access-control-request-method", "POST");
    let preflight = preflight.header("access-control-request-headers", "content-type,x-api-key").await;
    assert_eq!((preflight.status, preflight.header("access-control-allow-origin")), (200, Some(origin)));
    assert_eq!(preflight.header("access-control-allow-headers"), Some("authorization,content-type,x-api-key"));

    let too_large = vec![b' '; 3 << 20];
    for (status, answer) in [
        (200, keyed(service.get("/v1/links")).header("origin", origin).await),
        (401, service.get("/v1/links").header("origin", origin).await),
        (413, keyed(service.post("/v1/links")).header("origin", origin).body(too_large).await),
    ] {
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (status, Some(origin)), "{answer:?}");
    }
    let other = keyed(service.get("/v1/links")).header("origin", "https://other.example").await;
    assert_eq!(other.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn files_are_served_below_their_prefix() {
    let postgres = Postgres::shared();
    let (service, _) = start(&postgres, &[]).await;
    let page = service.get("/static/index.html").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html")));
    assert!(page.body.contains("Short links"));
    assert_eq!(service.get("/static/").await.status, 200);
    for path in ["/static/nothing", "/static/../Cargo.toml", "/static/%2e%2e/Cargo.toml"] {
        assert_eq!(service.get(path).await.status, 404, "{path}");
    }
    let route = [("http_route", "/static/{*rest}"), ("http_response_status_code", "200")];
    let counted = service.wait_for_metric("http_server_request_duration_seconds_count", &route, |count| count >= 1.0);
    let _: f64 = counted.await;
}

#[tokio::test]
async fn another_service_says_over_https_what_may_be_linked_to() {
    let certificate = certificate();
    let file = certificate.path().to_str().expect("a path that is text");
    let judge = async |(): &(), _: &Chassis| Ok::<_, Infallible>(Router::new().route("/v1/verdicts", post(verdict)));
    let settings = [
        ("APP__SERVER__LISTEN", "https://127.0.0.1:0"),
        ("APP__TLS__CERTIFICATE_FILE", file),
        ("APP__TLS__KEY_FILE", file),
    ];
    let reputation = Service::start(chassis::service!(), judge, settings).await.expect("a second service");
    let url = format!("https://{}", reputation.app());
    let postgres = Postgres::shared();
    let settings = [("APP__APP__REPUTATION_URL", &*url), ("APP__APP__REPUTATION__CA_FILE", file)];
    let (service, _) = start(&postgres, &settings).await;

    assert_eq!(make(&service, json!({ "url": "https://good.example" })).await.status, 201);
    let refused = make(&service, json!({ "url": "https://evil.example" })).await;
    assert_eq!((refused.status, &refused.json::<Value>()["errors"][0]["code"]), (422, &json!("not_allowed")));

    drop(reputation);
    let unjudged = make(&service, json!({ "url": "https://good.example" })).await;
    assert_eq!((unjudged.status, &unjudged.json::<Value>()["code"]), (503, &json!("unavailable")));
}

/// A certificate for 127.0.0.1 and its key, in one file.
fn certificate() -> NamedTempFile {
    let arguments = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=reputation \
                     -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=CA:FALSE -keyout - -out -";
    let made = Command::new("openssl").args(arguments.split_whitespace()).output();
    let made = made.unwrap_or_else(|error| panic!("openssl: {error}: run `make tools`"));
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let file = NamedTempFile::new().expect("a temporary file");
    fs::write(file.path(), &made.stdout).expect("its own file");
    file
}

async fn verdict(Json(question): Json<Value>) -> Json<Value> {
    let is_evil = question["url"].as_str().is_some_and(|url| url.contains("evil"));
    Json(json!({ "allowed": !is_evil }))
}
