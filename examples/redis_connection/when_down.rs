//! What calls do while there is no connection: the three ways, each shown with a call that reads.

use std::error::Error;
use std::fmt;
use std::iter::successors;
use std::time::Duration;

use tenure::connection::WhenDown;
use tenure::{BoxError, CallError, StopReason};
use tokio::task::JoinHandle;

use crate::counter::Counter;
use crate::journal::Journal;
use crate::promises::Promises;

/// How long such a call may take. The outage is longer.
const DEADLINE: Duration = Duration::from_secs(2);

/// A call that waits for as long as it takes, and so is still to end.
pub(crate) struct Waiting(JoinHandle<Result<i64, CallError>>);

/// Shows the three while the server is down. The one that is left is answered once it is up.
pub(crate) async fn show(
    counter: &Counter,
    journal: &Journal,
    promises: &mut Promises,
) -> Result<Waiting, BoxError> {
    // Begun before the others, so that it outlasts their time.
    let patient = counter.clone();
    let wait = tokio::spawn(async move { patient.read(WhenDown::Wait, DEADLINE).await });

    let error = counter.read(WhenDown::FailAtOnce, DEADLINE).await;
    let error = error.err().ok_or("a call was answered without a server")?;
    journal.say(format_args!("FailAtOnce: {error}{}", Why(&error)));
    promises.promise(
        "a call that is to fail at once is told why there is no connection, before its time is over",
        error.open_error().is_some() && error.reason() != StopReason::Deadline,
    );

    let error = counter.read(WhenDown::WaitToDeadline, DEADLINE).await;
    let error = error.err().ok_or("a call was answered without a server")?;
    journal.say(format_args!("WaitToDeadline: {error}{}", Why(&error)));
    promises.promise(
        "a call that is to wait to its deadline does so, and no less",
        error.reason() == StopReason::Deadline && error.elapsed() >= DEADLINE,
    );

    promises.promise(
        "a call that is to wait for a connection still waits",
        !wait.is_finished(),
    );
    Ok(Waiting(wait))
}

impl Waiting {
    /// Its deadline begins only when there is a connection.
    pub(crate) async fn ends(
        self,
        journal: &Journal,
        promises: &mut Promises,
    ) -> Result<(), BoxError> {
        let answer = self.0.await?;
        match &answer {
            Ok(number) => journal.say(format_args!("Wait: the counter is at {number}")),
            Err(error) => journal.say(format_args!("Wait: {error}{}", Why(error))),
        }
        promises.promise("and is answered once there is one", answer.is_ok());
        Ok(())
    }
}

/// An error says what was asked for; why that failed, those say that it comes from.
struct Why<'a>(&'a CallError);

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sources = successors(self.0.source(), |error| (*error).source());
        sources.try_for_each(|error| write!(f, ": {error}"))
    }
}
