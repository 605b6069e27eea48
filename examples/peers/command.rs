//! What the observer tells a peer, in a line each.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use tenure_core::BoxError;

pub(crate) enum Command {
    /// These are its neighbours.
    Meet {
        next: SocketAddr,
        previous: SocketAddr,
    },
    /// It is to say that it does not serve.
    Rest,
    /// And that it does again.
    Serve,
}

impl FromStr for Command {
    type Err = BoxError;

    fn from_str(line: &str) -> Result<Self, BoxError> {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["meet", next, previous] => Ok(Self::Meet {
                next: next.parse()?,
                previous: previous.parse()?,
            }),
            ["rest"] => Ok(Self::Rest),
            ["serve"] => Ok(Self::Serve),
            _ => Err(format!("`{line}` is no command").into()),
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Meet { next, previous } => write!(f, "meet {next} {previous}"),
            Self::Rest => f.write_str("rest"),
            Self::Serve => f.write_str("serve"),
        }
    }
}
