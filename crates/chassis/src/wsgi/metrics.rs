//! Metrics of Python: `wsgi_requests_total`, and the numbers of routes, threads and waiting requests.
//!
//! Next: [`super::Settings`].

use std::collections::HashSet;

use prometheus::{
    IntCounter, IntGauge,
    core::{Collector, Desc},
    proto::MetricFamily,
};
use wsgi::Application;

/// Read from the application at scrape time.
pub(super) struct Metrics {
    application: Application,
    requests: IntCounter,
    queued: IntGauge,
    threads: IntGauge,
    busy: IntGauge,
    /// None if the application does not list its routes.
    routes: Option<IntGauge>,
}

impl Metrics {
    /// `taken` are the paths that have a route here.
    pub(super) fn new<'a>(
        application: Application,
        threads: usize,
        taken: impl Iterator<Item = &'a str>,
    ) -> prometheus::Result<Self> {
        let left = application.routes().map(|routes| left(routes, taken));
        let routes = IntGauge::new("wsgi_routes", "Routes of the Python application without a Rust route.")?;
        routes.set(number(left.unwrap_or_default() as u64));
        let all = IntGauge::new("wsgi_threads", "Threads that run Python.")?;
        all.set(number(threads as u64));
        Ok(Self {
            application,
            requests: IntCounter::new("wsgi_requests_total", "Requests passed to Python.")?,
            queued: IntGauge::new("wsgi_queue_depth", "Requests waiting for a Python thread.")?,
            threads: all,
            busy: IntGauge::new("wsgi_threads_busy", "Python threads that are handling a request.")?,
            routes: left.map(|_| routes),
        })
    }

    /// Number of routes still in Python, if known.
    pub(super) fn routes(&self) -> Option<i64> {
        self.routes.as_ref().map(IntGauge::get)
    }

    fn all(&self) -> impl Iterator<Item = &dyn Collector> {
        let always: [&dyn Collector; 4] = [&self.requests, &self.queued, &self.threads, &self.busy];
        always.into_iter().chain(self.routes.iter().map(|routes| routes as &dyn Collector))
    }
}

impl Collector for Metrics {
    fn desc(&self) -> Vec<&Desc> {
        self.all().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.requests.inc_by(self.application.requests().saturating_sub(self.requests.get()));
        self.queued.set(number(self.application.queued()));
        self.busy.set(number(self.application.busy()));
        self.all().flat_map(Collector::collect).collect()
    }
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// How many of `routes` are not in `taken`; the names of parameters do not matter.
fn left<'a>(routes: &[String], taken: impl Iterator<Item = &'a str>) -> usize {
    let taken: HashSet<String> = taken.map(plain).collect();
    routes.iter().filter(|route| !taken.contains(*route)).count()
}

/// `/things/{}` for `/things/{id}`.
fn plain(path: &str) -> String {
    let mut parts = path.split('{');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain += "{}";
        plain += part.split_once('}').map_or("", |(_, rest)| rest);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_that_moved_is_no_longer_pythons() {
        let routes = ["/", "/carts/{}", "/carts/{}/items", "/static/{}"].map(str::to_owned);
        assert_eq!(left(&routes, std::iter::empty()), 4);
        assert_eq!(left(&routes, ["/carts/{id}", "/whoami", "/static/{*path}"].into_iter()), 2);
    }
}
