//! The harness: a test is written once, as a generic async function, and runs in many worlds.
//!
//! A [`World`] is one way a program may run: an executor, and the backend that the library is given on
//! it. A test takes its world by value, and a list at the head of its file runs it in all of them:
//!
//! ```ignore
//! use crate::worlds::World;
//!
//! on_every_backend! {
//!     s03_late_caller_waits_for_the_same_open,
//! }
//!
//! async fn s03_late_caller_waits_for_the_same_open<W: World>(world: W) {
//!     let runtime = world.runtime();
//!     ..
//! }
//! ```
//!
//! The names of the tests are then `managed::on_smol::s03_late_caller_waits_for_the_same_open`, and so
//! on. A test that is missing in the list is dead code, of which the compiler warns.
//!
//! # The worlds
//!
//! | module                   | clock   | the library gets | which spawns    | values     | background |
//! |--------------------------|---------|------------------|-----------------|------------|------------|
//! | `on_tokio_multi_thread`  | real    | `Tokio`          | on its threads  | `Send`     | runs       |
//! | `on_tokio_paused`        | virtual | `Tokio`          | on one thread   | `Send`     | runs       |
//! | `on_tokio_local_set`     | virtual | `Tokio`          | on the set      | not `Send` | runs       |
//! | `on_async_std`           | real    | `AsyncStd`       | on its threads  | `Send`     | runs       |
//! | `on_smol`                | real    | `Smol`           | on its thread   | `Send`     | runs       |
//! | `on_futures_local_pool`  | real    | `AnyExecutor`    | on the pool     | not `Send` | runs       |
//! | `on_futures_thread_pool` | real    | `AnyExecutor`    | on its threads  | `Send`     | runs       |
//! | `on_simulated`           | virtual | `Sim`            | on one thread   | `Send`     | runs       |
//! | `on_plain_block_on`      | real    | `FuturesTimer`   | nowhere         | `Send`     | is dropped |
//! | `on_embassy`             | virtual | `Embassy`        | nowhere         | `Send`     | is awaited by a task of the test |
//!
//! The last is the world of `tests/embassy`, a program of its own that has the same files, because all of a program has
//! one time driver of Embassy's. Its scopes have no Runner, for that takes a runtime that spawns.
//!
//! Two more run the contract of the timers and one central file of each holder: `on_async_executor`, a bare executor of
//! that crate with ten lines around it, and `on_pollster`, another plain `block_on`.
//!
//! Which worlds a list names, and what other lists there are, is written in `worlds/lists.rs`. `on_backend!` runs a list
//! in one world.
//!
//! # What a world offers
//!
//! - [`World::runtime`], the backend, to be handed to the library.
//! - [`World::tick`], the unit of waiting: a second where time is virtual, a few milliseconds where it
//!   is real. Write every interval, timeout and wait as some ticks. Assert "not before", never "not
//!   after"; only where [`World::VIRTUAL_TIME`] says so may a test rely on the exact time, or wait a day.
//! - [`World::task`], a task beside the test, on the same thread, so that nothing need be `Send`. A
//!   panic in it reaches whoever awaits it. `futures::join!` serves as well.
//! - [`World::background`], which runs the future of a `Runner` in the same way. Without
//!   [`World::BACKGROUND`] it is dropped, as by a user who has no use for it.
//! - [`World::Mark`], for a test resource to carry in its values: an `Rc` where values need not be `Send`.
//!
//! # Where the code must be `Send` in some worlds only
//!
//! Generic code can't promise that a future is `Send` if it is so in some worlds only: `build(runtime)`
//! asks for it, `build_local(runtime)` does not. Then the suite adds a trait of its own. Its methods
//! name associated types without a bound, and each implementation knows what they are. `for_every_world!` hands out
//! the worlds for which a macro writes them:
//!
//! ```ignore
//! trait PoolWorld: World {
//!     type Probe: LocalResource<Value = ProbeValue<Self::Mark>>;
//!     fn build(&self, pool: PoolBuilder<Self::Probe>) -> Pool<Self::Probe>;
//! }
//! impl PoolWorld for SmolGlobal { // likewise in all worlds that spawn
//!     type Probe = SendProbe;
//!     fn build(&self, pool: PoolBuilder<SendProbe>) -> Pool<SendProbe> { pool.build(self.runtime()) }
//! }
//! impl PoolWorld for TokioLocalSet { // likewise in all worlds that spawn locally
//!     type Probe = LocalProbe;
//!     fn build(&self, pool: PoolBuilder<LocalProbe>) -> Pool<LocalProbe> { pool.build_local(self.runtime()) }
//! }
//! ```
//!
//! # Hanging
//!
//! A test that takes longer than [`HANG_LIMIT`] ends the whole process with its name on stderr: a lost
//! wake-up must be a failure, not a build that waits for ever.

#[macro_use]
#[allow(unused_macros, reason = "some serve one suite alone")]
#[path = "worlds/lists.rs"]
mod lists;

#[macro_use]
#[path = "worlds/running.rs"]
mod running;

#[path = "worlds/world.rs"]
mod world;

#[path = "worlds/executors.rs"]
mod executors;

pub(crate) use executors::*;
pub(crate) use running::*;
pub(crate) use world::*;
