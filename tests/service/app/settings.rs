//! The app's own settings: what they refuse.

use chassis::{
    config::{Check, Duration, Problems},
    upstream, wsgi,
};
use service::app::Settings;

use crate::settings;

fn keys(settings: &Settings) -> Vec<String> {
    let mut problems = Problems::default();
    settings.check(&mut problems);
    problems.iter().flat_map(|problem| problem.keys().to_vec()).collect()
}

#[test]
fn those_of_the_tests_have_no_problem() {
    assert!(keys(&settings().app).is_empty());
}

#[test]
fn every_bad_setting_is_named() {
    let settings = Settings {
        rates_url: Some("https://rates".into()),
        rates_max_age: Duration::default(),
        rates_client: upstream::Settings { timeout: Duration::default(), ..Default::default() },
        wsgi: Some("no name".into()),
        python: wsgi::Settings { threads: 0, ..Default::default() },
        ..settings().app
    };
    let expected = [
        "rates_url",
        "rates_max_age",
        "rates_client.timeout",
        "rates_client.connect_timeout",
        "rates_client.timeout",
        "python.threads",
        "wsgi",
    ];
    assert_eq!(keys(&settings), expected);
}

#[test]
fn origins_are_what_browsers_send() {
    let refused = |origin: &&str| {
        let settings = Settings { cors_origins: vec![(*origin).to_owned()], ..Settings::default() };
        keys(&settings).contains(&"cors_origins".to_owned())
    };
    let good = ["https://shop.example", "http://localhost:3000"];
    let bad = ["*", "shop.example", "https://shop.example/a", "ftp://shop.example", "https://a?b", "https://a@b", ""];
    assert_eq!(good.iter().chain(&bad).copied().filter(|origin| refused(origin)).collect::<Vec<_>>(), bad);
}
