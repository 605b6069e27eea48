//! What is known of a managed resource without awaiting anything, and how to await what is not yet so.

use super::error::Unreachable;
use super::{Managed, Watch};
use crate::cause::Cause;
use crate::cleanup::Audit;
use crate::name::Name;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::state::State;
use crate::time::Instant;

impl<R: LocalResource, C: Clock> Managed<R, C> {
    /// The state now.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// assert_eq!(managed.state(), State::Uninitialized);
    /// ```
    #[must_use]
    pub fn state(&self) -> State {
        self.shared.cell.with(|cell| cell.state())
    }

    /// Whether there is a value to use: `Ready` or `Degraded`.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// assert!(!managed.is_usable());
    /// ```
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.state().is_usable()
    }

    /// Whether the value is open and its checks pass: `Ready`.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// assert!(!managed.is_healthy());
    /// ```
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.state().is_healthy()
    }

    /// Whether the value is open: the same as [`is_usable`](Managed::is_usable).
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// assert!(!managed.is_initialized());
    /// ```
    #[must_use]
    pub fn is_initialized(&self) -> bool {
        self.is_usable()
    }

    /// How many calls are in flight.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// assert_eq!(managed.calls_in_flight(), 0);
    /// ```
    #[must_use]
    pub fn calls_in_flight(&self) -> usize {
        self.shared.cell.with(|cell| {
            let retired = cell.retired.iter().map(|(held, _)| held.calls);
            cell.current
                .iter()
                .map(|held| held.calls)
                .chain(retired)
                .sum()
        })
    }

    /// Whether any call is in flight.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// assert!(!managed.in_use());
    /// ```
    #[must_use]
    pub fn in_use(&self) -> bool {
        self.calls_in_flight() > 0
    }

    /// What the latest opening or check that failed said.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// assert!(managed.last_error().is_none());
    /// ```
    #[must_use]
    pub fn last_error(&self) -> Option<Cause> {
        self.shared.cell.with(|cell| cell.last_error.clone())
    }

    /// When it was built, if there is a clock.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// assert_eq!(managed.created_at(), Some(Instant::EPOCH));
    /// ```
    #[must_use]
    pub fn created_at(&self) -> Option<Instant> {
        self.shared.cell.with(|cell| cell.machine.created_at())
    }

    /// When the value was opened last.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// assert_eq!(managed.initialized_at(), None);
    /// managed.open().await?;
    /// assert!(managed.initialized_at().is_some());
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn initialized_at(&self) -> Option<Instant> {
        self.shared.cell.with(|cell| cell.machine.initialized_at())
    }

    /// When an opening or a check failed last, or the value was lost.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// assert_eq!(managed.last_error_at(), None);
    /// ```
    #[must_use]
    pub fn last_error_at(&self) -> Option<Instant> {
        self.shared.cell.with(|cell| cell.machine.last_error_at())
    }

    /// The resource's name.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// assert_eq!(managed.name().as_str(), "db");
    /// ```
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.shared.reporter.name
    }

    /// The resource whose value this is.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let Db = managed.resource();
    /// ```
    #[must_use]
    pub fn resource(&self) -> &R {
        &self.shared.resource
    }

    /// How many values were opened, and where each of them is. It balances at any moment.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// managed.open().await?;
    /// assert_eq!((managed.audit().opened, managed.audit().live()), (1, 1));
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn audit(&self) -> Audit {
        self.shared.cell.with(|cell| cell.audit())
    }

    /// Watches the state from now on.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let mut watch = managed.watch();
    /// managed.open().await?;
    /// assert_eq!(watch.changed().await.map(|change| change.to), Some(State::Initializing));
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    pub fn watch(&self) -> Watch<R, C> {
        Watch::new(self.shared.clone())
    }

    /// Waits until the state is `wanted`; at once, if it is.
    ///
    /// ```
    /// # use tenure_core::{Managed, NoTimer, Resource, State};
    /// # struct Text;
    /// # impl Resource for Text {
    /// #     type Value = String;
    /// #     type Error = std::io::Error;
    /// #     async fn open(&self) -> Result<String, Self::Error> { Ok(String::new()) }
    /// # }
    /// # futures::executor::block_on(async {
    /// let (text, _runner) = Managed::builder(Text).build_with_runner(NoTimer)?;
    /// text.close().await;
    /// assert!(text.wait_for(State::Closed).await.is_ok());
    /// assert!(text.wait_for(State::Ready).await.is_err(), "it can no longer come");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap()
    /// ```
    ///
    /// # Errors
    /// [`Unreachable`] as soon as no path leads there any more.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn wait_for(&self, wanted: State) -> Result<(), Unreachable> {
        self.watch().wait_for(wanted).await
    }
}
