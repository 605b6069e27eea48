//! Closing the pool, on every way to its end.

use core::time::Duration;

use super::shared::PoolShared;
use crate::cleanup::Report;
use crate::drive;
use crate::ending::Why;
use crate::kernel::PoolPhase;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::sync::Arc;

/// Closes the pool and waits until every value has ended, or until `within` is over.
pub(crate) async fn close_pool<R: LocalResource, C: Clock>(
    shared: &Arc<PoolShared<R, C>>,
    within: Option<Duration>,
) -> Report {
    drive::shut_down(shared, within, Why::Shutdown).await;
    let now = shared.now();
    shared.adjust(|transaction| {
        if transaction.kernel().phase() == PoolPhase::Closed {
            transaction.ledger().end_shutdown(now);
        }
        let audit = transaction.audit();
        let still_in_use = audit.in_use + audit.checking;
        { transaction.ledger() }.report(&shared.reporter.name, now, still_in_use)
    })
}
