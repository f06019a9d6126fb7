//! Envoy as a pod's sidecar: what comes to the pod goes through it to the replica.

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
        let scratch = Scratch::new("envoy");
        let admin = local(free_port());
        let config = scratch.write("envoy.json", &config(address, upstream, admin));
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

fn config(address: SocketAddr, upstream: SocketAddr, admin: SocketAddr) -> String {
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
    let endpoint = serde_json::json!([{"lb_endpoints": [{"endpoint": {"address": at(upstream)}}]}]);
    serde_json::json!({
        "admin": {"address": at(admin)},
        "static_resources": {
            "listeners": [{"name": "pod", "address": at(address), "filter_chains": chain}],
            "clusters": [{
                "name": "replica",
                "type": "STATIC",
                "connect_timeout": "5s",
                "load_assignment": {"cluster_name": "replica", "endpoints": endpoint},
            }],
        },
    })
    .to_string()
}
