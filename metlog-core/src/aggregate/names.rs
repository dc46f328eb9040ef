//! Names to series: the list all threads share, and each thread's own copy of what it has used.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    ptr,
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

    /// What a thread knows of this kind.
    fn known(cache: &Cache) -> &Known<Self>;

    /// What a thread knows of this kind, to add to it.
    fn known_mut(cache: &mut Cache) -> &mut Known<Self>;
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

            #[inline]
            fn known(cache: &Cache) -> &Known<Self> {
                &cache.$map
            }

            fn known_mut(cache: &mut Cache) -> &mut Known<Self> {
                &mut cache.$map
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
pub(super) struct Cache {
    owner: Weak<Inner>,
    counters: Known<Counters>,
    gauges: Known<GaugeCell>,
    timers: Known<Timers>,
}

impl Cache {
    fn new(owner: Weak<Inner>) -> Self {
        Self { owner, counters: Known::default(), gauges: Known::default(), timers: Known::default() }
    }
}

/// Series of one kind. The last one that was asked for is found without its hash when the next call has its name from the
/// same place, as a loop has: a counter then takes 11 ns, not 20. Names that take turns cost 1 ns more for it.
pub(super) struct Known<C> {
    by_name: ByName<(usize, Arc<Series<C>>)>,
    by_place: Vec<Arc<Series<C>>>,
    /// Where the last name lay, never read from there, and the place of its series.
    last: Cell<(*const str, usize)>,
}

impl<C> Default for Known<C> {
    fn default() -> Self {
        Self { by_name: ByName::default(), by_place: Vec::new(), last: Cell::new((ptr::from_ref(""), 0)) }
    }
}

impl<C> Known<C> {
    #[inline]
    fn get(&self, name: &str) -> Option<&Arc<Series<C>>> {
        let (last, place) = self.last.get();
        // Another name may lie there by now.
        if ptr::eq(last, name)
            && let Some(series) = self.by_place.get(place)
            && *series.name == *name
        {
            return Some(series);
        }
        let (place, series) = self.by_name.get(name)?;
        self.last.set((ptr::from_ref(name), *place));
        Some(series)
    }

    fn insert(&mut self, series: Arc<Series<C>>) {
        self.by_name.insert(series.name.clone(), (self.by_place.len(), Arc::clone(&series)));
        self.by_place.push(series);
    }
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
        work(C::known(cache).get(name)?);
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
            caches.push((id, Cache::new(Arc::downgrade(owner))));
        }
        if let Some((_, cache)) = caches.iter_mut().find(|(owner, _)| *owner == id) {
            C::known_mut(cache).insert(series);
        }
    });
}
