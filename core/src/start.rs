//! When something is opened that nobody has asked for yet.

/// When a pool opens its minimum, or a managed resource its value.
///
/// To fail fast, so that a program does not come up without its database, await
/// [`Pool::start`](crate::Pool::start) or [`Managed::open`](crate::Managed::open), which answer with
/// the error.
///
/// ```
/// use tenure_core::{NoTimer, Pool, Start};
/// # use tenure_core::Resource;
/// # struct Text;
/// # impl Resource for Text {
/// #     type Value = String;
/// #     type Error = std::io::Error;
/// #     async fn open(&self) -> Result<String, Self::Error> { Ok(String::new()) }
/// # }
/// let (pool, runner) =
///     Pool::builder(Text).min_size(2).start(Start::Lazily).build_with_runner(NoTimer)?;
/// # Ok::<(), tenure_core::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Start {
    /// At the first use.
    Lazily,
    /// As soon as the Runner runs, which goes on trying while it fails.
    InBackground,
}
