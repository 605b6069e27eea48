//! The same with a heap, which whatever holds values needs.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::boxed::Box;
use core::hint::black_box;

use embassy_executor::Spawner;
use tenure_embedded_benches::{answer, start};

#[path = "../heap.rs"]
mod heap;

#[embassy_executor::main]
async fn main(_spawner: Spawner) {
    start();
    heap::start();
    loop {
        let _ = black_box(Box::new(answer().await));
    }
}
