//! What stands behind a faulty resource, and keeps account of its values.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tenure_core::{Instant, Timer};

use crate::faults::{Faults, Hook, Verdict};
use crate::sim::Sim;

/// The server, so to say, to which a [`FaultyResource`](crate::FaultyResource) connects: it decides what
/// goes wrong, and knows of every value how it ended. Clones are handles on the same one, so a test can
/// look at it and change it while the resource is in use.
///
/// ```
/// use tenure_core::Pool;
/// use tenure_sim::{Backend, FaultyResource};
///
/// tenure_sim::run(1, |sim| async move {
///     let backend = Backend::new(&sim);
///     let pool = Pool::builder(FaultyResource::new(&backend)).build(sim).unwrap();
///     let lease = pool.acquire().await.unwrap();
///     assert_eq!(backend.live(), [lease.id()]);
///     drop(lease);
///     pool.close().await;
///     backend.assert_accounted();
/// });
/// ```
#[derive(Clone)]
pub struct Backend {
    sim: Sim,
    ledger: Arc<Mutex<Ledger>>,
}

/// How a value ended, as its backend saw it.
///
/// ```
/// use tenure_sim::{Backend, Ended};
/// # tenure_sim::run(1, |sim| async move {
/// # let backend = Backend::new(&sim);
/// assert_eq!(backend.ended(Ended::Abandoned), 0);
/// # });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// Its close succeeded.
    Closed,
    /// Its close answered with an error, or panicked.
    CloseFailed,
    /// Its close began and was dropped, as after a timeout.
    CloseCutOff,
    /// It was abandoned.
    Abandoned,
    /// Whoever took it out of its pool ended it by hand.
    ByHand,
}

impl Backend {
    /// A backend in this world, for which nothing goes wrong yet and everything takes no time.
    ///
    /// ```
    /// tenure_sim::run(1, |sim| async move {
    ///     assert_eq!(tenure_sim::Backend::new(&sim).opened(), 0);
    /// });
    /// ```
    #[must_use]
    pub fn new(sim: &Sim) -> Self {
        Self {
            sim: sim.clone(),
            ledger: Arc::default(),
        }
    }

    /// From now on, this goes wrong. [`Faults::none`] heals it; calls under way stay as they are, and so
    /// do jumps of the clock that were planned.
    ///
    /// ```
    /// # use tenure_sim::{Backend, Fault, Faults, Hook};
    /// # tenure_sim::run(1, |sim| async move {
    /// let backend = Backend::new(&sim);
    /// backend.set_faults(Faults::none().nth(Hook::Open, 1, Fault::Fail));
    /// # });
    /// ```
    pub fn set_faults(&self, faults: Faults) {
        for (at, by) in faults.jumps() {
            self.sim.world().with(|state| state.jump_at(at, by));
        }
        drop(self.with(|ledger| std::mem::replace(&mut ledger.faults, faults)));
    }

    /// From now on, every call of `hook` takes this long. By default it takes no time and ends at its
    /// first poll.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tenure_sim::{Backend, Hook};
    /// # tenure_sim::run(1, |sim| async move {
    /// Backend::new(&sim).set_time(Hook::Open, Duration::from_millis(50));
    /// # });
    /// ```
    pub fn set_time(&self, hook: Hook, takes: Duration) {
        self.with(|ledger| ledger.takes[hook as usize] = takes);
    }

    /// Breaks a value, as when a server drops a connection: its checks fail, [`ask`] fails, and a pool
    /// sees it when it comes back.
    ///
    /// [`ask`]: crate::FaultyValue::ask
    ///
    /// # Panics
    /// If no value has this number.
    ///
    /// ```
    /// # use tenure_core::{Resource, Why};
    /// # use tenure_sim::{Backend, FaultyResource};
    /// # tenure_sim::run(1, |sim| async move {
    /// let backend = Backend::new(&sim);
    /// let value = FaultyResource::new(&backend).open().await.unwrap();
    /// backend.break_value(value.id());
    /// assert!(value.ask().is_err());
    /// # });
    /// ```
    pub fn break_value(&self, id: u64) {
        self.with(|ledger| ledger.life(id).is_broken = true);
    }

    /// Breaks every live value.
    ///
    /// ```
    /// # use tenure_core::{Resource, Why};
    /// # use tenure_sim::{Backend, FaultyResource};
    /// # tenure_sim::run(1, |sim| async move {
    /// let backend = Backend::new(&sim);
    /// let value = FaultyResource::new(&backend).open().await.unwrap();
    /// backend.break_all();
    /// assert!(value.is_broken());
    /// # });
    /// ```
    pub fn break_all(&self) {
        self.with(|ledger| {
            let live = ledger.lives.iter_mut().filter(|life| life.is_live());
            live.for_each(|life| life.is_broken = true);
        });
    }

