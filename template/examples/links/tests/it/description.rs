//! The description, and schemathesis, which asks the service for all that it says.

use std::{path::Path, process::Command};

use serde_json::{Value, json};

use crate::{
    postgres::Postgres,
    service::{KEY, start},
};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../..");

#[tokio::test]
async fn each_operation_is_described_with_its_key_and_its_problems() {
    let postgres = Postgres::shared();
    let (service, _) = start(&postgres, &[]).await;
    let described: Value = service.get("/openapi.json").await.json();
    let mut paths: Vec<_> = described["paths"].as_object().expect("paths").keys().collect();
    paths.sort();
    assert_eq!(paths, ["/v1/imports", "/v1/links", "/v1/links/{id}", "/{slug}"]);
    let schemes = &described["components"]["securitySchemes"];
    assert_eq!(schemes["api_key"], json!({ "type": "apiKey", "in": "header", "name": "x-api-key" }));
    for (path, method) in
        [("/v1/imports", "post"), ("/v1/links", "get"), ("/v1/links", "post"), ("/v1/links/{id}", "delete")]
    {
        let operation = &described["paths"][path][method];
        assert_eq!(operation["security"], json!([{ "api_key": [] }]), "{method} {path}");
        assert!(operation["responses"]["401"].is_object(), "{method} {path}");
    }
    let open = &described["paths"]["/{slug}"]["get"];
    assert_eq!((&open["security"], &open["responses"]["401"]), (&Value::Null, &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_nothing() {
    let program = Path::new(ROOT).join(".tools/api-python/bin/schemathesis");
    assert!(program.is_file(), "schemathesis is not installed: run `scripts/gate api/tools`");
    let postgres = Postgres::shared();
    let (service, _) = start(&postgres, &[]).await;
    let folder = tempfile::tempdir().expect("a temporary directory");
    let examples = std::env::var("SCHEMATHESIS_EXAMPLES").unwrap_or_else(|_| "30".into());
    let mut command = Command::new(program);
    command.arg("--config-file").arg(Path::new(ROOT).join("crates/chassis/gate/api/schemathesis.toml"));
    command.args(["run", &format!("http://{}/openapi.json", service.app()), "--checks", "all", "--no-color"]);
    command.args(["--header", &format!("x-api-key: {KEY}"), "--seed", "1", "--max-examples", &examples]);
    // It keeps a database of what it found where it runs.
    let done = command.current_dir(folder.path()).output().expect("schemathesis runs");
    let said = String::from_utf8_lossy(&done.stdout);
    println!("{said}");
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
}
