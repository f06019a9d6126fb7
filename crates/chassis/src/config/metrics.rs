//! Which settings this replica runs, as metrics.
//!
//! Next: [`super::cli`].

use prometheus::{IntCounter, IntGauge, IntGaugeVec, Opts, Registry};

use super::{AppSettings, Live};

/// The `config_*` metrics.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    generation: IntGauge,
    info: IntGaugeVec,
    restart_pending: IntGauge,
    failures: IntCounter,
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// Where one of the names is taken.
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let generation = IntGauge::new("config_generation", "Generation of the settings in force; 1 at start.")?;
        let info = IntGaugeVec::new(Opts::new("config_info", "Hash of the settings in force; always 1."), &["hash"])?;
        let restart_pending =
            IntGauge::new("config_restart_pending", "1 while a changed setting needs a restart, else 0.")?;
        let failures = IntCounter::new(
            "config_reload_failures_total",
            "Rejected reloads of settings or certificates, and ignored overlays.",
        )?;
        registry.register(Box::new(generation.clone()))?;
        registry.register(Box::new(info.clone()))?;
        registry.register(Box::new(restart_pending.clone()))?;
        registry.register(Box::new(failures.clone()))?;
        Ok(Self { generation, info, restart_pending, failures })
    }

    /// Updates the metrics from `live`, after the start and after each reload.
    pub(crate) fn record<A: AppSettings>(&self, live: &Live<A>) {
        self.generation.set(live.generation().try_into().unwrap_or(i64::MAX));
        // Remove the old hash's series: a replica has exactly one.
        self.info.reset();
        self.info.with_label_values(&[&live.loaded().hash]).set(1);
        self.restart_pending.set(i64::from(!live.restart_pending().is_empty()));
        self.failures.inc_by(live.failures().saturating_sub(self.failures.get()));
    }
}
