//! The lists that run in other worlds only. What they name is counted here, and the reason said.

macro_rules! left_out_because {
    ($why:literal: $($test:ident),+ $(,)?) => {
        #[allow(non_upper_case_globals, reason = "they are called as the tests are")]
        mod left_out {
            use tenure_qemu::Elsewhere;

            $(
                #[test]
                static $test: Elsewhere = Elsewhere {
                    path: concat!(module_path!(), "::", stringify!($test)),
                    why: $why,
                };
            )+
        }
    };
}

macro_rules! on_every_spawner {
    ($($tests:tt)+) => { left_out_because! { "Embassy's tasks are static, and no backend spawns them": $($tests)+ } };
}

macro_rules! on_every_local_spawner {
    ($($tests:tt)+) => {};
}

macro_rules! where_tasks_are_spawned {
    ($($tests:tt)+) => { left_out_because! { "Embassy's tasks are static, and no backend spawns them": $($tests)+ } };
}

macro_rules! where_tasks_can_be_told_apart {
    ($($tests:tt)+) => { left_out_because! { "Embassy does not say which task is polled": $($tests)+ } };
}

macro_rules! where_threads_may_wait {
    ($($tests:tt)+) => { left_out_because! { "the machine has one thread": $($tests)+ } };
}

macro_rules! in_the_simulator {
    ($($tests:tt)+) => { left_out_because! { "only the simulator does that": $($tests)+ } };
}
