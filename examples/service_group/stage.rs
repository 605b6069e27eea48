//! What the story is told with: what is expected, and waiting for something to happen.

use std::future::Future;
use std::time::Duration;

use tenure::BoxError;
use tokio::time::{sleep, timeout};

use crate::client::Answer;

/// Longer than anything here takes, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn expect(what: &str, answer: &Answer, status: u16) -> Result<(), BoxError> {
    let Answer {
        status: found,
        body,
    } = answer;
    ensure(
        *found == status,
        &format!("{what}: {status}, not {found} {body}"),
    )
}

/// The program fails unless this is so.
pub(crate) fn ensure(is_so: bool, what: &str) -> Result<(), BoxError> {
    if is_so {
        return Ok(());
    }
    Err(format!("not as it should be: expected that {what}").into())
}

/// There is nothing to await for how a group is.
pub(crate) async fn until(what: &str, is_so: impl AsyncFn() -> bool) -> Result<(), BoxError> {
    let poll = async {
        while !is_so().await {
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    };
    in_time(what, poll).await
}

pub(crate) async fn in_time(
    what: &str,
    happens: impl Future<Output = Result<(), BoxError>>,
) -> Result<(), BoxError> {
    match timeout(PATIENCE, happens).await {
        Ok(happened) => happened,
        Err(_) => ensure(false, what),
    }
}
