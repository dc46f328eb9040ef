//! Names to series: the list all threads share, and each thread's own copy of what it has used.

use std::{
    cell::RefCell,
    collections::HashMap,
    sync::{Arc, Weak},
};

use foldhash::fast::RandomState;

use super::{counter::Counters, gauge::GaugeCell, registry::Inner, series::Series, timer::Timers};

/// A map by name. The hash is seeded by chance per map: names may come from outside.
pub(super) type ByName<V> = HashMap<Box<str>, V, RandomState>;

/// A client's series by kind and name.
#[derive(Clone, Default)]
pub(super) struct Names {
    counters: ByName<Arc<Series<Counters>>>,
    gauges: ByName<Arc<Series<GaugeCell>>>,
    timers: ByName<Arc<Series<Timers>>>,
}

impl Names {
    pub(super) fn len(&self) -> usize {
        self.counters.len() + self.gauges.len() + self.timers.len()
    }
}

/// What cells are kept for: counters, gauges or timers.
pub(super) trait Kind: Default {
    /// The series of this kind.
    fn of(names: &Names) -> &ByName<Arc<Series<Self>>>;

    /// The series of this kind, to add one.
    fn of_mut(names: &mut Names) -> &mut ByName<Arc<Series<Self>>>;
}

macro_rules! kinds {
    ($($cells:ty => $map:ident),+ $(,)?) => {$(
        impl Kind for $cells {
            #[inline]
            fn of(names: &Names) -> &ByName<Arc<Series<Self>>> {
                &names.$map
            }

            fn of_mut(names: &mut Names) -> &mut ByName<Arc<Series<Self>>> {
                &mut names.$map
            }
        }
    )+};
}

kinds! {
    Counters => counters,
    GaugeCell => gauges,
    Timers => timers,
}

/// One client's names in one thread.
struct Cache {
    owner: Weak<Inner>,
    names: Names,
}

thread_local! {
    static CACHES: RefCell<Vec<(u64, Cache)>> = const { RefCell::new(Vec::new()) };
}

/// Runs `work` with the series this thread has for `name` of the client `id`; false when it has none.
#[inline]
pub(super) fn with_cached<C: Kind>(id: u64, name: &str, work: impl FnOnce(&Arc<Series<C>>)) -> bool {
    let found = CACHES.try_with(|caches| {
        // Borrowed already: a call out of another one of this thread, which the shared list serves.
        let caches = caches.try_borrow().ok()?;
        let (_, cache) = caches.iter().find(|(owner, _)| *owner == id)?;
        work(C::of(&cache.names).get(name)?);
        Some(())
    });
    matches!(found, Ok(Some(())))
}

/// Keeps a series for this thread's next call. Those of clients that are gone leave when a new client enters.
pub(super) fn cache<C: Kind>(id: u64, owner: &Arc<Inner>, series: Arc<Series<C>>) {
    let _past_its_destructors = CACHES.try_with(|caches| {
        let Ok(mut caches) = caches.try_borrow_mut() else { return };
        if !caches.iter().any(|(owner, _)| *owner == id) {
            caches.retain(|(_, cache)| cache.owner.strong_count() > 0);
            caches.push((id, Cache { owner: Arc::downgrade(owner), names: Names::default() }));
        }
        if let Some((_, cache)) = caches.iter_mut().find(|(owner, _)| *owner == id) {
            C::of_mut(&mut cache.names).insert(series.name.clone(), series);
        }
    });
}
