//! Watching the state change.

use alloc::collections::VecDeque;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::Stream;

use super::error::Unreachable;
use super::reconnect::ManagedStanding;
use super::shared::ManagedShared;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::signal::Listener;
use crate::state::State;
use crate::sync::Arc;
use crate::time::Instant;

/// How many changes are kept for watchers that are behind.
const KEPT: usize = 32;

/// One change of state, as a [`Watch`] sees it.
///
/// ```
/// # fn show(change: tenure_core::managed::StateChange) {
/// if change.missed > 0 {
///     println!("{} changes were missed", change.missed);
/// }
/// println!("{} -> {}", change.from, change.to);
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StateChange {
    /// The state before.
    pub from: State,
    /// The state after.
    pub to: State,
    /// When it changed, if there is a clock.
    pub at: Option<Instant>,
    /// Which change of this resource it is, from 1.
    pub number: u64,
    /// How many changes came between the one this watcher saw last and this one.
    pub missed: u64,
}

/// The latest changes.
#[derive(Debug, Default)]
pub(crate) struct WatchHistory(VecDeque<StateChange>);

impl WatchHistory {
    pub(crate) fn push(&mut self, from: State, to: State, number: u64, at: Option<Instant>) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(StateChange {
            from,
            to,
            at,
            number,
            missed: 0,
        });
    }

    /// The first change after the one of number `seen`.
    fn after(&self, seen: u64) -> Option<StateChange> {
        let change = self.0.iter().find(|change| change.number > seen)?;
        Some(StateChange {
            missed: change.number - seen - 1,
            ..*change
        })
    }
}

/// Sees the changes of a managed resource's state, in order and always the last one.
///
/// It is a [`Stream`] of [`StateChange`]s that ends once the resource is closed. A watcher that is
/// more than a few dozen changes behind misses the oldest, and learns how many.
///
/// A watcher keeps nothing open: when the last handle is dropped, it sees the resource close.
///
/// ```
/// use tenure_core::{Managed, NoTimer, Resource, State};
/// # struct Text;
/// # impl Resource for Text {
/// #     type Value = String;
/// #     type Error = std::io::Error;
/// #     async fn open(&self) -> Result<String, Self::Error> { Ok(String::new()) }
/// # }
/// # futures::executor::block_on(async {
/// let (text, _runner) = Managed::builder(Text).build_with_runner(NoTimer)?;
/// let mut watch = text.watch();
/// text.open().await?;
/// let (first, second) = (watch.changed().await.unwrap(), watch.changed().await.unwrap());
/// assert_eq!((first.to, second.to), (State::Initializing, State::Ready));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap()
/// ```
#[must_use = "a watch sees nothing until it is awaited"]
pub struct Watch<R: LocalResource, C: Clock> {
    shared: Arc<ManagedShared<R, C>>,
    seen: u64,
    listener: Option<Listener>,
}

impl<R: LocalResource, C: Clock> Watch<R, C> {
    /// A watch that sees what changes from now on.
    pub(crate) fn new(shared: Arc<ManagedShared<R, C>>) -> Self {
        let seen = shared.cell.with(|cell| cell.machine.changes());
        Self {
            shared,
            seen,
            listener: None,
        }
    }

    pub(crate) fn standing(&self) -> ManagedStanding {
        self.shared.standing()
    }

    pub(crate) fn listen(&self) -> Listener {
        self.shared.changed.listen()
    }

    /// The next change; `None` once the resource is closed and every change was seen.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let mut watch = managed.watch();
    /// managed.close().await;
    /// assert_eq!(watch.changed().await.map(|change| change.to), Some(State::Closed));
    /// assert_eq!(watch.changed().await, None, "closed is final");
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the future loses no change.
    pub async fn changed(&mut self) -> Option<StateChange> {
        poll_fn(|cx| self.poll_changed(cx)).await
    }

    /// Waits until the state is `wanted`; at once, if it is.
    ///
    /// # Errors
    /// [`Unreachable`] as soon as no path leads there any more, so that it never waits for ever for
    /// what cannot come.
    ///
    /// # Cancel safety
    /// Dropping the future loses no change but those it has seen.
    pub(crate) async fn wait_for(&mut self, wanted: State) -> Result<(), Unreachable> {
        let mut state = self.shared.cell.with(|cell| {
            self.seen = cell.machine.changes();
            cell.state()
        });
        loop {
            if state == wanted {
                return Ok(());
            }
            let name = &self.shared.reporter.name;
            let unreachable = |state| Unreachable {
                name: name.clone(),
                wanted,
                state,
            };
            if !state.can_reach(wanted) {
                return Err(unreachable(state));
            }
            state = match self.changed().await {
                Some(change) => change.to,
                None => State::Closed,
            };
        }
    }

    fn poll_changed(&mut self, cx: &mut Context<'_>) -> Poll<Option<StateChange>> {
        loop {
            let (change, state) = self
                .shared
                .cell
                .with(|cell| (cell.history.after(self.seen), cell.state()));
            if let Some(change) = change {
                self.seen = change.number;
                return Poll::Ready(Some(change));
            }
            if state == State::Closed {
                return Poll::Ready(None);
            }
            match &mut self.listener {
                // A listener made just now may have missed what changed before: look again.
                None => self.listener = Some(self.shared.changed.listen()),
                Some(listener) => {
                    if Pin::new(listener).poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    self.listener = None;
                }
            }
        }
    }
}

impl<R: LocalResource, C: Clock> Stream for Watch<R, C> {
    type Item = StateChange;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<StateChange>> {
        self.poll_changed(cx)
    }
}

impl<R: LocalResource, C: Clock> core::fmt::Debug for Watch<R, C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Watch")
            .field("name", &self.shared.reporter.name)
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}
