//! A retry with backoff, a timeout of each attempt and a deadline.
#![no_std]
#![no_main]

use core::hint::black_box;
use core::time::Duration;

use embassy_executor::Spawner;
use tenure_embassy::{Embassy, Retry, retry};
use tenure_embedded_benches::{answer, start};

const POLICY: Retry = Retry::DEFAULT
    .attempt_timeout(Duration::from_secs(1))
    .deadline(Duration::from_secs(10));

#[embassy_executor::main]
async fn main(_spawner: Spawner) {
    start();
    loop {
        let _ = black_box(retry(&Embassy, POLICY, answer).await.is_ok());
    }
}
