//! The settings of a running replica, and their reload.
//!
//! Readers take one consistent snapshot; a reload swaps it as a whole, or changes nothing. Keys that need a restart
//! keep their running value and are listed until the restart, or until they are put back.
//!
//! Next: [`super::metrics`].

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::ArcSwap;

use super::{
    AppSettings, Loaded, SettingErrors, Settings, Sources, check,
    load::{Assembled, combine, load_after},
    show,
};

/// The active settings.
#[derive(Debug)]
pub(crate) struct Live<A> {
    sources: Sources,
    state: ArcSwap<State<A>>,
    reloading: Mutex<()>,
    failures: AtomicU64,
}

#[derive(Debug)]
struct State<A> {
    loaded: Arc<Loaded<A>>,
    generation: u64,
    pending: Vec<String>,
}

/// The outcome of a reload. An ignored overlay is in the notes of [`Live::loaded`] in every case.
#[derive(Debug, PartialEq)]
pub(crate) enum Reload {
    /// The settings did not change.
    Unchanged,
    /// The reloadable part is active.
    Applied {
        /// One more than before; the same where only keys changed that need a restart.
        generation: u64,
        /// Of the settings in force.
        hash: String,
        /// Keys that changed but need a restart, sorted.
        restart_pending: Vec<String>,
    },
    /// The reload was rejected because of these.
    Refused(SettingErrors),
}

impl<A: AppSettings> Live<A> {
    /// Activates `loaded` as generation 1; reloads read `sources`.
    #[must_use]
    pub(crate) fn new(sources: Sources, loaded: Loaded<A>) -> Self {
        let failures = AtomicU64::new(u64::from(!loaded.notes.is_empty()));
        let state = State { loaded: Arc::new(loaded), generation: 1, pending: Vec::new() };
        Self { sources, state: ArcSwap::from_pointee(state), reloading: Mutex::new(()), failures }
    }

    /// The active settings.
    #[must_use]
    pub(crate) fn get(&self) -> Arc<Settings<A>> {
        Arc::clone(&self.state.load().loaded.settings)
    }

    /// The active settings, with their hash and notes.
    #[must_use]
    pub(crate) fn loaded(&self) -> Arc<Loaded<A>> {
        Arc::clone(&self.state.load().loaded)
    }

    /// 1 at start, and one more for each change of the settings in force.
    #[must_use]
    pub(crate) fn generation(&self) -> u64 {
        self.state.load().generation
    }

    /// Keys that changed but need a restart, sorted.
    #[must_use]
    pub(crate) fn restart_pending(&self) -> Vec<String> {
        self.state.load().pending.clone()
    }

    /// Number of rejected reloads of settings or certificates, and of ignored overlays.
    #[must_use]
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Counts a rejected reload of something other than the settings.
    pub(crate) fn count_failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Reads the files again and activates the reloadable part. It blocks on files: keep it off the I/O runtime.
    pub(crate) fn reload(&self) -> Reload {
        let _one_at_a_time = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.state.load_full();
        let prepared = load_after(&self.sources, &old.loaded.overlay).and_then(|new| prepare(&old, new));
        let left_out = prepared.as_ref().is_ok_and(|state| !state.loaded.notes.is_empty());
        if prepared.is_err() || left_out {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        match prepared {
            Ok(state) => self.swap(&old, state),
            Err(errors) => Reload::Refused(errors),
        }
    }

    fn swap(&self, old: &State<A>, new: State<A>) -> Reload {
        let unchanged = new.generation == old.generation && new.pending == old.pending;
        let applied = Reload::Applied {
            generation: new.generation,
            hash: new.loaded.hash.clone(),
            restart_pending: new.pending.clone(),
        };
        // Also when unchanged: what there is to note, and where values come from, may differ.
        self.state.store(Arc::new(new));
        if unchanged { Reload::Unchanged } else { applied }
    }
}

/// The settings that would be active after `new`.
fn prepare<A: AppSettings>(old: &State<A>, new: Loaded<A>) -> Result<State<A>, SettingErrors> {
    let Assembled { settings, origins, leaves } = combine::<A>(&old.loaded.leaves, &new.leaves)?;
    let errors = check::all(&settings);
    if !errors.is_empty() {
        let remark = " (checked with restart-only keys at their running values)";
        return Err(errors.remarked(remark).located(&origins));
    }
    let pending = show::differing(&settings, &new.settings);
    let generation = old.generation + u64::from(settings != *old.loaded.settings);
    let hash = show::hash(&settings);
    let loaded = Loaded { settings: Arc::new(settings), hash, origins, leaves, ..new };
    Ok(State { loaded: Arc::new(loaded), generation, pending })
}
