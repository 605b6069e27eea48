//! What an application writes around an acquire: a function of its own, with an error of its own.
//!
//! Whatever is timed or counts allocations goes through these, for every contender alike.

use crate::contenders::{Contender, Taken};

pub(crate) type Guard<P> = <<P as Contender>::Taken as Taken>::Guard;
pub(crate) type OwnedGuard<P> = <<P as Contender>::TakenOwned as Taken>::Guard;

pub(crate) async fn acquire<P: Contender>(pool: &'static P) -> Result<Guard<P>, String> {
    pool.acquire().await.or_message()
}

pub(crate) async fn acquire_owned<P: Contender>(pool: &'static P) -> Result<OwnedGuard<P>, String> {
    pool.acquire_owned().await.or_message()
}
