//! `after_open` and `before_close` run in every holder, and what fails there is closed.

use std::cell::Cell;
use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tenure_core::connection::Connection;
use tenure_core::{
    Audit, Backoff, BoxError, Hooks, Managed, OpenError, Pool, Resource, Retry, Scope, Shared, Why,
};
use tenure_sim::{Sim, run};

const SECOND: Duration = Duration::from_secs(1);

/// What the hooks of a resource do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Act {
    #[default]
    Succeeds,
    Fails,
    Panics,
    Hangs,
}

/// A resource that writes down what was called for which value.
#[derive(Clone, Default)]
struct Noted(Arc<Mutex<Notes>>);

#[derive(Default)]
struct Notes {
    lines: Vec<String>,
    opened: u32,
    /// How often `after_open` does that yet.
    after_open: (Act, u32),
    before_close: Act,
}

impl Noted {
    fn with<T>(&self, look: impl FnOnce(&mut Notes) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, line: String) {
        self.with(|notes| notes.lines.push(line));
    }

    fn lines(&self) -> Vec<String> {
        self.with(|notes| std::mem::take(&mut notes.lines))
    }

    async fn act(&self, act: Act) -> Result<(), BoxError> {
        match act {
            Act::Succeeds => Ok(()),
            Act::Fails => Err("it fails".into()),
            Act::Panics => panic!("it panics"),
            Act::Hangs => pending().await,
        }
    }
}

impl Resource for Noted {
    type Value = Arc<u32>;
    type Error = BoxError;
    /// No two of its values are open at the same time.
    const EXCLUSIVE: bool = true;
    const HOOKS: Hooks = Hooks::AFTER_OPEN.and(Hooks::BEFORE_CLOSE);

    async fn open(&self) -> Result<Arc<u32>, BoxError> {
        let number = self.with(|notes| {
            notes.opened += 1;
            notes.opened
        });
        self.write(format!("open {number}"));
        Ok(Arc::new(number))
    }

    async fn close(&self, value: Arc<u32>, why: Why) -> Result<(), BoxError> {
        self.write(format!("close {value}: {why}"));
        Ok(())
    }

    async fn after_open(&self, value: &mut Arc<u32>) -> Result<(), BoxError> {
        self.write(format!("after_open {value}"));
        let act = self.with(|notes| {
            let (act, left) = &mut notes.after_open;
            let act = if *left > 0 { *act } else { Act::Succeeds };
            *left = left.saturating_sub(1);
            act
        });
        self.act(act).await
    }

    async fn before_close(&self, value: &mut Arc<u32>) -> Result<(), BoxError> {
        self.write(format!("before_close {value}"));
        let act = self.with(|notes| notes.before_close);
        self.act(act).await
    }

    fn abandon(&self, value: Arc<u32>, why: Why) {
        self.write(format!("abandon {value}: {why}"));
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    Managed,
    ManagedAlone,
    Connection,
    Shared,
    SharedAlone,
    Pool,
    Scope,
}

impl Holder {
    const ALL: [Self; 7] = [
        Self::Managed,
        Self::ManagedAlone,
        Self::Connection,
        Self::Shared,
        Self::SharedAlone,
        Self::Pool,
        Self::Scope,
    ];

