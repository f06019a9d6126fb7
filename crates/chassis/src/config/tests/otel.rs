//! The standard `OTEL_` names: which wins, and that none is ignored in silence.

use super::*;
use crate::{
    config::Duration,
    telemetry::{
        self, OtlpProtocol, TracesExporter,
        standard::{NAMES, Usage},
    },
};

fn telemetry(pairs: &[(&str, &str)]) -> telemetry::Settings {
    settings(pairs).telemetry
}

fn remarks(pairs: &[(&str, &str)]) -> Vec<String> {
    with_environment(pairs).unwrap_or_else(|errors| panic!("{errors}")).remarks
}

#[test]
fn the_standard_names_rank_between_files_and_ours() {
    let directory = Directory::new();
    let path = directory.write("a.toml", "[telemetry]\nsample_ratio = 0.5\notlp_endpoint = \"http://file:1\"");
    let standard = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4318"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
    ];
    let telemetry = |extra: &[(&str, &str)]| {
        let pairs: Vec<_> = standard.iter().chain(extra).copied().collect();
        load::<App>(&sources(&pairs, &[&path])).unwrap().settings.telemetry.clone()
    };
    let plain = telemetry(&[]);
    assert_eq!(plain.otlp_endpoint.as_deref(), Some("http://all:4318"));
    assert_eq!(plain.otlp_protocol, OtlpProtocol::HttpProtobuf);
    assert!((plain.sample_ratio - 0.25).abs() < f64::EPSILON);
    let ours = telemetry(&[("APP__TELEMETRY__OTLP_ENDPOINT", "http://ours:1")]);
    assert_eq!(ours.otlp_endpoint.as_deref(), Some("http://ours:1"));
}

#[test]
fn each_signal_has_its_own_names() {
    let found = telemetry(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4317"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2000"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:4318/x"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "300"),
        ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "a=b"),
    ]);
    assert_eq!(found.otlp_endpoint.as_deref(), Some("http://all:4317"));
    assert_eq!(found.traces.endpoint.as_deref(), Some("http://traces:4318/x"));
    assert_eq!((found.traces.protocol, found.logs.protocol), (Some(OtlpProtocol::HttpProtobuf), None));
    assert_eq!((found.traces.timeout, found.otlp_timeout), (Some(Duration::from_millis(300)), Duration::from_secs(2)));
    assert_eq!((found.logs.headers.as_ref().map(Secret::expose), found.otlp_headers), (Some("a=b"), None));
}

#[test]
fn a_key_for_all_signals_hides_what_weaker_layers_have_for_one() {
    let directory = Directory::new();
    let path = directory.write("a.toml", "[telemetry.traces]\nendpoint = \"http://file:1\"\ntimeout = \"1s\"");
    let telemetry = |pairs: &[(&str, &str)]| {
        load::<App>(&sources(pairs, &[&path])).unwrap_or_else(|errors| panic!("{errors}")).settings.telemetry.clone()
    };
    let standard = telemetry(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:1")]);
    assert_eq!((standard.traces.endpoint, standard.traces.timeout), (None, Some(Duration::from_secs(1))));
    let both = [("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://own:1"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "7000")];
    let own = telemetry(&both);
    assert_eq!((own.traces.endpoint.as_deref(), own.traces.timeout), (Some("http://own:1"), None));
    let ours = telemetry(&[both[0], ("APP__TELEMETRY__OTLP_ENDPOINT", "http://ours:1")]);
    assert_eq!((ours.otlp_endpoint.as_deref(), ours.traces.endpoint), (Some("http://ours:1"), None));
    let narrow = [("APP__TELEMETRY__OTLP_ENDPOINT", "http://o:1"), ("APP__TELEMETRY__TRACES__ENDPOINT", "http://t:1")];
    assert_eq!(telemetry(&narrow).traces.endpoint.as_deref(), Some("http://t:1"));
}

#[test]
fn what_silences_wins_over_everything() {
    let all = [
        ("APP__TELEMETRY__OTLP_ENDPOINT", "http://ours:1"),
        ("APP__TELEMETRY__TRACES__ENDPOINT", "http://ours:2"),
        ("APP__TELEMETRY__OTLP_LOGS", "true"),
        ("APP__TELEMETRY__TRACES_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://logs:1"),
    ];
    let with = |extra: &[(&str, &str)]| {
        let found = telemetry(&[&all, extra].concat());
        (found.traces_exporter, found.otlp_logs)
    };
    assert_eq!(with(&[]), (TracesExporter::Otlp, true));
    assert_eq!(with(&[("OTEL_SDK_DISABLED", "TRUE")]), (TracesExporter::None, false));
    assert_eq!(with(&[("OTEL_SDK_DISABLED", "false")]), (TracesExporter::Otlp, true));
    assert_eq!(with(&[("OTEL_SDK_DISABLED", "")]), (TracesExporter::Otlp, true));
    assert_eq!(with(&[("OTEL_TRACES_EXPORTER", "none")]), (TracesExporter::None, true));
    assert_eq!(with(&[("OTEL_LOGS_EXPORTER", "none")]), (TracesExporter::Otlp, false));
    // Not even logs without an endpoint are missed then.
    assert!(!telemetry(&[("OTEL_SDK_DISABLED", "true"), ("APP__TELEMETRY__OTLP_LOGS", "true")]).otlp_logs);
}

#[test]
fn an_exporter_is_chosen_and_needs_its_endpoint() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4317");
    assert_eq!(telemetry(&[("OTEL_TRACES_EXPORTER", "console")]).traces_exporter, TracesExporter::Console);
    assert_eq!(telemetry(&[("OTEL_TRACES_EXPORTER", "otlp"), endpoint]).traces_exporter, TracesExporter::Otlp);
    assert!(telemetry(&[("OTEL_LOGS_EXPORTER", "otlp"), endpoint]).otlp_logs);
    assert!(telemetry(&[("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://logs:4317")]).otlp_logs);
    let named = ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://logs:4317");
    assert!(!telemetry(&[("OTEL_LOGS_EXPORTER", "console"), named]).otlp_logs);
    assert!(!telemetry(&[("APP__TELEMETRY__OTLP_LOGS", "false"), named]).otlp_logs);
    for name in ["OTEL_TRACES_EXPORTER", "OTEL_LOGS_EXPORTER"] {
        let shown = with_environment(&[(name, "otlp")]).unwrap_err().to_string();
        assert!(shown.contains("needs otlp_endpoint") && shown.contains(name), "{shown}");
    }
}

