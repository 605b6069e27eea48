//! One value for all, and those who want it at once.

use std::convert::Infallible;
use std::sync::Arc;

use loom::thread;
use tenure_core::managed::Runner;
use tenure_core::{Managed, NoTimer, Resource, State, Why};

use crate::explore::{beside, block_on, cancel_after, in_every_order, join, with_interruptions};
use crate::source::{Source, Value};

type One = Managed<Shareable, NoTimer>;

struct Shareable(Source);

impl Resource for Shareable {
    type Value = Arc<Value>;
    type Error = Infallible;

    async fn open(&self) -> Result<Arc<Value>, Infallible> {
        self.0.open().await.map(Arc::new)
    }

    // Whoever got it a moment ago may hold it still, so it cannot be taken out of its `Arc`.
    async fn close(&self, _value: Arc<Value>, _: Why) -> Result<(), Infallible> {
        self.0.count(|counts| counts.closed += 1);
        Ok(())
    }

    fn abandon(&self, _value: Arc<Value>, _why: Why) {
        self.0.count(|counts| counts.abandoned += 1);
    }
}

#[test]
fn s03_two_callers_share_one_flight() {
    with_interruptions(4, || {
        let (managed, _) = managed_with_runner(Source::default());
        let managed = Arc::new(managed);
        let caller = beside(&managed, |managed| block_on(managed.open()).unwrap());
        block_on(managed.open()).unwrap();
        join([caller]);
        assert_eq!(managed.audit().opened, 1);
        assert_ends(&managed);
    });
}

#[test]
fn s03_a_flight_that_is_called_off_is_taken_over() {
    with_interruptions(4, || {
        let (managed, _) = managed_with_runner(Source::slow());
        let managed = Arc::new(managed);
        let cancelled = beside(&managed, |managed| {
            cancel_after(1, managed.open());
        });
        block_on(managed.open()).unwrap();
        join([cancelled]);
        assert_eq!(managed.audit().opened, 1);
        assert_ends(&managed);
    });
}

#[test]
fn s11_closing_meets_one_flight_of_two_callers() {
    with_interruptions(3, || {
        let (managed, _) = managed_with_runner(Source::slow());
        let managed = Arc::new(managed);
        let callers = [(), ()].map(|()| {
            beside(&managed, |managed| {
                drop(block_on(managed.open()));
            })
        });
        block_on(managed.close());
        join(callers);
        assert!(managed.audit().opened <= 1);
        assert_ends(&managed);
    });
}

#[test]
fn s11_closing_waits_for_calls() {
    with_interruptions(3, || {
        let (managed, _) = managed_with_runner(Source::default());
        let managed = Arc::new(managed);
        block_on(managed.open()).unwrap();
        let callers = [(), ()].map(|()| {
            beside(&managed, |managed| {
                let call = managed.call("look", |value| async move {
                    drop(value);
                    Ok(())
                });
                drop(block_on(call));
            })
        });
        block_on(managed.close());
        assert_eq!(managed.audit().closed, 1);
        join(callers);
        assert_ends(&managed);
    });
}

#[test]
fn s01_a_watch_sees_every_change_and_the_last_of_them() {
    with_interruptions(3, || {
        let (managed, _) = managed_with_runner(Source::default());
        let mut watch = managed.watch();
        let watcher = thread::spawn(move || {
            let mut changes = 0;
            while let Some(change) = block_on(watch.changed()) {
                changes += 1;
                assert_eq!((change.number, change.missed), (changes, 0));
            }
            assert_eq!(changes, 4);
        });
        block_on(managed.open()).unwrap();
        block_on(managed.close());
        join([watcher]);
    });
}

#[test]
fn p03_the_last_handle_and_the_runner_go_at_once_and_the_value_ends_once() {
    in_every_order(|| {
        let source = Source::default();
        let (managed, runner) = managed_with_runner(source.clone());
        block_on(managed.open()).unwrap();
        let runner = runner.run();
        let runner = thread::spawn(move || cancel_after(1, runner));
        drop(managed);
        join([runner]);
        let counts = source.counts();
        assert_eq!((counts.opened, counts.dropped), (1, 1));
        assert_eq!(counts.closed + counts.abandoned, 1);
    });
}

fn managed_with_runner(source: Source) -> (One, Runner<Shareable, NoTimer>) {
    Managed::builder(Shareable(source))
        .build_with_runner(NoTimer)
        .unwrap()
}

/// Closes it, if that is not done yet: nothing was lost, and every value has ended.
fn assert_ends(managed: &One) {
    block_on(managed.close());
    let (audit, counts) = (managed.audit(), managed.resource().0.counts());
    assert_eq!(managed.state(), State::Closed);
    assert!(audit.is_balanced(), "{audit:?}");
    assert_eq!(audit.live(), 0, "{audit:?}");
    assert_eq!((audit.opened, audit.closed), (counts.opened, counts.closed));
    assert_eq!(counts.opened, counts.dropped);
    assert!(counts.most_at_once <= 1);
}
