//! A pool of four, and its Runner.
#![no_std]
#![no_main]

use core::hint::black_box;

use embassy_executor::Spawner;
use tenure_embassy::{Embassy, Pool, PoolRunner};
use tenure_embedded_benches::{Device, answer, start};

#[path = "../heap.rs"]
mod heap;

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    start();
    heap::start();
    let Ok((devices, runner)) = Pool::builder(Device).max_size(4).build_with_runner(Embassy) else {
        return;
    };
    if let Ok(task) = background(runner) {
        spawner.spawn(task);
    }
    loop {
        if let Ok(lease) = devices.acquire().await {
            let _ = black_box((answer().await.is_ok(), *lease));
        }
    }
}

#[embassy_executor::task]
async fn background(runner: PoolRunner<Device>) {
    runner.run().await;
}
