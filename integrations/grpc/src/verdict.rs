//! What a status means for the connection and for a retry.

use std::error::Error;
use std::io;
use std::time::Duration;

use tenure_core::ErrorClass;
use tonic::{Code, ConnectError, Status, TimeoutExpired};

use crate::error::Lost;

const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// Where a status comes from. tonic makes one of every error, the server's and its own, and only the sources that the
/// own ones have tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// No server has seen the request, since there is no connection.
    NoConnection,
    /// The server refused the stream before it did anything with it.
    Refused {
        /// Whether it takes no more streams on this connection.
        goes_away: bool,
    },
    /// The connection broke with the request under way: nobody knows what the server did.
    Broken,
    /// The time was over on our side.
    TimedOut,
    /// The server answered, or ended this one stream.
    Server,
}

impl Origin {
    pub(crate) fn of(status: &Status) -> Self {
        let mut origin = Self::Server;
        let mut next = status.source();
        while let Some(error) = next {
            if error.is::<Lost>() || error.is::<ConnectError>() {
                return Self::NoConnection;
            }
            if error.is::<TimeoutExpired>() {
                return Self::TimedOut;
            }
            if let Some(error) = error.downcast_ref::<h2::Error>() {
                return Self::of_http2(error);
            }
            if let Some(error) = error.downcast_ref::<hyper::Error>() {
                // With HTTP/2, hyper cancels what it still holds whole and in hand.
                if error.is_canceled() {
                    return Self::NoConnection;
                }
                origin = Self::Broken;
            }
            if error.is::<tonic::transport::Error>() {
                origin = Self::Broken;
            }
            next = below(error);
        }
        origin
    }

    fn of_http2(error: &h2::Error) -> Self {
        if error.is_reset() {
            return match error.reason() {
                Some(h2::Reason::REFUSED_STREAM) => Self::Refused { goes_away: false },
                _ => Self::Server,
            };
        }
        // The streams that a GOAWAY ends are those above the last that the server handles (RFC 9113, 6.8).
        if error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR) {
            return Self::Refused { goes_away: true };
        }
        Self::Broken
    }

    /// Whether no code of the server has run for the request.
    pub(crate) const fn is_unsent(self) -> bool {
        matches!(self, Self::NoConnection | Self::Refused { .. })
    }
}

/// The source of an error. An [`io::Error`] passes over what it wraps, which this does not.
pub(crate) fn below<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().map(io::Error::get_ref) {
        Some(Some(wrapped)) => Some(wrapped),
        _ => error.source(),
    }
}

/// What the server said of retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pushback {
    After(Duration),
    Never,
}

fn pushback(status: &Status) -> Option<Pushback> {
    let value = status.metadata().get(PUSHBACK)?;
    // What is no number counts as a negative one (gRFC A6).
    let number = value
        .to_str()
        .ok()
        .and_then(|text| text.parse::<i64>().ok());
    Some(match number.and_then(|millis| u64::try_from(millis).ok()) {
        Some(millis) => Pushback::After(Duration::from_millis(millis)),
        None => Pushback::Never,
    })
}

/// What a call deserves that failed so. `is_idempotent`: it may be made twice.
pub(crate) fn class(status: &Status, is_idempotent: bool) -> ErrorClass {
    // What may have run already.
    let (reconnect, retry) = if is_idempotent {
        (ErrorClass::Reconnect, ErrorClass::Retry)
    } else {
        (ErrorClass::ReconnectOnly, ErrorClass::GiveUp)
    };
    match Origin::of(status) {
        Origin::NoConnection | Origin::Refused { goes_away: true } => ErrorClass::Reconnect,
        Origin::Refused { goes_away: false } => ErrorClass::Retry,
        Origin::Broken => reconnect,
        // If there is no time left for it, there is no retry either.
        Origin::TimedOut => retry,
        Origin::Server => match (status.code(), pushback(status)) {
            (Code::Unavailable | Code::ResourceExhausted, Some(Pushback::Never)) => {
                ErrorClass::GiveUp
            }
            // It asks for the call to be made again: it knows whether it has run.
            (Code::Unavailable | Code::ResourceExhausted, Some(Pushback::After(time))) => {
                ErrorClass::RetryAfter(time)
            }
            (Code::Unavailable, None) => reconnect,
            (Code::ResourceExhausted, None) => retry,
            _ => ErrorClass::GiveUp,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pushed(code: Code, millis: &'static str) -> Status {
        let mut status = Status::new(code, "no");
        status
            .metadata_mut()
            .insert(PUSHBACK, millis.parse().expect("a value"));
        status
    }

    #[test]
    fn s15_what_may_have_run_is_retried_only_if_that_does_no_harm() {
        let status = Status::unavailable("overloaded");
        assert_eq!(class(&status, false), ErrorClass::ReconnectOnly);
        assert!(!Origin::of(&status).is_unsent());
        assert_eq!(class(&status, true), ErrorClass::Reconnect);
        let unsent = Lost.into_status();
        assert_eq!(class(&unsent, false), ErrorClass::Reconnect);
        assert!(Origin::of(&unsent).is_unsent());
    }

    #[test]
    fn s15_pushback_is_honoured() {
        let class_of = |status: &Status| class(status, false);
        let after = ErrorClass::RetryAfter(Duration::from_millis(250));
        assert_eq!(class_of(&pushed(Code::ResourceExhausted, "250")), after);
        assert_eq!(class_of(&pushed(Code::Unavailable, "250")), after);
        for never in ["-1", "later"] {
            let status = pushed(Code::Unavailable, never);
            let verdict = class(&status, true);
            assert_eq!(
                verdict,
                ErrorClass::GiveUp,
                "the server is there, and said so"
            );
        }
    }

    #[test]
    fn s15_others_surface_as_they_are() {
        for code in [
            Code::NotFound,
            Code::Aborted,
            Code::Internal,
            Code::DeadlineExceeded,
        ] {
            let verdict = class(&Status::new(code, "no"), true);
            assert_eq!(verdict, ErrorClass::GiveUp, "{code:?}");
        }
    }
}
