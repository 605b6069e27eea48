//! A task that waits for itself on the threads of tokio, where it may move from one to the next.

use std::time::Duration;

use tenure_core::{AcquireError, Pool};
use tenure_tokio::Tokio;

use crate::pool::probe::{Control, SendProbe};
use crate::pool::recorder::Recorder;
use crate::pool::self_deadlock::told;

#[test]
fn n06_a_task_that_waits_for_itself_is_told_on_every_thread() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime of tokio");
    runtime.block_on(async {
        let (control, recorder) = (Control::default(), Recorder::default());
        let probe = SendProbe::<Tokio>::new(&control, Tokio::current());
        let pool = Pool::builder(probe).max_size(1).events(recorder.sink());
        let pool = pool.refuse_self_deadlock(true).build(Tokio::current());
        let pool = pool.expect("a configuration that makes sense");
        let first = tokio::spawn({
            let pool = pool.clone();
            async move {
                let held = pool.acquire().await.expect("a value");
                tokio::task::yield_now().await;
                let refused = pool.acquire().await.map(drop);
                // Another task's wish is another matter.
                let other = tokio::spawn({
                    let pool = pool.clone();
                    async move {
                        let limit = Duration::from_millis(4);
                        pool.acquire_timeout(limit).await.map(drop)
                    }
                });
                let other = other.await.expect("it does not panic");
                drop(held);
                (refused, other)
            }
        });
        let (refused, other) = first.await.expect("it does not panic");
        assert!(
            matches!(refused, Err(AcquireError::SelfDeadlock { held: 1, .. })),
            "{refused:?}"
        );
        assert!(
            matches!(
                other,
                Err(AcquireError::Exhausted {
                    self_deadlock: false,
                    ..
                })
            ),
            "{other:?}"
        );
        assert_eq!(told(&recorder), [1]);
        assert!(pool.close().await.is_clean());
    });
}
