//! It starts, answers its probes and its routes, and one run of the program: a stop under load loses nothing.

use chassis::testing::{self, Load, Program, Service};
use serde_json::Value;
use service::{SERVICE, app::router};

use super::{app_env, document};

/// The paths of every service; they are no operations.
const PLATFORM: [&str; 3] = ["/openapi.json", "/docs", "/healthz"];

/// The paths that a plain GET can ask: those of its own come first.
fn paths(document: &Value) -> Vec<String> {
    let paths = document["paths"].as_object().expect("paths").iter();
    let plain = |operation: &Value| {
        let mut parameters = operation["parameters"].as_array().into_iter().flatten();
        !parameters.any(|parameter| parameter["required"] == true) && operation.get("security").is_none()
    };
    let own = paths.filter(|(path, item)| !path.contains('{') && item.get("get").is_some_and(plain));
    own.map(|(path, _)| path.clone()).chain(PLATFORM.map(str::to_owned)).collect()
}

#[test]
fn it_answers_its_probes_and_no_plain_get_fails() {
    let service = Service::start(SERVICE, router, testing::read(app_env())).wait().expect("it starts");
    for probe in ["/livez", "/readyz", "/startupz", "/metrics", "/version"] {
        assert_eq!(service.probe(probe).wait().status, 200, "{probe}");
    }
    for path in paths(&document()) {
        let answer = service.get(&path).wait();
        // Some may want more than a path, such as a token.
        assert!(answer.status < 500, "{path}: {answer:?}");
    }
}

#[test]
fn a_stop_under_load_loses_no_request() {
    // A second to tell balancers that it leaves, in place of five.
    let settings = testing::read_with(app_env(), [("APP__LIFECYCLE__DRAIN_DELAY", "1s")]);
    let program = Program::start(env!("CARGO_BIN_EXE_server"), settings);
    // The first of its own routes; a service without any has its description.
    let paths = paths(&document());
    let load = Load::start(program.app, &paths[0], 8);
    load.answers(200);
    program.terminate();
    let code = program.wait();
    let tally = load.tally();
    assert_eq!((code, tally.failed, tally.lost), (Some(0), 0, 0), "{tally:?}");
    assert!(tally.answered > 200, "{tally:?}");
}
