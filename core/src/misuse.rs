//! Mistakes that the compiler refuses, each with the error it gives. The examples of the public items show
//! some of them too; here they are named.

/// The original ran a check hook by whatever name it looked for, and silently none by another.
///
/// ```compile_fail,E0407
/// use tenure_core::Resource;
/// struct Db;
/// impl Resource for Db {
///     type Value = ();
///     type Error = std::io::Error;
///     async fn open(&self) -> Result<(), Self::Error> { Ok(()) }
///     async fn check_health(&self, _: &mut ()) -> Result<(), Self::Error> { Ok(()) }
/// }
/// ```
pub fn fault_28_a_check_by_another_name() {}

/// ```compile_fail,E0080
/// use tenure_core::{NoTimer, Pool, Resource};
/// struct Db;
/// impl Resource for Db {
///     type Value = ();
///     type Error = std::io::Error;
///     const CHECKED: bool = true;
///     async fn open(&self) -> Result<(), Self::Error> { Ok(()) }
/// }
/// let (pool, runner) = Pool::builder(Db).build_with_runner(NoTimer).unwrap();
/// futures::executor::block_on(runner.run());
/// ```
pub fn fault_28_a_check_that_is_declared_and_not_written() {}

/// ```compile_fail,E0080
/// use tenure_core::{Pool, Resource};
/// struct Db;
/// impl Resource for Db {
///     type Value = ();
///     type Error = std::io::Error;
///     async fn open(&self) -> Result<(), Self::Error> { Ok(()) }
/// }
/// Pool::builder(Db).check_every(core::time::Duration::from_secs(1));
/// ```
pub fn fault_28_checks_that_are_asked_for_and_not_there() {}

/// The same resource with its check: so it is the mistake alone that does not compile.
///
/// ```
/// use tenure_core::{NoTimer, Pool, Resource};
/// struct Db;
/// impl Resource for Db {
///     type Value = ();
///     type Error = std::io::Error;
///     const CHECKED: bool = true;
///     async fn open(&self) -> Result<(), Self::Error> { Ok(()) }
///     async fn check(&self, _: &mut ()) -> Result<(), Self::Error> { Ok(()) }
/// }
/// let every = core::time::Duration::from_secs(1);
/// let (pool, runner) = Pool::builder(Db).check_every(every).build_with_runner(NoTimer).unwrap();
/// drop(pool);
/// futures::executor::block_on(runner.run());
/// ```
pub fn fault_28_a_check_that_is_written() {}

/// A hook that is named and not written would be called, and do nothing.
///
/// ```compile_fail,E0080
/// use tenure_core::{Hooks, NoTimer, Pool, Resource};
/// struct Db;
/// impl Resource for Db {
///     type Value = ();
///     type Error = std::io::Error;
///     const HOOKS: Hooks = Hooks::AFTER_RELEASE;
///     async fn open(&self) -> Result<(), Self::Error> { Ok(()) }
/// }
/// let (pool, runner) = Pool::builder(Db).build_with_runner(NoTimer).unwrap();
/// futures::executor::block_on(runner.run());
/// ```
pub fn b07_a_hook_that_is_named_and_not_written() {}

/// ```compile_fail,E0407
/// use tenure_core::{Hooks, Resource};
/// struct Db;
/// impl Resource for Db {
///     type Value = ();
///     type Error = std::io::Error;
///     const HOOKS: Hooks = Hooks::AFTER_RELEASE;
///     async fn open(&self) -> Result<(), Self::Error> { Ok(()) }
///     async fn on_release(&self, _: &mut ()) -> Result<(), Self::Error> { Ok(()) }
/// }
/// ```
pub fn b07_a_hook_by_another_name() {}

/// The same resource with its hook: so it is the mistake alone that does not compile.
///
/// ```
/// use tenure_core::{Hooks, NoTimer, Pool, Resource};
/// struct Db;
/// impl Resource for Db {
///     type Value = ();
///     type Error = std::io::Error;
///     const HOOKS: Hooks = Hooks::AFTER_RELEASE;
///     async fn open(&self) -> Result<(), Self::Error> { Ok(()) }
///     async fn after_release(&self, _: &mut ()) -> Result<(), Self::Error> { Ok(()) }
/// }
/// let (pool, runner) = Pool::builder(Db).build_with_runner(NoTimer).unwrap();
/// drop(pool);
/// futures::executor::block_on(runner.run());
/// ```
pub fn b07_a_hook_that_is_written() {}