    /// How often `hook` was called.
    ///
    /// ```
    /// # use tenure_core::Resource;
    /// # use tenure_sim::{Backend, FaultyResource, Hook};
    /// # tenure_sim::run(1, |sim| async move {
    /// let backend = Backend::new(&sim);
    /// let value = FaultyResource::new(&backend).open().await.unwrap();
    /// assert_eq!(backend.calls(Hook::Open), 1);
    /// # });
    /// ```
    #[must_use]
    pub fn calls(&self, hook: Hook) -> u64 {
        self.with(|ledger| ledger.calls[hook as usize])
    }

    /// How many values were opened.
    ///
    /// ```
    /// # tenure_sim::run(1, |sim| async move {
    /// assert_eq!(tenure_sim::Backend::new(&sim).opened(), 0);
    /// # });
    /// ```
    #[must_use]
    pub fn opened(&self) -> u64 {
        self.with(|ledger| ledger.lives.len() as u64)
    }

    /// How many values ended like this.
    ///
    /// ```
    /// # use tenure_core::{Resource, Why};
    /// # use tenure_sim::{Backend, Ended, FaultyResource};
    /// # tenure_sim::run(1, |sim| async move {
    /// let backend = Backend::new(&sim);
    /// let resource = FaultyResource::new(&backend);
    /// let value = resource.open().await.unwrap();
    /// resource.close(value, Why::Shutdown).await.unwrap();
    /// assert_eq!(backend.ended(Ended::Closed), 1);
    /// # });
    /// ```
    #[must_use]
    pub fn ended(&self, how: Ended) -> u64 {
        self.with(|ledger| {
            let endings = ledger.lives.iter().flat_map(|life| &life.endings);
            endings.filter(|ending| **ending == how).count() as u64
        })
    }

    /// The numbers of the values that were opened and have not ended, those being closed included.
    ///
    /// ```
    /// # use tenure_core::{Resource, Why};
    /// # use tenure_sim::{Backend, FaultyResource};
    /// # tenure_sim::run(1, |sim| async move {
    /// let backend = Backend::new(&sim);
    /// let value = FaultyResource::new(&backend).open().await.unwrap();
    /// assert_eq!(backend.live(), [value.id()]);
    /// # });
    /// ```
    #[must_use]
    pub fn live(&self) -> Vec<u64> {
        self.with(|ledger| {
            let numbered = (1..).zip(&ledger.lives);
            numbered
                .filter(|(_, life)| life.is_live())
                .map(|(id, _)| id)
                .collect()
        })
    }

    /// The most values there were at one time, those being opened or closed included: what a server
    /// sees, and what the maximum of a pool has to hold.
    ///
    /// ```
    /// # use tenure_core::{Resource, Why};
    /// # use tenure_sim::{Backend, FaultyResource};
    /// # tenure_sim::run(1, |sim| async move {
    /// let backend = Backend::new(&sim);
    /// let resource = FaultyResource::new(&backend);
    /// for _ in 0..3 {
    ///     let value = resource.open().await.unwrap();
    ///     resource.close(value, Why::Shutdown).await.unwrap();
    /// }
    /// assert_eq!(backend.most_live(), 1);
    /// # });
    /// ```
    #[must_use]
    pub fn most_live(&self) -> usize {
        self.with(|ledger| ledger.most_live)
    }

    /// When openings began, those that failed included.
    ///
    /// ```
    /// # use tenure_core::{Instant, Resource};
    /// # use tenure_sim::{Backend, FaultyResource};
    /// # tenure_sim::run(1, |sim| async move {
    /// let backend = Backend::new(&sim);
    /// let value = FaultyResource::new(&backend).open().await.unwrap();
    /// assert_eq!(backend.openings(), [Instant::EPOCH]);
    /// # });
    /// ```
    #[must_use]
    pub fn openings(&self) -> Vec<Instant> {
        self.with(|ledger| ledger.openings.clone())
    }

    /// The most openings that began within any stretch of time this long; at one instant, with
    /// [`Duration::ZERO`]. It shows a stampede.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tenure_core::{Resource, Why};
    /// # use tenure_sim::{Backend, FaultyResource};
    /// # tenure_sim::run(1, |sim| async move {
    /// let backend = Backend::new(&sim);
    /// for _ in 0..3 {
    ///     let value = FaultyResource::new(&backend).open().await.unwrap();
    ///     sim.sleep(Duration::from_secs(1)).await;
    /// }
    /// assert_eq!(backend.most_openings_within(Duration::ZERO), 1);
    /// assert_eq!(backend.most_openings_within(Duration::from_secs(1)), 2);
    /// # });
    /// ```
    #[must_use]
    pub fn most_openings_within(&self, stretch: Duration) -> usize {
        let openings = self.openings();
        let mut first = 0;
        let mut most = 0;
        for (last, opening) in openings.iter().enumerate() {
            while *opening - openings[first] > stretch {
                first += 1;
            }
            most = most.max(last + 1 - first);
        }
        most
    }

