//! The API's description tells every route.

use serde_json::Value;
use service::app;

use super::{chassis, document, settings};

#[test]
fn every_route_has_operations_with_a_summary_and_an_answer() {
    let document = document();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let router = runtime.block_on(app::router(&settings().app, &chassis())).expect("the routes");
    let mut wrong: Vec<String> = router
        .undescribed()
        .map(|path| format!("{path} has no operation: make its handlers with `chassis::openapi::get` and the like, or say `.undescribed()`"))
        .collect();
    wrong.extend(router.unheld().map(|(path, name)| {
        format!("{path} reads a `{name}` without its bounds: take `Json`, `Query` or `Path` of `chassis::problem`")
    }));
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("a path item") {
            if operation.get("summary").is_none() {
                wrong.push(format!("{method} {path} has no summary: add `.about(\"…\")`"));
            }
            let statuses = operation["responses"].as_object().expect("responses").keys();
            if !statuses.into_iter().any(|status| status < &"400".to_owned()) {
                wrong
                    .push(format!("{method} {path} answers nothing but problems: return a type that describes itself"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let missing: Vec<&str> =
        router.described_paths().filter(|path| document["paths"].get(path.replace("{*", "{")).is_none()).collect();
    assert!(missing.is_empty(), "not in the document, so added after `.documented(…)`: {missing:?}");
}

#[test]
fn operations_have_names_of_their_own() {
    let document = document();
    let operations = document["paths"]
        .as_object()
        .expect("paths")
        .values()
        .filter_map(Value::as_object)
        .flat_map(|item| item.values());
    let mut names: Vec<&str> = operations.map(|operation| operation["operationId"].as_str().expect("a name")).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "two operations share a name");
}
