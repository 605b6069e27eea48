//! Faults of scopes.

use std::cell::Cell;
use std::rc::Rc;

use tenure_core::{OpenError, ScopeError, scope, with_resource};
use tenure_sim::{Backend, Ended, Fault, Faults, FaultyError, FaultyResource, Hook, explore};

use super::{SECOND, SEEDS, always, elapsed, odd_time};
use crate::drawn::coin;

/// A port closes nothing unless it is told to: its context takes a flag for the cleanup, which is off by
/// default, so that the shortest way to write it leaves every value open.
#[test]
fn fault_01_scope_closes_by_default() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        backend.set_time(Hook::Close, SECOND);
        let fails = coin(&sim);
        let asked = with_resource(&sim, FaultyResource::new(&backend), |value| async move {
            value.ask()?;
            if fails {
                Err(FaultyError::Closed { value: 0 })
            } else {
                Ok(())
            }
        });
        assert_eq!(asked.await.is_err(), fails);
        // It was awaited, not left to something in the background.
        assert_eq!((backend.ended(Ended::Closed), elapsed(&sim)), (1, SECOND));

        let two = scope(&sim, |s| {
            let resource = FaultyResource::new(&backend);
            async move {
                let _held = s.open(resource.clone()).await?;
                s.open(resource).await.map(drop)
            }
        });
        two.await.expect("the backend is well");
        assert_eq!(
            (backend.ended(Ended::Closed), elapsed(&sim)),
            (3, SECOND * 3)
        );
        backend.assert_accounted();
    });
}

/// In a port the first steps run before the `try` whose `finally` closes: what they opened stays open when
/// a later one fails, or when the caller is cancelled in the middle of it.
#[test]
fn fault_02_failing_init_inside_a_scope_leaves_nothing_open() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        backend.set_time(Hook::Open, SECOND);
        backend.set_time(Hook::Close, SECOND);
        let (fault, call) = (
            [Fault::Fail, Fault::Panic, Fault::Hang][sim.below(3) as usize],
            1 + sim.below(4),
        );
        backend.set_faults(Faults::none().nth(Hook::Open, call, fault));
        let cancelled = coin(&sim);
        let init = sim.task("init", {
            let (sim, resource) = (sim.clone(), FaultyResource::new(&backend));
            async move {
                let init = scope(&sim, |s| async move {
                    for _ in 0..4 {
                        drop(s.open(resource.clone()).await?);
                    }
                    Ok::<(), OpenError>(())
                });
                let error = init.await.expect_err("one of them does not open");
                assert!(matches!(error.into_body(), Ok(OpenError::Failed { .. })));
            }
        });
        if cancelled {
            sim.sleep(odd_time(&sim, 4)).await;
            init.cancel();
            sim.sleep(SECOND * 10).await;
        } else {
            init.await;
            assert_eq!(backend.opened(), call - 1);
        }
        assert_eq!(backend.ended(Ended::Closed), backend.opened());
        backend.assert_accounted();
    });
}

/// In a port a cleanup that raises in a `finally` takes the place of the error that was on its way out, and
/// keeps the cleanups below it from being run.
#[test]
fn fault_03_cleanup_error_does_not_replace_the_users() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        let fault = [Fault::Fail, Fault::Panic, Fault::Hang][sim.below(3) as usize];
        backend.set_faults(always(Hook::Close, fault));
        let ran = Rc::new(Cell::new(0));
        let resource = FaultyResource::new(&backend);
        let s = tenure_core::scope_local(&sim, {
            let ran = ran.clone();
            async move |s| {
                for _ in 0..3 {
                    drop(s.open(resource.clone()).await.expect("the backend is well"));
                    let ran = ran.clone();
                    s.defer(move |_| async move {
                        ran.set(ran.get() + 1);
                        Err("and this one as well".into())
                    });
                }
                Err::<(), _>("the user's own")
            }
        });
        let error = s.await.expect_err("the body failed");
        let ScopeError::Body { error, report } = error else {
            panic!("{error:?}");
        };
        assert_eq!(error, "the user's own");
        let closes = report.close_failed + report.close_timed_out;
        assert_eq!(
            (closes, report.finalize_failed, report.failures.len()),
            (3, 3, 6)
        );
        assert_eq!((backend.calls(Hook::Close), ran.get()), (3, 3));
        backend.assert_accounted();
    });
}
