//! The macros through `tenure`, on each runtime that they name.

use std::time::Duration;

use tenure::{BoxError, Group, Managed, Pool, Resource, Spawn, State, Timer};

struct Db;

impl Resource for Db {
    type Value = Vec<u32>;
    type Error = BoxError;

    async fn open(&self) -> Result<Vec<u32>, BoxError> {
        Ok(vec![1])
    }
}

#[derive(Group)]
struct Service<T: Timer<Sleep: Send> + Send + Sync + 'static> {
    sessions: Pool<Db, T>,
    #[group(after(sessions), stop_timeout = Duration::from_secs(1))]
    config: Managed<Db, T>,
    #[group(skip)]
    name: String,
}

/// Starts and stops a group in tasks of their own.
async fn serve<T>(runtime: T)
where
    T: Timer<Sleep: Send> + Spawn + Send + Sync + 'static,
{
    let sessions = Pool::builder(Db).build(runtime.clone());
    let config = Managed::builder(Db).build(runtime.clone());
    let members = Service {
        sessions: sessions.expect("the defaults are valid"),
        config: config.expect("the defaults are valid"),
        name: String::from("shop"),
    };
    let group = Group::of(members, runtime.clone());
    let (started, start) = word();
    let starting = group.clone();
    runtime.spawn(async move {
        starting.start().await.expect("nothing fails");
        started();
    });
    start.await;
    assert_eq!(group.state(), State::Ready);
    assert_eq!(group.members().name, "shop");
    assert_eq!(
        *group
            .members()
            .sessions
            .acquire()
            .await
            .expect("it is open"),
        [1]
    );
    let report = group.shutdown(Duration::from_secs(10)).await;
    assert!(report.is_clean(), "{report}");
}

/// A word to be said once, and what waits for it.
fn word() -> (impl FnOnce() + Send, impl Future<Output = ()>) {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let say = move || sender.send(()).expect("somebody waits for it");
    (say, async { receiver.await.expect("it is said") })
}

struct Ledger {
    start: u32,
}

impl Ledger {
    #[tenure::tokio::with_resource(Db, timeout = Duration::from_secs(5), name = "ledger")]
    async fn on_tokio(&self, db: &mut Vec<u32>, amount: u32) -> Result<u32, BoxError> {
        db.push(amount);
        Ok(self.start + db.iter().sum::<u32>())
    }

    #[tenure::smol::with_resource(Db, timeout = Duration::from_secs(5))]
    async fn on_smol(&self, db: &mut Vec<u32>, amount: u32) -> Result<u32, BoxError> {
        db.push(amount);
        Ok(self.start + db.iter().sum::<u32>())
    }

    #[tenure::async_std::with_resource(Db)]
    async fn on_async_std(&self, db: &mut Vec<u32>, amount: u32) -> Result<u32, BoxError> {
        db.push(amount);
        Ok(self.start + db.iter().sum::<u32>())
    }

    #[tenure::with_resource(Db, runtime = tenure::async_std::AsyncStd, local)]
    async fn locally(&self, db: &mut Vec<u32>, amount: u32) -> Result<u32, BoxError> {
        db.push(amount);
        Ok(self.start + db.iter().sum::<u32>())
    }
}

const LEDGER: Ledger = Ledger { start: 10 };

#[test]
fn n09_s14_the_macros_work_on_tokio() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_time()
        .build();
    runtime.expect("tokio starts").block_on(async {
        serve(tenure::tokio::Tokio::current()).await;
        // Its future can be spawned.
        let sum = tokio::spawn(LEDGER.on_tokio(4))
            .await
            .expect("it does not panic");
        assert_eq!(sum.expect("all went well"), 15);
        let pool = tenure::tokio::pool(Db);
        let group = tenure::tokio::group(Alone { pool });
        tokio::spawn(async move { group.start().await.expect("nothing fails") })
            .await
            .expect("it does not panic");
    });
}

#[derive(Group)]
struct Alone {
    pool: tenure::tokio::Pool<Db>,
}

#[test]
fn n09_s14_the_macros_work_on_smol() {
    smol::block_on(async {
        serve(tenure::smol::Smol).await;
        assert_eq!(LEDGER.on_smol(4).await.expect("all went well"), 15);
    });
}

#[test]
fn n09_s14_the_macros_work_on_async_std() {
    async_std::task::block_on(async {
        serve(tenure::async_std::AsyncStd).await;
        assert_eq!(LEDGER.on_async_std(4).await.expect("all went well"), 15);
        assert_eq!(LEDGER.locally(5).await.expect("all went well"), 16);
    });
}
