//! What the server says of the pool's connections, looked at all the while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tenure::BoxError;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_postgres::Client;

use crate::MAX_SIZE;
use crate::admin::Admin;
use crate::connection::Error;

const EVERY: Duration = Duration::from_millis(50);

/// While the server is down.
const KNOCK_EVERY: Duration = Duration::from_millis(10);

pub(crate) struct Observer {
    is_over: Arc<AtomicBool>,
    task: JoinHandle<Seen>,
}

#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) looks: usize,
    /// Most connections at any look.
    pub(crate) most: usize,
    /// Looks, at most so many in a row, that saw more than `MAX_SIZE`.
    pub(crate) over_limit: usize,
    /// When the server let the observer in, each time.
    pub(crate) server_up: Vec<Instant>,
}

impl Observer {
    pub(crate) fn start(admin: Admin) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(observe(admin, is_over.clone()));
        Self { is_over, task }
    }

    pub(crate) async fn end(self) -> Result<Seen, BoxError> {
        self.is_over.store(true, Ordering::Relaxed);
        Ok(self.task.await?)
    }
}

async fn observe(admin: Admin, is_over: Arc<AtomicBool>) -> Seen {
    let mut seen = Seen::default();
    while !is_over.load(Ordering::Relaxed) {
        // Ends with the connection that it looks through, when the server is killed.
        if let Ok(connection) = admin.connect().await {
            seen.server_up.push(Instant::now());
            let _ = seen.look(&admin, &connection.client, &is_over).await;
            connection.close().await;
        }
        sleep(KNOCK_EVERY).await;
    }
    seen
}

impl Seen {
    async fn look(
        &mut self,
        admin: &Admin,
        client: &Client,
        is_over: &AtomicBool,
    ) -> Result<(), Error> {
        let mut over_limit = 0;
        while !is_over.load(Ordering::Relaxed) {
            let count = admin.connections(client).await?;
            over_limit = if count > MAX_SIZE { over_limit + 1 } else { 0 };
            self.looks += 1;
            self.most = self.most.max(count);
            self.over_limit = self.over_limit.max(over_limit);
            sleep(EVERY).await;
        }
        Ok(())
    }
}
