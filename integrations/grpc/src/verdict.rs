//! What a status means for the connection and for a retry.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tenure_core::ErrorClass;
use tonic::{Code, ConnectError, Status, TimeoutExpired};

use crate::error::{Lost, RuntimeEnded, chain, root};

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
    /// Where a status comes from. One without a source was made by the server, or by a client that refused to encode or
    /// to decode a message.
    pub(crate) fn of(status: &Status) -> Self {
        status.source().map_or(Self::Server, Self::of_error)
    }

    /// Where an error of the transport comes from.
    pub(crate) fn of_error(error: &(dyn Error + 'static)) -> Self {
        let mut origin = Self::Server;
        for error in chain(error) {
            if error.is::<Lost>() || error.is::<ConnectError>() {
                return Self::NoConnection;
            }
            if error.is::<RuntimeEnded>() {
                return Self::Broken;
            }
            if error.is::<TimeoutExpired>() {
                return Self::TimedOut;
            }
            if let Some(error) = error.downcast_ref::<h2::Error>() {
                return Self::of_http2(error);
            }
            if let Some(error) = error.downcast_ref::<hyper::Error>() {
                // With HTTP/2, hyper cancels what it still holds whole and in hand.
                if error.is_canceled() || is_dispatch_gone(error) {
                    return Self::NoConnection;
                }
                origin = Self::Broken;
            }
            if error.is::<tonic::transport::Error>() {
                origin = Self::Broken;
            }
        }
        origin
    }

    fn of_http2(error: &h2::Error) -> Self {
        if error.is_reset() {
            return match error.reason() {
                Some(h2::Reason::REFUSED_STREAM) if error.is_remote() => {
                    Self::Refused { goes_away: false }
                }
                _ => Self::Server,
            };
        }
        // The streams that a GOAWAY ends are those above the last that the server handles, whatever its reason
        // (RFC 9113, 6.8). Those below go on until the connection breaks.
        if error.is_go_away() && error.is_remote() {
            return Self::Refused { goes_away: true };
        }
        Self::Broken
    }

    /// Returns `true` if the connection failed, and not this one call on it.
    const fn is_of_connection(self) -> bool {
        matches!(
            self,
            Self::NoConnection | Self::Refused { .. } | Self::Broken
        )
    }

    /// Whether no code of the server has run for the request.
    pub(crate) const fn is_unsent(self) -> bool {
        matches!(self, Self::NoConnection | Self::Refused { .. })
    }
}

/// Returns `true` if hyper dropped a request that waited for a stream when its connection ended. Such a request has not
/// been sent: one that has is answered with the connection's own error. hyper has no method that tells them apart.
pub(crate) fn is_dispatch_gone(error: &hyper::Error) -> bool {
    error.is_user() && error.to_string().contains("dispatch task is gone")
}

/// Returns `true` if the server goes away because it gets more pings than it allows (gRFC A8).
pub(crate) fn is_of_pings(error: &(dyn Error + 'static)) -> bool {
    chain(error).any(|error| {
        error.downcast_ref::<h2::Error>().is_some_and(|error| {
            error.is_remote()
                && error.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM)
                && error.to_string().contains("too_many_pings")
        })
    })
}

/// The status for an error of the transport. tonic's own is UNKNOWN or CANCELLED for a connection that broke.
pub(crate) fn status_of_error(error: tonic::transport::Error) -> Status {
    match Origin::of_error(&error) {
        Origin::TimedOut => with_source(Status::deadline_exceeded("no time is left"), error),
        origin if origin.is_of_connection() => {
            let told = format!("the connection failed: {}", root(&error));
            with_source(Status::unavailable(told), error)
        }
        _ => Status::from_error(Box::new(error)),
    }
}

/// The same for the status that tonic made of an error in the middle of a response.
pub(crate) fn status_of_body(status: Status) -> Status {
    if status.code() == Code::Unavailable || !Origin::of(&status).is_of_connection() {
        return status;
    }
    let told = format!("the connection failed: {}", root(&status));
    with_source(Status::unavailable(told), status)
}

