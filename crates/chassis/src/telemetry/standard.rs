//! The names of OpenTelemetry's specification, and what each of them does here: the one list of them.
//!
//! No name is ignored in silence: it is followed, or its value is refused, or the start says that it has no effect. The
//! settings' reference shows this list; `config::otel` reads the names that are settings.
//!
//! Next: [`super::resource`].

use super::{Lookup, Propagation, StartError, resource};

/// The name of the service, before `service.name` of the attributes.
pub(super) const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
/// Attributes of the resource.
pub(super) const RESOURCE_ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
/// Which headers carry a trace.
pub(super) const PROPAGATORS: &str = "OTEL_PROPAGATORS";

/// One name of the specification, or several that differ in the signal alone.
pub(crate) struct Standard {
    /// A `*` stands for nothing, `TRACES_` and `LOGS_`.
    pub(crate) name: &'static str,
    pub(crate) usage: Usage,
    /// What it does, or what does it here.
    pub(crate) effect: &'static str,
}

/// What happens with a name that is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Usage {
    /// Its value takes effect, or is refused.
    Followed,
    /// Any value is refused: going on would do something else than was meant.
    Refused,
    /// It has no effect, and the start warns of it.
    Warned,
}

const fn followed(name: &'static str, effect: &'static str) -> Standard {
    Standard { name, usage: Usage::Followed, effect }
}

const fn warned(name: &'static str, effect: &'static str) -> Standard {
    Standard { name, usage: Usage::Warned, effect }
}

/// Metrics are not pushed.
const SCRAPED: &str = "metrics are scraped from `/metrics`";
/// The queue's bounds are for all replicas alike.
const BOUNDED: &str = "the queue holds 4,096 items or 4 MiB; batches of at most 512 are sent as soon as one is full, and each second; the time is that of `OTEL_EXPORTER_OTLP_TIMEOUT`";
/// What clients choose is cut before it is in a span.
const CUT: &str =
    "paths are cut at 1,024 bytes, `user-agent` and host at 256; a span has at most 128 attributes, events and links";

