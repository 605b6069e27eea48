//! Nothing but a task that sleeps: what firmware on Embassy weighs without Tenure.
#![no_std]
#![no_main]

use core::hint::black_box;

use embassy_executor::Spawner;
use tenure_embedded_benches::{answer, start};

#[embassy_executor::main]
async fn main(_spawner: Spawner) {
    start();
    loop {
        let _ = black_box(answer().await);
    }
}
