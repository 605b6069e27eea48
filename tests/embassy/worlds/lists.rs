//! The lists of `tests/worlds/lists.rs`, as far as Embassy is among those that they name.

macro_rules! on_every_backend {
    ($($test:ident),+ $(,)?) => {
        on_backend! { on_embassy = EmbassyThread: $($test),+ }
    };
}

macro_rules! on_every_executor {
    ($($tests:tt)+) => { on_every_backend! { $($tests)+ } };
}

macro_rules! on_every_timer {
    ($($tests:tt)+) => { on_every_backend! { $($tests)+ } };
}

macro_rules! where_time_is_virtual {
    ($($tests:tt)+) => { on_every_backend! { $($tests)+ } };
}

macro_rules! where_values_are_send {
    ($($tests:tt)+) => { on_every_backend! { $($tests)+ } };
}

macro_rules! where_tasks_look_the_same {
    ($($tests:tt)+) => { on_every_backend! { $($tests)+ } };
}

/// Its tasks are static: a program spawns them, and not the backend.
macro_rules! on_every_spawner {
    ($($tests:tt)+) => {};
}

macro_rules! on_every_local_spawner {
    ($($tests:tt)+) => {};
}

macro_rules! where_tasks_are_spawned {
    ($($tests:tt)+) => {};
}

macro_rules! where_tasks_can_be_told_apart {
    ($($tests:tt)+) => {};
}

/// Its time does not pass while a thread of the test works.
macro_rules! where_threads_may_wait {
    ($($tests:tt)+) => {};
}

macro_rules! in_the_simulator {
    ($($tests:tt)+) => {};
}

macro_rules! for_every_world {
    ($define:ident! { $($told:tt)* }) => {
        $define! { { $($told)* }
            spawned: ;
            spawned_locally: ;
            by_hand: EmbassyThread;
        }
    };
}
