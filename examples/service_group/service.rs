//! The whole service: its members, and who of them needs whom.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tenure::group::{ErasedMembers, GroupHealth, Restarts, Supervisor};
use tenure::tokio::{Group, Managed, Tokio};
use tenure::{Backoff, BoxError, Retry};

use crate::client::{Client, HttpClient};
use crate::db::Db;
use crate::journal::Journal;
use crate::redis::Redis;
use crate::server::Server;
use crate::worker::Worker;

/// The times here are short because the story is; the defaults suit a service.
const CHECK_EVERY: Duration = Duration::from_millis(100);
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The group, and a handle on each member for those who use it.
pub(crate) struct Service {
    pub(crate) group: Group,
    pub(crate) db: Managed<Db>,
    pub(crate) redis: Managed<Redis>,
    pub(crate) server: Arc<Server>,
    pub(crate) client: Client,
    pub(crate) worker: Arc<Worker>,
    pub(crate) journal: Arc<Journal>,
    probe: Probe,
}

impl Service {
    /// Nothing is opened or begun before the group is started.
    pub(crate) fn new(
        folder: &Path,
        redis_url: Option<String>,
        journal: &Arc<Journal>,
    ) -> Result<Self, BoxError> {
        let db = tenure::Managed::builder(Db::new(folder.join("notes.sqlite")))
            .name("db")
            .check_every(CHECK_EVERY)
            // Server and worker hold on to the connection: they have to start anew together with it. So it does
            // not reopen by itself, but is left to the supervisor.
            .reopen_after(None)
            .events(journal.clone())
            .build(Tokio::current())?;
        let redis = tenure::Managed::builder(Redis::new(redis_url.as_deref())?)
            .name("redis")
            .open_retry(Retry::NEVER)
            .open_timeout(Duration::from_secs(1))
            .events(journal.clone())
            .build(Tokio::current())?;
        let probe = Probe::default();
        let (server, worker) = (
            Server::new(db.clone(), redis.clone(), probe.clone(), journal.clone()),
            Worker::new(db.clone(), journal.clone()),
        );
        let (server, worker) = (Arc::new(server), Arc::new(worker));
        let client = tenure::Managed::builder(HttpClient::new(server.clone()))
            .name("client")
            // Calls wait while the server restarts.
            .open_retry(Retry::new(Backoff::constant(Duration::from_millis(50))).max_retries(100))
            .events(journal.clone())
            .build(Tokio::current())?;

        let group = tenure::Group::builder("service")
            .add("db", db.clone())
            .add("redis", redis.clone())
            .optional()
            .add("server", server.clone())
            .after("db")
            .wants("redis")
            .add("client", client.clone())
            .after("server")
            .add("worker", worker.clone())
            .after("db")
            .build(Tokio::current())?;
        probe.set(Some(group.clone()));
        Ok(Self {
            group,
            db,
            redis,
            server,
            client: Client::new(client),
            worker,
            journal: journal.clone(),
            probe,
        })
    }

    /// What restarts a member that is down, and then those that need it.
    pub(crate) fn supervisor(&self) -> Supervisor<Tokio, ErasedMembers> {
        self.group
            .supervisor()
            .restarts(Restarts::WithDependents)
            .check_every(LOOK_EVERY)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.probe.set(None);
    }
}

/// How the server asks its group how all are. A member that held the group itself would be held by it in
/// turn, and neither would ever be dropped: so the group is only lent, as long as the service is there.
#[derive(Clone, Default)]
pub(crate) struct Probe(Arc<Mutex<Option<Group>>>);

impl Probe {
    fn set(&self, group: Option<Group>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = group;
    }

    /// Whether the service can be used, and how each member is.
    pub(crate) async fn is_ready(&self) -> (bool, String) {
        let group = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let Some(group) = group else {
            return (false, "the service has gone".into());
        };
        let health = group.health().await;
        (
            health.state.is_usable() && is_well("db", &health),
            health.to_string(),
        )
    }
}

/// A group may be usable while its database is in doubt. Whoever sends requests here should not.
fn is_well(name: &str, health: &GroupHealth) -> bool {
    let mut members = health.members.iter();
    members.all(|member| member.name != name || member.error.is_none())
}