/// All names of the specification, in its order.
pub(crate) const NAMES: &[Standard] = &[
    followed(
        "OTEL_SDK_DISABLED",
        "`true`: nothing is exported, whatever else is set, `APP__` names too; trace headers go on, and values that cannot be followed are refused all the same",
    ),
    followed(RESOURCE_ATTRIBUTES, "attributes of the resource, over the service's own"),
    followed(SERVICE_NAME, "`service.name` of the resource"),
    warned("OTEL_LOG_LEVEL", "`telemetry.log_filter` has the levels"),
    followed(PROPAGATORS, "`tracecontext`, `baggage`, `b3`, `b3multi`, `none`"),
    followed(
        "OTEL_TRACES_SAMPLER",
        "`telemetry.sample_ratio` and `.parent_based`: `always_on`, `always_off`, `traceidratio`, and each after `parentbased_`, which alone heeds the caller's decision",
    ),
    followed("OTEL_TRACES_SAMPLER_ARG", "the ratio, 0 to 1 (1 without it); a warning without a sampler that takes it"),
    followed(
        "OTEL_TRACES_EXPORTER",
        "`telemetry.traces_exporter`: `otlp` needs an endpoint, `console` writes to stdout; `none` wins over `APP__` names",
    ),
    followed(
        "OTEL_LOGS_EXPORTER",
        "`telemetry.otlp_logs`: `otlp` needs an endpoint, `console` is stdout alone, where logs always go; `none` likewise, and wins over `APP__` names",
    ),
    followed("OTEL_METRICS_EXPORTER", "`none` or `prometheus`: metrics are scraped from `/metrics`, and never pushed"),
    followed(
        "OTEL_EXPORTER_OTLP_*ENDPOINT",
        "`telemetry.otlp_endpoint`, `.traces.endpoint`, `.logs.endpoint`; that of the logs turns `telemetry.otlp_logs` on",
    ),
    followed(
        "OTEL_EXPORTER_OTLP_*PROTOCOL",
        "`telemetry.otlp_protocol`, `.traces.protocol`, `.logs.protocol`: `grpc`, `http/protobuf`",
    ),
    followed("OTEL_EXPORTER_OTLP_*HEADERS", "`telemetry.otlp_headers`, `.traces.headers`, `.logs.headers`"),
    followed(
        "OTEL_EXPORTER_OTLP_*TIMEOUT",
        "`telemetry.otlp_timeout`, `.traces.timeout`, `.logs.timeout`; in milliseconds",
    ),
    followed("OTEL_EXPORTER_OTLP_*COMPRESSION", "`none`; there is no other"),
    followed("OTEL_EXPORTER_OTLP_*INSECURE", "`true` or `false`; every endpoint has a scheme, which decides"),
    followed(
        "OTEL_EXPORTER_OTLP_*CERTIFICATE",
        "`telemetry.otlp_ca_file`, `.traces.ca_file`, `.logs.ca_file`; needs the feature `tls`",
    ),
    followed(
        "OTEL_EXPORTER_OTLP_*CLIENT_CERTIFICATE",
        "`telemetry.otlp_client_certificate_file`, `.traces.client_certificate_file`, `.logs.client_certificate_file`; with its key, and the feature `tls`",
    ),
    followed(
        "OTEL_EXPORTER_OTLP_*CLIENT_KEY",
        "`telemetry.otlp_client_key_file`, `.traces.client_key_file`, `.logs.client_key_file`; with its certificate",
    ),
    warned("OTEL_BSP_SCHEDULE_DELAY", BOUNDED),
    warned("OTEL_BSP_EXPORT_TIMEOUT", BOUNDED),
    warned("OTEL_BSP_MAX_QUEUE_SIZE", BOUNDED),
    warned("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", BOUNDED),
    warned("OTEL_BLRP_SCHEDULE_DELAY", BOUNDED),
    warned("OTEL_BLRP_EXPORT_TIMEOUT", BOUNDED),
    warned("OTEL_BLRP_MAX_QUEUE_SIZE", BOUNDED),
    warned("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", BOUNDED),
    warned("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", CUT),
    warned("OTEL_ATTRIBUTE_COUNT_LIMIT", CUT),
    warned("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", CUT),
    warned("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", CUT),
    warned("OTEL_SPAN_EVENT_COUNT_LIMIT", CUT),
    warned("OTEL_SPAN_LINK_COUNT_LIMIT", CUT),
    warned("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", CUT),
    warned("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", CUT),
    warned("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", CUT),
    warned("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", CUT),
    warned("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", SCRAPED),
    warned("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", SCRAPED),
    warned("OTEL_EXPORTER_OTLP_METRICS_HEADERS", SCRAPED),
    warned("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", SCRAPED),
    warned("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", SCRAPED),
    warned("OTEL_EXPORTER_OTLP_METRICS_INSECURE", SCRAPED),
    warned("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", SCRAPED),
    warned("OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY", SCRAPED),
    warned("OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE", SCRAPED),
    warned("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", SCRAPED),
    warned("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", SCRAPED),
    warned("OTEL_METRICS_EXEMPLAR_FILTER", SCRAPED),
    warned("OTEL_METRIC_EXPORT_INTERVAL", SCRAPED),
    warned("OTEL_METRIC_EXPORT_TIMEOUT", SCRAPED),
    warned("OTEL_EXPORTER_PROMETHEUS_HOST", "`admin.listen` has the address of `/metrics`"),
    warned("OTEL_EXPORTER_PROMETHEUS_PORT", "`admin.listen` has the address of `/metrics`"),
    warned("OTEL_EXPORTER_ZIPKIN_ENDPOINT", "spans go over OTLP"),
    warned("OTEL_EXPORTER_ZIPKIN_TIMEOUT", "spans go over OTLP"),
    warned("OTEL_SEMCONV_STABILITY_OPT_IN", "spans have the stable HTTP conventions"),
    warned("OTEL_ENTITIES", "`OTEL_RESOURCE_ATTRIBUTES` has the resource's attributes"),
    Standard {
        name: "OTEL_CONFIG_FILE",
        usage: Usage::Refused,
        effect: "is not supported; set the other names, or a settings file",
    },
];

/// What stands for the `*` of a name.
const SIGNALS: [&str; 3] = ["", "TRACES_", "LOGS_"];

impl Standard {
    /// Every name that it stands for.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        let signals = if self.name.contains('*') { &SIGNALS[..] } else { &SIGNALS[..1] };
        signals.iter().map(|signal| self.name.replace('*', signal))
    }
}

/// The entry of `name`, if the specification has it.
pub(crate) fn find(name: &str) -> Option<&'static Standard> {
    NAMES.iter().find(|standard| standard.names().any(|known| known == name))
}

/// Every standard `OTEL_` variable without a setting that has an unsupported value; [`super::start`] refuses these.
#[must_use]
pub(crate) fn refused(environment: Lookup<'_>) -> Vec<StartError> {
    let propagators = Propagation::new(environment(PROPAGATORS).as_deref()).map(drop);
    [propagators, resource::check(environment)].into_iter().filter_map(Result::err).collect()
}