fn with_source(mut status: Status, source: impl Error + Send + Sync + 'static) -> Status {
    status.set_source(Arc::new(source));
    status
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

/// Returns `true` if the server says of itself that it has no answer now, and leaves open whether its connection is well.
pub(crate) fn is_suspicious(status: &Status) -> bool {
    status.code() == Code::Unavailable
        && Origin::of(status) == Origin::Server
        && pushback(status).is_none()
}

/// Returns `true` if a message was larger than a limit of the server's or the client's. It would be so again.
///
/// RESOURCE_EXHAUSTED means that as well as an overload, so that only the text tells them apart: of gRPC's C core (Python,
/// Ruby, PHP, C++) and Node, of Go, of Java, of .NET, and of tonic.
fn is_of_size(status: &Status) -> bool {
    const TEXTS: [&str; 7] = [
        "larger than max",
        "a size larger than",
        "exceeds maximum size",
        "exceeds the maximum configured message size",
        "message length too large",
        "exceeded while decompressing message",
        "more than 4GB of data",
    ];
    status.code() == Code::ResourceExhausted
        && TEXTS.iter().any(|text| status.message().contains(text))
}

/// What a call deserves that failed so. `is_idempotent`: it may be made twice. `reconnects`: the user takes the status for
/// one of the connection.
pub(crate) fn class(status: &Status, is_idempotent: bool, reconnects: bool) -> ErrorClass {
    // What may have run already.
    let (reconnect, retry) = if is_idempotent {
        (ErrorClass::Reconnect, ErrorClass::Retry)
    } else {
        (ErrorClass::ReconnectOnly, ErrorClass::GiveUp)
    };
    match Origin::of(status) {
        Origin::NoConnection => ErrorClass::NotRun { reconnect: true },
        Origin::Refused { goes_away } => ErrorClass::NotRun {
            reconnect: goes_away,
        },
        Origin::Broken => reconnect,
        // If there is no time left for it, there is no retry either.
        Origin::TimedOut => retry,
        Origin::Server if reconnects => reconnect,
        Origin::Server if is_of_size(status) => ErrorClass::GiveUp,
        Origin::Server => match (status.code(), pushback(status)) {
            (Code::Unavailable | Code::ResourceExhausted, Some(Pushback::Never)) => {
                ErrorClass::GiveUp
            }
            // It asks for the call to be made again: it knows whether it has run.
            (Code::Unavailable | Code::ResourceExhausted, Some(Pushback::After(time))) => {
                ErrorClass::RetryIn(time)
            }
            // The connection is well: it has carried the answer.
            (Code::Unavailable | Code::ResourceExhausted, None) => retry,
            // It was not this side that cancelled: a server of the C core says so to what reaches it as it stops.
            (Code::Cancelled, _) => retry,
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
    fn what_may_have_run_is_retried_only_if_that_does_no_harm() {
        let status = Status::unavailable("overloaded");
        assert_eq!(class(&status, false, false), ErrorClass::GiveUp);
        assert!(!Origin::of(&status).is_unsent());
        assert_eq!(class(&status, true, false), ErrorClass::Retry);
        let stopping = Status::cancelled("CANCELLED");
        assert_eq!(class(&stopping, false, false), ErrorClass::GiveUp);
        assert_eq!(class(&stopping, true, false), ErrorClass::Retry);
        let unsent = Lost.into_status();
        let not_run = ErrorClass::NotRun { reconnect: true };
        assert_eq!(class(&unsent, false, false), not_run);
        assert!(Origin::of(&unsent).is_unsent());
    }

    #[test]
    fn a_status_of_the_servers_own_reconnects_only_if_the_user_says_so() {
        let status = Status::unavailable("upstream connect error");
        assert!(is_suspicious(&status));
        assert_eq!(class(&status, true, true), ErrorClass::Reconnect);
        assert_eq!(class(&status, false, true), ErrorClass::ReconnectOnly);
        assert!(!is_suspicious(&Lost.into_status()));
        assert!(!is_suspicious(&pushed(Code::Unavailable, "250")));
        assert!(!is_suspicious(&Status::resource_exhausted("overloaded")));
    }

    #[test]
    fn a_message_beyond_a_size_limit_is_not_sent_again() {
        for text in [
            "Received message larger than max (5242885 vs. 4194304)",
            "SERVER: Received message larger than max (5242885 vs. 4194304)",
            "Attempted to send message with a size larger than 4194304",
            "grpc: received message larger than max (5242885 vs. 4194304)",
            "gRPC message exceeds maximum size 4194304: 5242885",
            "Received message exceeds the maximum configured message size.",
        ] {
            let status = Status::resource_exhausted(text);
            assert_eq!(class(&status, true, false), ErrorClass::GiveUp, "{text}");
        }
        let busy = Status::resource_exhausted("too many requests");
        assert_eq!(class(&busy, true, false), ErrorClass::Retry);
    }

    #[test]
    fn a_pushback_is_the_delay_and_a_negative_one_ends_the_call() {
        let class_of = |status: &Status| class(status, false, false);
        let after = ErrorClass::RetryIn(Duration::from_millis(250));
        assert_eq!(class_of(&pushed(Code::ResourceExhausted, "250")), after);
        assert_eq!(class_of(&pushed(Code::Unavailable, "250")), after);
        for never in ["-1", "later"] {
            let status = pushed(Code::Unavailable, never);
            let verdict = class(&status, true, false);
            assert_eq!(
                verdict,
                ErrorClass::GiveUp,
                "the server is there, and said so"
            );
        }
    }

    #[test]
    fn other_statuses_surface_as_they_are() {
        for code in [
            Code::NotFound,
            Code::Aborted,
            Code::Internal,
            Code::DeadlineExceeded,
        ] {
            let verdict = class(&Status::new(code, "no"), true, false);
            assert_eq!(verdict, ErrorClass::GiveUp, "{code:?}");
        }
    }
}
