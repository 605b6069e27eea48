//! A keyed pool whose background work ended with its runtime.

use tenure_core::Pool;
use tenure_sim::{Backend, FaultyResource, run};

use super::{Numbers, SECOND, end_runtime};

#[test]
fn another_key_gets_the_place_that_a_key_held_in_an_ended_runtime() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let resource = FaultyResource::new(&backend);
        let pools = Pool::keyed(move |_: &u8| Pool::builder(resource.clone()))
            .max_size(1)
            .build(sim.clone())
            .expect("a valid configuration");
        for key in 1..4 {
            let lease = pools.acquire(&key).await.expect("a value");
            assert_eq!(lease.id(), u64::from(key));
            drop(lease);
            end_runtime(&sim).await;
        }
        pools.close().await;
        backend.assert_accounted();
    });
}

#[test]
fn a_value_that_outlives_its_runtime_makes_room_for_another_key() {
    run(0, |sim| async move {
        let numbers = Numbers::default();
        let pools = Pool::keyed(move |_: &u8| Pool::builder(numbers.clone()))
            .max_size(1)
            .build(sim.clone())
            .expect("a valid configuration");
        drop(pools.acquire(&1).await.expect("a value"));
        end_runtime(&sim).await;
        assert_eq!(*pools.acquire(&1).await.expect("the value"), 1);
        assert_eq!(*pools.acquire(&2).await.expect("another"), 2);
    });
}

#[test]
fn unused_keys_are_forgotten_again() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let resource = FaultyResource::new(&backend);
        let pools = Pool::keyed(move |_: &u8| Pool::builder(resource.clone()).idle_timeout(SECOND))
            .forget_after(SECOND * 5)
            .build(sim.clone())
            .expect("a valid configuration");
        drop(pools.acquire(&1).await.expect("a value"));
        end_runtime(&sim).await;
        drop(pools.acquire(&2).await.expect("a value"));
        sim.sleep(SECOND * 30).await;
        assert!(pools.status().is_empty());
    });
}
