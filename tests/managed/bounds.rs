//! What is `Send` and `Sync`, where the resource is: it compiles, or it is not so.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tenure_async_std::AsyncStd;
use tenure_core::managed::{ManagedBuilder, Runner, StateChange, Watch};
use tenure_core::{
    CallError, CallOptions, CheckError, LocalResource, Managed, NoTimer, OpenError, Report,
    Resource, Retry, Unreachable, retry, with_timeout,
};
use tenure_futures::{AnyExecutor, FuturesTimer};
use tenure_smol::{Smol, SmolLocal};
use tenure_tokio::Tokio;

/// Of values that go everywhere.
struct Everywhere;

impl Resource for Everywhere {
    type Value = Arc<u32>;
    type Error = std::io::Error;
    const CHECKED: bool = true;

    async fn open(&self) -> Result<Arc<u32>, std::io::Error> {
        Ok(Arc::new(7))
    }

    async fn check(&self, _: &mut Arc<u32>) -> Result<(), std::io::Error> {
        Ok(())
    }
}

/// Of values that stay on their thread.
struct Here;

impl LocalResource for Here {
    type Value = Rc<u32>;
    type Error = std::io::Error;

    async fn open(&self) -> Result<Rc<u32>, std::io::Error> {
        Ok(Rc::new(7))
    }
}

const fn send<T: Send>(_: &T) {}
const fn is_send<T: Send>() {}
const fn is_send_and_sync<T: Send + Sync>() {}
const fn is_unpin<T: Unpin>() {}

const _: () = {
    is_send_and_sync::<ManagedBuilder<Everywhere>>();
    is_send_and_sync::<Managed<Everywhere, Tokio>>();
    is_send_and_sync::<Managed<Everywhere, AsyncStd>>();
    is_send_and_sync::<Managed<Everywhere, Smol>>();
    is_send_and_sync::<Managed<Everywhere, FuturesTimer>>();
    is_send_and_sync::<Managed<Everywhere, NoTimer>>();
    is_send_and_sync::<Runner<Everywhere, Tokio>>();
    is_send_and_sync::<Watch<Everywhere, Tokio>>();
    is_unpin::<Watch<Everywhere, Tokio>>();
    is_unpin::<Managed<Here, Tokio>>();
    is_send_and_sync::<StateChange>();
    is_send_and_sync::<CallOptions>();
    is_send_and_sync::<OpenError>();
    is_send_and_sync::<CallError>();
    is_send_and_sync::<CheckError>();
    is_send_and_sync::<Unreachable>();
    is_send_and_sync::<Report>();
    is_send::<tenure_core::Cause>();
};

/// A future that sleeps is `Send` wherever its backend is.
const _: () = {
    is_send::<tenure_tokio::Sleep>();
    is_send::<tenure_async_std::Sleep>();
    is_send::<tenure_smol::Sleep>();
    is_send::<tenure_futures::Sleep>();
};

/// Every future of a handle may be spawned on threads.
#[test]
fn s03_futures_are_send_where_the_resource_is() {
    let (managed, runner) = Managed::builder(Everywhere)
        .build_with_runner(Tokio::current())
        .expect("a valid configuration");
    let soon = Duration::from_secs(1);
    send(&managed.open());
    send(&managed.get());
    send(&managed.open_timeout(soon));
    send(&managed.get_timeout(soon));
    send(&managed.call("ask", async |value: Arc<u32>| Ok(*value)));
    let options = CallOptions::named("ask").max_retries(0);
    send(&managed.call_with(options, |value| async move { Ok(*value) }));
    send(&managed.check());
    send(&managed.close());
    send(&managed.shutdown(soon));
    send(&managed.wait_for(tenure_core::State::Ready));
    let mut watch = managed.watch();
    send(&watch.changed());
    send(&runner.run());
    let timer = Tokio::current();
    send(&retry(&timer, Retry::NEVER, || async {
        Ok::<_, String>(7)
    }));
    send(&with_timeout(&timer, soon, "ask", async {}));
    assert_eq!(managed.audit().opened, 0);
}

/// What is not `Send` is built and used all the same, by every local executor.
#[test]
fn s03_values_that_stay_on_their_thread_serve_on_local_executors() {
    async fn used<C: tenure_core::Timer>(managed: Managed<Here, C>) -> u32 {
        let value = managed.get().await.expect("it opens");
        let called = managed.call("ask", async |value| Ok(*value)).await;
        managed.close().await;
        *value + called.expect("it answers")
    }
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime of tokio");
    let on_tokio = tokio::task::LocalSet::new().block_on(&tokio, async {
        let built = Managed::builder(Here).build_local(Tokio::current());
        used(built.expect("a valid configuration")).await
    });
    let on_async_std = async_std::task::block_on(async {
        let built = Managed::builder(Here).build_local(AsyncStd);
        used(built.expect("a valid configuration")).await
    });
    let executor = Rc::new(smol::LocalExecutor::new());
    let on_smol = smol::block_on(executor.run(async {
        let built = Managed::builder(Here).build_local(SmolLocal::new(&executor));
        used(built.expect("a valid configuration")).await
    }));
    let mut pool = futures::executor::LocalPool::new();
    let spawner = AnyExecutor::new(pool.spawner());
    let on_pool = pool.run_until(async {
        let built = Managed::builder(Here).build_local(spawner);
        used(built.expect("a valid configuration")).await
    });
    assert_eq!([on_tokio, on_async_std, on_smol, on_pool], [14; 4]);
}
