//! What the simulator shows of the library: worlds drawn from a seed, operations dropped wherever they
//! can be, models. `README.md` of the folder above says which bug each part was seen to catch.
#![cfg(test)]
#![forbid(unsafe_code)]

mod connection;
mod drawn;
mod ended_runtimes;
mod extremes;
mod farewells;
mod faults;
mod fixed;
mod group;
mod hooks;
mod managed;
mod metastability;
mod models;
mod museum;
mod panics;
mod patience;
mod pool;
mod recovery;
mod regressions;
mod retry;
mod retry_after;
mod scope;
mod scripted;
mod secrets;
mod shared;
mod spin;
mod staged;
mod tell;
mod trouble;
mod unlocked;
mod verdicts;
mod week;