#[test]
fn a_standard_sampler_sets_the_ratio_and_whether_the_caller_decides() {
    for (sampler, ratio, parent_based) in [
        ("always_on", 1.0, false),
        ("always_off", 0.0, false),
        ("traceidratio", 1.0, false),
        ("parentbased_always_on", 1.0, true),
        ("parentbased_always_off", 0.0, true),
        ("parentbased_traceidratio", 1.0, true),
        ("", 0.1, true),
    ] {
        let found = telemetry(&[("OTEL_TRACES_SAMPLER", sampler)]);
        assert!((found.sample_ratio - ratio).abs() < f64::EPSILON, "{sampler}");
        assert_eq!(found.parent_based, parent_based, "{sampler}");
    }
}

#[test]
fn an_argument_that_no_sampler_takes_is_told() {
    let argument = ("OTEL_TRACES_SAMPLER_ARG", "0.5");
    assert_eq!(remarks(&[argument, ("OTEL_TRACES_SAMPLER", "traceidratio")]), [""; 0]);
    for sampler in ["", "always_on", "parentbased_always_off"] {
        assert!(remarks(&[argument, ("OTEL_TRACES_SAMPLER", sampler)])[0].contains(argument.0), "{sampler}");
    }
}

/// A value that no followed name takes, apart from paths of files.
const NONSENSE: &str = "n o=\u{fc}%zz";

#[test]
fn every_name_of_the_list_does_what_the_list_says() {
    for standard in NAMES {
        for name in standard.names() {
            let loaded = with_environment(&[(&name, NONSENSE)]);
            let is_refused =
                loaded.as_ref().is_err_and(|errors| errors.len() == 1 && errors.to_string().contains(&name));
            let is_setting = loaded.as_ref().is_ok_and(|loaded| *loaded.settings != Settings::default());
            let remarks = loaded.map(|loaded| loaded.remarks).unwrap_or_default();
            let is_told = remarks.len() == 1 && remarks[0].starts_with(&name);
            match standard.usage {
                // Any text is a name.
                Usage::Followed if name == "OTEL_SERVICE_NAME" => assert!(!is_refused && !is_told, "{name}"),
                Usage::Followed => assert!(is_refused || is_setting, "{name} is neither followed nor refused"),
                Usage::Refused => assert!(is_refused, "{name} is not refused"),
                Usage::Warned => assert!(is_told, "{name}: {remarks:?}"),
            }
            assert!(remarks_of_empty(&name).is_empty(), "{name}: empty means unset");
        }
    }
}

fn remarks_of_empty(name: &str) -> Vec<String> {
    let loaded = with_environment(&[(name, "")]).unwrap_or_else(|errors| panic!("{name}: {errors}"));
    assert_eq!(*loaded.settings, Settings::default(), "{name}");
    loaded.remarks
}

#[test]
fn unknown_names_are_told_and_those_of_kubernetes_are_not() {
    let found = remarks(&[("OTEL_TRACE_SAMPLER", "always_on"), ("OTEL_EXPORTER_OTLP_TRACES_ENDPIONT", "http://a:1")]);
    assert_eq!(found, ["unknown names have no effect: OTEL_EXPORTER_OTLP_TRACES_ENDPIONT, OTEL_TRACE_SAMPLER"]);
    let links = [
        ("OTEL_COLLECTOR_SERVICE_HOST", "10.0.0.1"),
        ("OTEL_COLLECTOR_SERVICE_PORT", "4317"),
        ("OTEL_COLLECTOR_SERVICE_PORT_OTLP_GRPC", "4317"),
        ("OTEL_COLLECTOR_PORT", "tcp://10.0.0.1:4317"),
        ("OTEL_COLLECTOR_PORT_4317_TCP_ADDR", "10.0.0.1"),
    ];
    assert_eq!(remarks(&links), [""; 0]);
    // Without the Service they are somebody's mistake.
    assert_eq!(remarks(&links[1..]).len(), 1);
}

#[test]
fn every_name_that_is_read_is_in_the_list() {
    let code = [include_str!("../otel.rs"), include_str!("../otel_names.rs")].concat();
    let names: Vec<&str> = code.split('"').filter(|text| text.starts_with("OTEL_") && *text != "OTEL_").collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        assert!(telemetry::standard::find(name).is_some_and(|found| found.usage == Usage::Followed), "{name}");
    }
}

#[test]
fn the_reference_has_every_name() {
    let text = crate::config::reference::<App>();
    for name in NAMES.iter().flat_map(telemetry::standard::Standard::names) {
        assert!(text.contains(&format!("`{name}`")), "{name}");
    }
}
