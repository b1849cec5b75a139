//! Whether a program lives and is ready, and which of its components says otherwise.

use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

type Components = BTreeMap<&'static str, Result<(), String>>;

/// What the components of a program last reported. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Health {
    live: Arc<Mutex<Components>>,
    ready: Arc<Mutex<Components>>,
}

/// One answer: whether all is well, and each component's word.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) ok: bool,
    components: BTreeMap<&'static str, String>,
}

impl Health {
    /// Alive, and not ready until each of `components` has reported that it is.
    #[must_use]
    pub fn awaiting(components: &[&'static str]) -> Self {
        let health = Self::default();
        for component in components {
            health.ready(component, Err("starting".to_owned()));
        }
        health
    }

    /// Whether `component` can do its work now, or why it can't. That heals without a restart.
    pub fn ready(&self, component: &'static str, state: Result<(), String>) {
        report(&self.ready, component, state);
    }

    /// Whether `component` works at all, or why only a restart of the process can help.
    pub fn live(&self, component: &'static str, state: Result<(), String>) {
        report(&self.live, component, state);
    }

    pub(crate) fn readiness(&self) -> Summary {
        summary(&self.ready)
    }

    pub(crate) fn liveness(&self) -> Summary {
        summary(&self.live)
    }
}

fn report(components: &Mutex<Components>, component: &'static str, state: Result<(), String>) {
    components.lock().unwrap_or_else(PoisonError::into_inner).insert(component, state);
}

fn summary(components: &Mutex<Components>) -> Summary {
    let components = components.lock().unwrap_or_else(PoisonError::into_inner);
    let word = |state: &Result<(), String>| state.clone().err().unwrap_or_else(|| "ok".to_owned());
    Summary {
        ok: components.values().all(Result::is_ok),
        components: components.iter().map(|(name, state)| (*name, word(state))).collect(),
    }
}
