//! The deadline of a call, as gRPC sends it.

use std::time::Duration;

use tonic::codegen::http::HeaderMap;
use tonic::codegen::http::header::{HeaderName, HeaderValue};

pub(crate) const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Says how much time is left, unless the request says that there is less.
pub(crate) fn send(headers: &mut HeaderMap, left: Duration) {
    let said = headers.get(GRPC_TIMEOUT).and_then(parse);
    if said.is_none_or(|said| left < said) {
        headers.insert(GRPC_TIMEOUT, encode(left));
    }
}

/// At most 8 digits, in the finest unit that they reach to.
fn encode(left: Duration) -> HeaderValue {
    const UNITS: [(u128, char); 5] = [
        (1, 'n'),
        (1_000, 'u'),
        (1_000_000, 'm'),
        (1_000_000_000, 'S'),
        (60_000_000_000, 'M'),
    ];
    const MOST: u128 = 99_999_999;
    let nanos = left.as_nanos();
    let fits = UNITS.iter().find(|(unit, _)| nanos / unit <= MOST);
    let text = match fits {
        Some((unit, letter)) => format!("{}{letter}", nanos / unit),
        None => format!("{}H", (nanos / 3_600_000_000_000).min(MOST)),
    };
    HeaderValue::try_from(text).unwrap_or_else(|_| unreachable!("digits and a letter"))
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
        let sent = |left| encode(left).to_str().map(String::from).expect("text");
        assert_eq!(sent(Duration::ZERO), "0n");
        assert_eq!(sent(Duration::from_millis(50)), "50000000n");
        assert_eq!(sent(Duration::from_secs(5)), "5000000u");
        assert_eq!(sent(Duration::from_secs(86_400)), "86400000m");
        assert_eq!(sent(Duration::from_secs(99_999_999)), "99999999S");
        assert_eq!(sent(Duration::MAX), "99999999H");
    }

    #[test]
    fn s15_a_shorter_timeout_of_the_request_stays() {
        let sent = |said: &'static str, left| {
            let mut headers = HeaderMap::new();
            headers.insert(GRPC_TIMEOUT, HeaderValue::from_static(said));
            send(&mut headers, left);
            headers[GRPC_TIMEOUT]
                .to_str()
                .map(String::from)
                .expect("text")
        };
        assert_eq!(sent("1S", Duration::from_secs(5)), "1S");
        assert_eq!(sent("1M", Duration::from_secs(5)), "5000000u");
        assert_eq!(sent("soon", Duration::from_secs(5)), "5000000u");
    }
}
