//! What the subcommand `migrate` runs: the app registers it, and no replica runs it.
//!
//! It knows no database; a step takes its own lock.
//!
//! Next: [`crate::tasks`].

use std::{
    fmt, mem,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

type Running = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;
type Action = Box<dyn FnOnce() -> Running + Send>;

/// The migrations of a service; clones share them.
#[derive(Clone, Default)]
pub(crate) struct Migrations(Arc<Mutex<Vec<(&'static str, Action)>>>);

impl Migrations {
    pub(super) fn add<F, E>(&self, name: &'static str, step: impl FnOnce() -> F + Send + 'static)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
    {
        let action: Action = Box::new(move || {
            let step = step();
            Box::pin(async move { step.await.map_err(|error| error.to_string()) })
        });
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((name, action));
    }

    /// Runs them in order, each once; the names of those that ran.
    ///
    /// # Errors
    /// The first that fails, by name and reason.
    pub(crate) async fn run(&self) -> Result<Vec<&'static str>, String> {
        let steps = mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let mut ran = Vec::new();
        for (name, step) in steps {
            step().await.map_err(|error| format!("migrating {name}: {error}"))?;
            ran.push(name);
        }
        Ok(ran)
    }
}

impl fmt::Debug for Migrations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_list().entries(steps.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn migrations_run_in_order_and_once() {
        let migrations = Migrations::default();
        let ran: Arc<Mutex<Vec<&str>>> = Arc::default();
        for name in ["orders", "search"] {
            let ran = Arc::clone(&ran);
            migrations.add(name, move || async move {
                ran.lock().expect("no panic").push(name);
                Ok::<_, &str>(())
            });
        }
        assert_eq!(migrations.run().await, Ok(vec!["orders", "search"]));
        assert_eq!(migrations.run().await, Ok(vec![]));
        assert_eq!(*ran.lock().expect("no panic"), ["orders", "search"]);
    }

    #[tokio::test]
    async fn the_first_that_fails_is_the_last() {
        let migrations = Migrations::default();
        migrations.add("orders", || async { Err::<(), _>("away") });
        migrations.add("search", || async { panic!("it does not run") as Result<(), String> });
        assert_eq!(migrations.run().await, Err("migrating orders: away".to_owned()));
    }
}
