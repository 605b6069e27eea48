//! The deadline of a call, as gRPC sends it.

use std::sync::Mutex;
use std::time::Duration;

use tonic::codegen::http::HeaderMap;
use tonic::codegen::http::header::{HeaderName, HeaderValue};

pub(crate) const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Tells servers how much time is left.
///
/// That is rounded up, by a fiftieth at most. So calls with the same timeout mostly send the same text, which is
/// written once and for which HPACK then sends a byte (gRPC's C core rounds for the same reason), and it is this side
/// that cuts a call off.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    last: Mutex<Option<(Rounded, HeaderValue)>>,
}

impl Deadlines {
    /// Says how much time is left, unless the request says that there is less.
    pub(crate) fn send(&self, headers: &mut HeaderMap, left: Duration) {
        let said = headers.get(GRPC_TIMEOUT).and_then(parse);
        if said.is_none_or(|said| left < said) {
            headers.insert(GRPC_TIMEOUT, self.text(left));
        }
    }

    fn text(&self, left: Duration) -> HeaderValue {
        let rounded = Rounded::up(left);
        // Nobody waits for the sake of an allocation.
        let Ok(mut last) = self.last.try_lock() else {
            return rounded.text();
        };
        match &*last {
            Some((said, text)) if *said == rounded => text.clone(),
            _ => {
                let text = rounded.text();
                *last = Some((rounded, text.clone()));
                text
            }
        }
    }
}

/// So many of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rounded {
    count: u64,
    letter: u8,
}

/// What gRPC allows for: 8 digits.
const MOST: u64 = 99_999_999;

/// Each unit in nanoseconds, with its letter and how many of it are said before the next is taken.
const UNITS: [(u64, u8, u64); 5] = [
    (1, b'n', 49_999),
    (1_000, b'u', 49_999),
    (1_000_000, b'm', MOST),
    (1_000_000_000, b'S', MOST),
    (60_000_000_000, b'M', u64::MAX),
];

impl Rounded {
    fn up(left: Duration) -> Self {
        // More than five centuries are not told apart.
        let nanos = u64::try_from(left.as_nanos()).unwrap_or(u64::MAX);
        let mut rounded = UNITS.iter().map(|(unit, letter, most)| {
            let count = nanos.div_ceil(*unit);
            let letter = *letter;
            (Self { count, letter }, *most)
        });
        match rounded.find(|(rounded, most)| rounded.count <= *most) {
            Some((rounded, _)) => rounded,
            None => unreachable!("the last unit has no limit"),
        }
    }

    fn text(self) -> HeaderValue {
        let text = format!("{}{}", self.count.min(MOST), char::from(self.letter));
        HeaderValue::try_from(text).unwrap_or_else(|_| unreachable!("digits and a letter"))
    }
}

fn parse(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "n" => Duration::from_nanos(number),
        "u" => Duration::from_micros(number),
        "m" => Duration::from_millis(number),
        "S" => Duration::from_secs(number),
        "M" => Duration::from_secs(number.checked_mul(60)?),
        "H" => Duration::from_secs(number.checked_mul(3600)?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s15_what_is_sent_is_what_is_left_in_at_most_eight_digits() {
        let deadlines = Deadlines::default();
        let text = |left| deadlines.text(left).to_str().map(String::from);
        let sent = |left| text(left).expect("text");
        assert_eq!(sent(Duration::ZERO), "0n");
        assert_eq!(sent(Duration::from_micros(49)), "49000n");
        assert_eq!(sent(Duration::from_micros(50)), "50u");
        assert_eq!(sent(Duration::from_millis(49)), "49000u");
        assert_eq!(sent(Duration::from_millis(50)), "50m");
        assert_eq!(sent(Duration::from_secs(5)), "5000m");
        assert_eq!(sent(Duration::from_secs(86_400)), "86400000m");
        assert_eq!(sent(Duration::from_secs(100_000)), "100000S");
        assert_eq!(sent(Duration::from_secs(99_999_999)), "99999999S");
        assert_eq!(sent(Duration::MAX), "99999999M");
    }

    #[test]
    fn s15_what_is_left_of_a_timeout_reads_like_the_timeout_itself() {
        for whole in [
            Duration::from_millis(100),
            Duration::from_secs(10),
            Duration::from_secs(3_600),
        ] {
            let left = whole - Duration::from_micros(30);
            assert_eq!(Rounded::up(left), Rounded::up(whole), "{whole:?}");
        }
        for nanos in (0..40).map(|power| 3_u64.pow(power)) {
            let left = Duration::from_nanos(nanos);
            let sent = parse(&Rounded::up(left).text()).expect("a timeout");
            assert!(
                sent >= left && sent - left <= left / 50,
                "{left:?}: {sent:?}"
            );
        }
    }

    #[test]
    fn s15_a_shorter_timeout_of_the_request_stays() {
        let sent = |said: &'static str, left| {
            let mut headers = HeaderMap::new();
            headers.insert(GRPC_TIMEOUT, HeaderValue::from_static(said));
            Deadlines::default().send(&mut headers, left);
            headers[GRPC_TIMEOUT]
                .to_str()
                .map(String::from)
                .expect("text")
        };
        assert_eq!(sent("1S", Duration::from_secs(5)), "1S");
        assert_eq!(sent("1M", Duration::from_secs(5)), "5000m");
        assert_eq!(sent("soon", Duration::from_secs(5)), "5000m");
    }
}
