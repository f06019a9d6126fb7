//! The service with an application of `apps/` behind its routes.

use std::path::Path;

use serde_json::Value;

use crate::harness::{
    http::{Connection, Failure, Response},
    server::Server,
    tools,
};

/// Where modules are: the tests' applications, and the packages that `template/scripts/wsgi-tools` installed.
pub(crate) fn path() -> String {
    let apps = Path::new(env!("CARGO_MANIFEST_DIR")).join("wsgi/apps");
    let environment = tools::repository().join(".tools/wsgi-python");
    assert!(
        environment.join("pyvenv.cfg").is_file(),
        "{} not found: run template/scripts/wsgi-tools",
        environment.display()
    );
    format!("{},{}", apps.display(), environment.display())
}

/// The service with `application` as its fallback.
pub(crate) async fn start(application: &str, settings: &[(&str, &str)]) -> Server {
    let path = path();
    let mut all = vec![("APP__APP__WSGI", application), ("APP__APP__PYTHON__PATH", &path)];
    all.extend_from_slice(settings);
    Server::start(&all).await
}

/// A request with a body, on a connection of its own.
pub(crate) async fn post(server: &Server, path: &str, headers: &str, body: &[u8]) -> Response {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    );
    let answer = async {
        let mut connection = Connection::open(server.app).await?;
        connection.send(&[head.as_bytes(), body].concat()).await?;
        connection.receive().await
    };
    answer.await.unwrap_or_else(|failure: Failure| panic!("POST {path}: {failure:?}\n{}", server.log()))
}

/// What is sent as it is, and what comes back, or how it is lost.
pub(crate) async fn raw(server: &Server, request: &str) -> Result<Response, Failure> {
    let mut connection = Connection::open(server.app).await?;
    connection.send(request.as_bytes()).await?;
    connection.receive().await
}

/// A GET whose loss is not the test's.
pub(crate) async fn get(server: &Server, path: &str) -> Result<Response, Failure> {
    raw(server, &format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")).await
}

pub(crate) fn json(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap_or_else(|error| panic!("{error}: {}", response.text()))
}

/// A count of `shapes.py`.
pub(crate) async fn seen(server: &Server, name: &str) -> u64 {
    json(&server.get("/told").await)[name].as_u64().expect("a count")
}

/// A metric that counts.
pub(crate) async fn count(server: &Server, name: &str) -> i64 {
    server.metric(name).await.to_string().parse().expect("a whole number")
}
