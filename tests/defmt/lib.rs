//! What is written to `defmt`: errors, states and events, in their own words.
#![cfg(test)]
#![expect(unsafe_code, reason = "a logger is an unsafe trait")]

use std::sync::Mutex;

use futures::executor::block_on;
use tenure_core::{Cause, Event, Managed, Name, NoTimer, Resource, Retry, Sink, State, Why, retry};
use tenure_futures::FuturesTimer;

/// What was logged since it was last looked at. A word of the program's own is sent as its number; what is displayed is
/// sent as it is.
static LOGGED: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// One test after the other.
static ALONE: Mutex<()> = Mutex::new(());

defmt::timestamp!("{=u8}", 0);

#[defmt::global_logger]
struct Logger;

// SAFETY: each frame is written by one thread, under the lock of `ALONE`.
unsafe impl defmt::Logger for Logger {
    fn acquire() {}

    unsafe fn flush() {}

    unsafe fn release() {}

    unsafe fn write(bytes: &[u8]) {
        LOGGED.lock().expect("nobody panics with it").extend(bytes);
    }
}

/// What `log` writes, as far as it is text.
fn logged(log: impl FnOnce()) -> String {
    let _alone = ALONE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    LOGGED.lock().expect("nobody panics with it").clear();
    log();
    String::from_utf8_lossy(&LOGGED.lock().expect("nobody panics with it")).into_owned()
}

struct Db;

impl Resource for Db {
    type Value = ();
    type Error = std::io::Error;

    async fn open(&self) -> Result<(), Self::Error> {
        Err(std::io::Error::other("postgres://ada:lovelace@db is down"))
    }
}

#[test]
fn an_error_is_logged_as_it_is_displayed() {
    let (db, _runner) = Managed::builder(Db)
        .name("db")
        .build_with_runner(NoTimer)
        .expect("valid");
    let error = block_on(db.get()).expect_err("it is down");
    let text = logged(|| defmt::println!("{}", error));
    assert!(text.contains(&error.to_string()), "{text:?} is not {error}");
}

#[test]
fn no_secret_is_logged() {
    let cause = Cause::new("postgres://ada:lovelace@db is down");
    for text in [
        logged(|| defmt::println!("{}", cause)),
        logged(|| defmt::println!("{}", Name::new("postgres://ada:lovelace@db"))),
    ] {
        assert!(text.contains("@db"), "{text:?}");
        assert!(!text.contains("lovelace"), "{text:?}");
    }
}

#[test]
fn an_event_is_logged_by_a_sink() {
    let text = logged(|| {
        let sink = Sink::new(|event: &Event<'_>| defmt::println!("{}", event));
        let builder = Managed::builder(Db).name("db").events(sink);
        let (db, _runner) = builder.build_with_runner(NoTimer).expect("valid");
        block_on(db.get()).expect_err("it is down");
    });
    assert!(text.contains("db: "), "{text:?}");
    assert!(
        text.contains("is down") && !text.contains("lovelace"),
        "{text:?}"
    );
}

#[test]
fn a_retry_that_gave_up_and_why_a_value_ended_are_logged() {
    let refuse = async || Err::<(), _>("refused");
    let error = block_on(retry(&FuturesTimer, Retry::NEVER, refuse));
    let error = error.expect_err("it is refused");
    assert!(logged(|| defmt::println!("{}", error)).contains("refused"));
    assert!(logged(|| defmt::println!("{}", Why::IdleTooLong)).contains("idle too long"));
}

#[test]
fn a_state_is_logged_as_a_number() {
    let text = logged(|| defmt::println!("{}", State::Ready));
    assert!(!text.is_empty() && !text.contains("Ready"), "{text:?}");
}
