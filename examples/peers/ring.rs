//! Who is next to whom, by their numbers from 1.

pub(crate) const PEERS: u32 = 4;

pub(crate) fn id_of(number: u32) -> String {
    format!("peer-{number}")
}

pub(crate) const fn after(number: u32) -> u32 {
    number % PEERS + 1
}

pub(crate) const fn before(number: u32) -> u32 {
    (number + PEERS - 2) % PEERS + 1
}
