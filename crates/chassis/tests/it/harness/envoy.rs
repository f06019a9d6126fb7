//! Envoy: as a pod's sidecar, through which everything comes to the replica; and before some replicas, as a mesh or a
//! gateway balances.

use std::net::SocketAddr;

use tokio::process::Command;

use super::{Scratch, eventually, free_port, http, local, proxy::Proxy, tools};

/// One sidecar. Dropping it ends it.
pub(crate) struct Envoy {
    proxy: Proxy,
    admin: SocketAddr,
}

impl Envoy {
    /// Listens on `address`, for a replica on `upstream`. Nothing is retried.
    pub(crate) async fn start(address: SocketAddr, upstream: SocketAddr) -> Self {
        Self::before(address, &[upstream], &serde_json::json!({})).await
    }

    /// Weighs `replicas` by the load that they report, from their first response on.
    pub(crate) async fn weighing(replicas: &[SocketAddr]) -> Self {
        let weights =
            "envoy.extensions.load_balancing_policies.client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin";
        let policy = serde_json::json!({"policies": [{"typed_extension_config": {
            "name": "envoy.load_balancing_policies.client_side_weighted_round_robin",
            "typed_config": {
                "@type": format!("type.googleapis.com/{weights}"),
                "blackout_period": "0s",
                "weight_update_period": "0.1s",
            },
        }}]});
        Self::before(local(free_port()), replicas, &serde_json::json!({"load_balancing_policy": policy})).await
    }

    /// Checks `replicas` on `/healthz`, once at its start and then every 10 s.
    pub(crate) async fn checking(replicas: &[SocketAddr]) -> Self {
        let check = serde_json::json!({
            "timeout": "1s", "interval": "10s", "no_traffic_interval": "10s",
            "unhealthy_threshold": 1, "healthy_threshold": 1, "http_health_check": {"path": "/healthz"},
        });
        let panic = serde_json::json!({"healthy_panic_threshold": {"value": 0}});
        let cluster = serde_json::json!({"health_checks": [check], "common_lb_config": panic});
        Self::before(local(free_port()), replicas, &cluster).await
    }

    /// Asks `replicas` in turn.
    pub(crate) async fn plain(replicas: &[SocketAddr]) -> Self {
        Self::before(local(free_port()), replicas, &serde_json::json!({})).await
    }

    /// Ejects a replica for half a minute after five 5xx in a row, as by Envoy's defaults, but as many as there are.
    pub(crate) async fn ejecting(replicas: &[SocketAddr]) -> Self {
        let detection = serde_json::json!({
            "consecutive_5xx": 5, "interval": "0.5s", "base_ejection_time": "30s", "max_ejection_percent": 100,
        });
        Self::before(local(free_port()), replicas, &serde_json::json!({"outlier_detection": detection})).await
    }

    /// A number of its statistics.
    pub(crate) async fn statistic(&self, name: &str) -> u64 {
        let told = http::get(self.admin, &format!("/stats?filter=^{name}$")).await.expect("Envoy's statistics");
        let text = told.text();
        let number = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        number.unwrap_or_else(|| panic!("no {name} in {text:?}")).trim().parse().expect("a number")
    }

    /// Listens on `address`; `cluster` has the fields of its cluster beyond the plain ones.
    async fn before(address: SocketAddr, replicas: &[SocketAddr], cluster: &serde_json::Value) -> Self {
        let scratch = Scratch::new("envoy");
        let admin = local(free_port());
        let config = scratch.write("envoy.json", &config(address, replicas, cluster, admin));
        let mut command = Command::new(tools::find("envoy"));
        // Without hot restart: many of them run beside each other here.
        command.args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "warning", "--config-path"]);
        command.arg(&config);
        let proxy = Proxy::start(command, address, config, scratch).await;
        Self { proxy, admin }
    }

    /// What a mesh's agent does when the pod is told to end: new requests are asked to go elsewhere, and nothing is cut.
    pub(crate) async fn drain(&self) {
        for path in ["/healthcheck/fail", "/drain_listeners?graceful&skip_exit"] {
            let what = format!("Envoy takes POST {path}");
            let request = format!("POST {path} HTTP/1.1\r\nhost: envoy\r\ncontent-length: 0\r\n\r\n");
            let posted = async || {
                let mut connection = http::Connection::open(self.admin).await.ok()?;
                connection.send(request.as_bytes()).await.ok()?;
                (connection.receive().await.ok()?.status == 200).then_some(())
            };
            eventually(&what, super::proxy::START, posted).await;
        }
    }

    /// Where the pod is reached.
    pub(crate) fn address(&self) -> SocketAddr {
        self.proxy.address
    }
}

fn config(address: SocketAddr, replicas: &[SocketAddr], more: &serde_json::Value, admin: SocketAddr) -> String {
    let at = |address: SocketAddr| serde_json::json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}});
    let route = serde_json::json!({"match": {"prefix": "/"}, "route": {"cluster": "replica", "timeout": "10s"}});
    let manager = serde_json::json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "pod",
        // HAProxy's checks are in HTTP/1.0.
        "http_protocol_options": {"accept_http_10": true, "default_host_for_http_10": "pod"},
        "route_config": {"virtual_hosts": [{"name": "pod", "domains": ["*"], "routes": [route]}]},
        "http_filters": [{
            "name": "envoy.filters.http.router",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
        }],
    });
    let chain = serde_json::json!([{"filters": [{
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": manager,
    }]}]);
    let endpoint = |replica: &SocketAddr| serde_json::json!({"endpoint": {"address": at(*replica)}});
    let endpoints: Vec<_> = replicas.iter().map(endpoint).collect();
    let mut cluster = serde_json::json!({
        "name": "replica",
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": "replica", "endpoints": [{"lb_endpoints": endpoints}]},
    });
    let fields = more.as_object().expect("fields").clone();
    cluster.as_object_mut().expect("fields").extend(fields);
    serde_json::json!({
        "admin": {"address": at(admin)},
        "static_resources": {
            "listeners": [{"name": "pod", "address": at(address), "filter_chains": chain}],
            "clusters": [cluster],
        },
    })
    .to_string()
}
