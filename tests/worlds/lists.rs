//! Which worlds there are for what: the lists at the head of the test files, and the one by which a suite builds.

/// Runs each listed test of the calling module in all nine worlds. Once per module.
macro_rules! on_every_backend {
    ($($test:ident),+ $(,)?) => {
        on_backend! { on_tokio_multi_thread = TokioMultiThread: $($test),+ }
        on_backend! { on_tokio_paused = TokioPaused: $($test),+ }
        on_backend! { on_tokio_local_set = TokioLocalSet: $($test),+ }
        on_backend! { on_async_std = AsyncStdGlobal: $($test),+ }
        on_backend! { on_smol = SmolGlobal: $($test),+ }
        on_backend! { on_futures_local_pool = FuturesLocalPool: $($test),+ }
        on_backend! { on_futures_thread_pool = FuturesThreadPool: $($test),+ }
        on_backend! { on_simulated = Simulated: $($test),+ }
        on_backend! { on_plain_block_on = PlainBlockOn: $($test),+ }
    };
}

/// The same, and on the executors of crates that have no backend of their own: for the central file of each holder.
macro_rules! on_every_executor {
    ($($test:ident),+ $(,)?) => {
        on_every_backend! { $($test),+ }
        on_backend! { on_async_executor = AsyncExecutor: $($test),+ }
        on_backend! { on_pollster = Pollster: $($test),+ }
    };
}

/// The same, and on what has a clock or a timer of its own and is no world for more than that.
macro_rules! on_every_timer {
    ($($test:ident),+ $(,)?) => {
        on_every_executor! { $($test),+ }
        on_backend! { on_tokio_unpaused = TokioUnpaused: $($test),+ }
        on_backend! { on_smol_locally = SmolLocally: $($test),+ }
    };
}

/// Runs each listed test where waiting costs nothing, with the numbers that users meet.
macro_rules! where_time_is_virtual {
    ($($test:ident),+ $(,)?) => {
        on_backend! { on_tokio_paused = TokioPaused: $($test),+ }
        on_backend! { on_tokio_local_set = TokioLocalSet: $($test),+ }
        on_backend! { on_simulated = Simulated: $($test),+ }
    };
}

/// Runs each listed test where values, and all that holds them, are `Send`.
macro_rules! where_values_are_send {
    ($($test:ident),+ $(,)?) => {
        where_threads_may_wait! { $($test),+ }
        on_backend! { on_tokio_paused = TokioPaused: $($test),+ }
        on_backend! { on_simulated = Simulated: $($test),+ }
    };
}

/// Runs each listed test where values are `Send` and time is real, so that threads of the test may use them.
macro_rules! where_threads_may_wait {
    ($($test:ident),+ $(,)?) => {
        on_backend! { on_tokio_multi_thread = TokioMultiThread: $($test),+ }
        on_backend! { on_async_std = AsyncStdGlobal: $($test),+ }
        on_backend! { on_smol = SmolGlobal: $($test),+ }
        on_backend! { on_futures_thread_pool = FuturesThreadPool: $($test),+ }
        on_backend! { on_plain_block_on = PlainBlockOn: $($test),+ }
    };
}

/// Runs each listed test in some worlds that spawn on any thread: what spawns anew for each key.
macro_rules! where_tasks_are_spawned {
    ($($test:ident),+ $(,)?) => {
        on_backend! { on_tokio_multi_thread = TokioMultiThread: $($test),+ }
        on_backend! { on_futures_thread_pool = FuturesThreadPool: $($test),+ }
        on_backend! { on_simulated = Simulated: $($test),+ }
    };
}

/// Runs each listed test wherever the backend spawns on any thread.
macro_rules! on_every_spawner {
    ($($test:ident),+ $(,)?) => {
        on_backend! { on_tokio_multi_thread = TokioMultiThread: $($test),+ }
        on_backend! { on_tokio_paused = TokioPaused: $($test),+ }
        on_backend! { on_tokio_unpaused = TokioUnpaused: $($test),+ }
        on_backend! { on_tokio_local_set = TokioLocalSet: $($test),+ }
        on_backend! { on_simulated = Simulated: $($test),+ }
        on_backend! { on_async_std = AsyncStdGlobal: $($test),+ }
        on_backend! { on_smol = SmolGlobal: $($test),+ }
        on_backend! { on_futures_thread_pool = FuturesThreadPool: $($test),+ }
        on_backend! { on_async_executor = AsyncExecutor: $($test),+ }
    };
}

/// Runs each listed test wherever the backend spawns on the current thread.
macro_rules! on_every_local_spawner {
    ($($test:ident),+ $(,)?) => {
        on_backend! { on_tokio_local_set = TokioLocalSet: $($test),+ }
        on_backend! { on_simulated = Simulated: $($test),+ }
        on_backend! { on_async_std = AsyncStdGlobal: $($test),+ }
        on_backend! { on_smol_locally = SmolLocally: $($test),+ }
        on_backend! { on_futures_local_pool = FuturesLocalPool: $($test),+ }
    };
}

/// Runs each listed test where the backend can tell the task that asks from others.
macro_rules! where_tasks_can_be_told_apart {
    ($($test:ident),+ $(,)?) => {
        on_backend! { on_tokio_local_set = TokioLocalSet: $($test),+ }
        on_backend! { on_simulated = Simulated: $($test),+ }
    };
}

/// Runs each listed test where it cannot.
macro_rules! where_tasks_look_the_same {
    ($($test:ident),+ $(,)?) => {
        on_backend! { on_tokio_block_on = TokioPaused: $($test),+ }
        on_backend! { on_async_std = AsyncStdGlobal: $($test),+ }
        on_backend! { on_smol = SmolGlobal: $($test),+ }
        on_backend! { on_futures_local_pool = FuturesLocalPool: $($test),+ }
        on_backend! { on_futures_thread_pool = FuturesThreadPool: $($test),+ }
        on_backend! { on_plain_block_on = PlainBlockOn: $($test),+ }
    };
}

/// Runs each listed test in the simulator.
macro_rules! in_the_simulator {
    ($($test:ident),+ $(,)?) => {
        on_backend! { on_simulated = Simulated: $($test),+ }
    };
}

/// Hands all worlds to `$define!`, by the way in which each builds what has a Runner: spawned anywhere, spawned on the
/// thread of the test, or by the program, if at all. What `$define!` was to be told stands before them.
macro_rules! for_every_world {
    ($define:ident! { $($told:tt)* }) => {
        $define! { { $($told)* }
            spawned: TokioMultiThread TokioPaused Simulated AsyncStdGlobal SmolGlobal FuturesThreadPool AsyncExecutor;
            spawned_locally: TokioLocalSet FuturesLocalPool;
            by_hand: PlainBlockOn Pollster;
        }
    };
}
