//! One value that is opened, called and opened again, and its Runner.
#![no_std]
#![no_main]

use core::hint::black_box;

use embassy_executor::Spawner;
use tenure_embassy::{Embassy, Managed, ManagedRunner};
use tenure_embedded_benches::{Device, answer, start};

#[path = "../heap.rs"]
mod heap;

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    start();
    heap::start();
    let Ok((device, runner)) = Managed::builder(Device).build_with_runner(Embassy) else {
        return;
    };
    if let Ok(task) = background(runner) {
        spawner.spawn(task);
    }
    loop {
        let called = device.call("read", |_| answer()).await;
        let _ = black_box(called.is_ok());
    }
}

#[embassy_executor::task]
async fn background(runner: ManagedRunner<Device>) {
    runner.run().await;
}