    /// Opens one value, has it used, and closes all.
    async fn use_one(self, sim: &Sim, resource: &Noted) -> (Result<u32, BoxError>, Audit) {
        let (resource, sim) = (resource.clone(), sim.clone());
        let retry = Retry::new(Backoff::constant(SECOND)).max_retries(2);
        match self {
            Self::Managed | Self::ManagedAlone => {
                let builder = Managed::builder(resource).retry(retry).hook_timeout(SECOND);
                let (managed, _runner);
                if self == Self::Managed {
                    managed = builder.build(sim).expect("it makes sense");
                } else {
                    (managed, _runner) = builder.build_with_runner(sim).expect("it makes sense");
                }
                let value = managed.get().await.map(|value| *value);
                managed.close().await;
                (value.map_err(Into::into), managed.audit())
            }
            Self::Connection => {
                let builder = Connection::builder("peer", resource).hook_timeout(SECOND);
                let connection = builder.build(sim).expect("it makes sense");
                let value = connection.get().await.map(|value| *value);
                connection.close().await;
                (value.map_err(Into::into), connection.audit())
            }
            Self::Shared | Self::SharedAlone => {
                let builder = Shared::builder(resource).retry(retry).hook_timeout(SECOND);
                let (shared, _runner);
                if self == Self::Shared {
                    shared = builder.build(sim).expect("it makes sense");
                } else {
                    (shared, _runner) = builder.build_with_runner(sim).expect("it makes sense");
                }
                let value = shared.acquire().await.map(|share| **share);
                shared.close().await;
                (value.map_err(Into::into), shared.audit())
            }
            Self::Pool => {
                let builder = Pool::builder(resource).max_size(1).retry(retry);
                let builder = builder.hook_timeout(SECOND);
                let pool = builder.build(sim).expect("it makes sense");
                let value = pool.acquire().await.map(|lease| **lease);
                pool.close().await;
                (value.map_err(Into::into), pool.audit())
            }
            Self::Scope => {
                let (value, audit) = (Cell::new(Ok(0)), Cell::new(None));
                let scope = Scope::builder().hook_timeout(SECOND);
                let ended = scope.run(&sim, async |scope: Scope<Sim>| {
                    audit.set(Some(scope.clone()));
                    // A scope retries nothing by itself.
                    let mut opened = Err(OpenError::Closed {
                        name: tenure_core::Name::new("nothing"),
                    });
                    for _ in 0..3 {
                        opened = scope.open(resource.clone()).await.map(|opened| **opened);
                        if opened.is_ok() {
                            break;
                        }
                    }
                    value.set(opened.map_err(Into::into));
                    Ok::<_, BoxError>(())
                });
                ended.await.expect("nothing fails in the end");
                let scope = audit.take().expect("it has run");
                (value.into_inner(), scope.audit())
            }
        }
    }
}

#[test]
fn after_open_and_before_close_run_in_every_holder() {
    for holder in Holder::ALL {
        run(0, |sim| async move {
            let resource = Noted::default();
            let (value, audit) = holder.use_one(&sim, &resource).await;
            assert_eq!(value.expect("nothing fails"), 1, "{holder:?}");
            let lines = resource.lines();
            let (close, others) = lines.split_last().expect("it was closed");
            assert_eq!(
                others,
                ["open 1", "after_open 1", "before_close 1"],
                "{holder:?}"
            );
            assert!(close.starts_with("close 1: "), "{holder:?}: {close}");
            assert!(
                audit.is_balanced() && audit.closed == 1,
                "{holder:?}: {audit}"
            );
        });
    }
}

/// However it fails, its opening has failed, and the next follows; no two values are open at the same time.
#[test]
fn a_value_whose_after_open_fails_is_closed_before_the_next_is_opened() {
    for holder in Holder::ALL {
        for act in [Act::Fails, Act::Panics, Act::Hangs] {
            run(0, |sim| async move {
                let resource = Noted::default();
                resource.with(|notes| notes.after_open = (act, 2));
                let (value, audit) = holder.use_one(&sim, &resource).await;
                assert_eq!(value.expect("the third is well"), 3, "{holder:?} {act:?}");
                let mut lines = resource.lines();
                lines.truncate(8);
                let expected = [1, 2].map(|number| {
                    [
                        format!("open {number}"),
                        format!("after_open {number}"),
                        format!("before_close {number}"),
                        format!("close {number}: hook failed"),
                    ]
                });
                assert_eq!(lines, expected.concat(), "{holder:?} {act:?}");
                assert!(audit.is_balanced(), "{holder:?}: {audit}");
                assert_eq!((audit.opened, audit.closed), (3, 3), "{holder:?}: {audit}");
            });
        }
    }
}

#[test]
fn a_value_whose_before_close_fails_is_closed_all_the_same() {
    for holder in Holder::ALL {
        for act in [Act::Fails, Act::Panics, Act::Hangs] {
            run(0, |sim| async move {
                let resource = Noted::default();
                resource.with(|notes| notes.before_close = act);
                let (value, audit) = holder.use_one(&sim, &resource).await;
                assert_eq!(value.expect("nothing fails"), 1, "{holder:?} {act:?}");
                let took = sim.time_passed();
                let limit = if act == Act::Hangs {
                    SECOND
                } else {
                    Duration::ZERO
                };
                assert!(took >= limit && took < SECOND * 2, "{holder:?}: {took:?}");
                let lines = resource.lines();
                assert!(lines[3].starts_with("close 1: "), "{holder:?}: {lines:?}");
                assert_eq!(audit.closed, 1, "{holder:?}: {audit}");
            });
        }
    }
}

/// Dropped at any moment, what was opened is closed, or abandoned where nobody is left.
#[test]
fn a_hook_that_is_dropped_half_way_loses_no_value() {
    for holder in Holder::ALL {
        for (after_open, before_close) in [(Act::Hangs, Act::Succeeds), (Act::Succeeds, Act::Hangs)]
        {
            run(0, |sim| async move {
                let resource = Noted::default();
                resource.with(|notes| {
                    notes.after_open = (after_open, 1);
                    notes.before_close = before_close;
                });
                let user = sim.task("user", {
                    let (sim, resource) = (sim.clone(), resource.clone());
                    async move { drop(holder.use_one(&sim, &resource).await) }
                });
                sim.sleep(SECOND / 2).await;
                user.cancel();
                sim.sleep(SECOND * 60).await;
                let lines = resource.lines();
                let ended = |line: &&String| {
                    line.starts_with("close 1: ") || line.starts_with("abandon 1: ")
                };
                assert_eq!(
                    lines.iter().filter(ended).count(),
                    1,
                    "{holder:?}: {lines:?}"
                );
            });
        }
    }
}
