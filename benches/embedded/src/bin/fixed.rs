//! A pool of four, and its Runner. No heap.
#![no_std]
#![no_main]

use core::future::Future;
use core::hint::black_box;
use core::pin::pin;

use embassy_executor::Spawner;
use tenure_embassy::Embassy;
use tenure_embassy::fixed::FixedPool;
use tenure_embedded_benches::{Device, answer, start};

#[embassy_executor::main]
async fn main(_spawner: Spawner) {
    start();
    let devices = FixedPool::<_, _, 4, 4>::new(Device, Embassy);
    let mut runner = pin!(devices.run());
    let mut user = pin!(async {
        loop {
            if let Ok(lease) = devices.acquire().await {
                let _ = black_box((answer().await.is_ok(), *lease));
            }
        }
    });
    core::future::poll_fn::<(), _>(|cx| {
        let _ = runner.as_mut().poll(cx);
        user.as_mut().poll(cx)
    })
    .await;
}
