//! A scope may be spawned where its body may.

use tenure_core::{BoxError, Resource, scope, with_resource};
use tenure_tokio::Tokio;

struct Db;

impl Resource for Db {
    type Value = std::cell::Cell<u8>;
    type Error = BoxError;

    async fn open(&self) -> Result<Self::Value, BoxError> {
        Ok(std::cell::Cell::new(1))
    }
}

#[test]
fn b11_scope_is_send_if_its_body_is() {
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime of tokio");
    let runtime = {
        let _entered = tokio.enter();
        Tokio::current()
    };
    let ended = tokio.block_on(async move {
        let spawned = tokio::spawn(scope(&runtime, |s| async move {
            let mut db = s.open(Db).await?;
            *db.get_mut() += 1;
            s.defer(|_| async { Ok(()) });
            let child =
                s.scope(|child| async move { Ok::<_, BoxError>(child.open(Db).await?.get()) });
            let count = child.await?;
            tokio::task::yield_now().await;
            Ok::<_, BoxError>(db.get() + count)
        }));
        let with = tokio::spawn(with_resource(&Tokio::current(), Db, |db| async move {
            tokio::task::yield_now().await;
            Ok::<_, BoxError>(db.get())
        }));
        let spawned = spawned.await.expect("it ends").expect("it succeeds");
        spawned + with.await.expect("it ends").expect("it succeeds")
    });
    assert_eq!(ended, 4);
}