    /// Checks that every value that was opened has ended, and once.
    ///
    /// # Panics
    /// If one was never ended, was dropped with nobody ending it, or was ended twice; the message names
    /// each.
    ///
    /// ```should_panic
    /// # use tenure_core::{Resource, Why};
    /// # use tenure_sim::{Backend, FaultyResource};
    /// # tenure_sim::run(1, |sim| async move {
    /// let backend = Backend::new(&sim);
    /// let value = FaultyResource::new(&backend).open().await.unwrap();
    /// backend.assert_accounted(); // panics: value 1 was never closed
    /// # });
    /// ```
    #[track_caller]
    pub fn assert_accounted(&self) {
        let wrong: Vec<String> = self.with(|ledger| {
            let numbered = (1..).zip(&ledger.lives);
            numbered
                .filter_map(|(id, life)| Some(format!("value {id} {}", life.fault()?)))
                .collect()
        });
        assert!(wrong.is_empty(), "{}", wrong.join("; "));
    }

    pub(crate) const fn sim(&self) -> &Sim {
        &self.sim
    }

    /// Counts a call, and says how long it takes and what becomes of it.
    pub(crate) fn called(&self, hook: Hook) -> (u64, Duration, Verdict) {
        let now = self.sim.now();
        let (call, takes, faults) = self.with(|ledger| {
            let calls = &mut ledger.calls[hook as usize];
            *calls += 1;
            let call = *calls;
            if hook == Hook::Open {
                ledger.openings.push(now);
            }
            (call, ledger.takes[hook as usize], ledger.faults.clone())
        });
        (call, takes, faults.verdict(&self.sim, hook, call))
    }

    /// Counts one more opening under way, for as long as the answer lives.
    pub(crate) fn begin_opening(&self) -> Opening {
        self.with(|ledger| {
            ledger.opening += 1;
            ledger.most_live = ledger.most_live.max(ledger.live + ledger.opening);
        });
        Opening {
            backend: self.clone(),
        }
    }

    pub(crate) fn add_value(&self) -> u64 {
        let now = self.sim.now();
        self.with(|ledger| {
            ledger.live += 1;
            ledger.lives.push(Life::new(now));
            ledger.lives.len() as u64
        })
    }

    pub(crate) fn is_broken(&self, id: u64) -> bool {
        self.with(|ledger| ledger.life(id).is_broken)
    }

    /// Whether nobody has ended the value or begun to.
    pub(crate) fn is_usable(&self, id: u64) -> bool {
        self.with(|ledger| ledger.life(id).closes == 0 && ledger.life(id).is_live())
    }

    pub(crate) fn begin_close(&self, id: u64) {
        self.with(|ledger| ledger.life(id).closes += 1);
    }

    pub(crate) fn end(&self, id: u64, how: Ended) {
        self.with(|ledger| {
            let life = ledger.life(id);
            let was_live = life.is_live();
            life.endings.push(how);
            ledger.live -= usize::from(was_live);
        });
    }

    /// The last handle of a value is gone.
    pub(crate) fn value_dropped(&self, id: u64) {
        self.with(|ledger| {
            let life = ledger.life(id);
            life.lost = life.closes == 0 && life.is_live();
        });
    }

    fn with<T>(&self, f: impl FnOnce(&mut Ledger) -> T) -> T {
        f(&mut self.ledger.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl std::fmt::Debug for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backend")
            .field("opened", &self.opened())
            .field("live", &self.live())
            .finish_non_exhaustive()
    }
}

/// An opening under way, which takes a place at the server like a value does.
pub(crate) struct Opening {
    backend: Backend,
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.backend.with(|ledger| ledger.opening -= 1);
    }
}

#[derive(Default)]
struct Ledger {
    faults: Faults,
    /// By hook.
    calls: [u64; Hook::ALL.len()],
    takes: [Duration; Hook::ALL.len()],
    openings: Vec<Instant>,
    opening: usize,
    live: usize,
    most_live: usize,
    /// By number, the first of which is 1.
    lives: Vec<Life>,
}

impl Ledger {
    fn life(&mut self, id: u64) -> &mut Life {
        match self.lives.get_mut((id as usize).wrapping_sub(1)) {
            Some(life) => life,
            None => panic!("there is no value {id}"),
        }
    }
}

/// What is known of one value.
struct Life {
    opened_at: Instant,
    is_broken: bool,
    /// How many closes of it have begun.
    closes: usize,
    endings: Vec<Ended>,
    /// It was dropped, and nobody had ended it.
    lost: bool,
}

impl Life {
    const fn new(now: Instant) -> Self {
        Self {
            opened_at: now,
            is_broken: false,
            closes: 0,
            endings: Vec::new(),
            lost: false,
        }
    }

    fn is_live(&self) -> bool {
        self.endings.is_empty()
    }

    fn fault(&self) -> Option<String> {
        let opened = self.opened_at - Instant::EPOCH;
        match self.endings.as_slice() {
            [] if self.lost => Some(format!(
                "was dropped without a close (opened at {opened:?})"
            )),
            [] if self.closes > 0 => Some(format!("is still being closed (opened at {opened:?})")),
            [] => Some(format!("was never closed (opened at {opened:?})")),
            [_] if self.closes > 1 => Some(format!("was closed {} times", self.closes)),
            [_] => None,
            endings => Some(format!("ended {} times: {endings:?}", endings.len())),
        }
    }
}
