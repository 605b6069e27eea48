//! The same for what needs an allocator.

use core::fmt::Display;

use defmt::{Display2Format, Format, Formatter};

use crate::cleanup::{Audit, CloseFailure, Report};
use crate::connection::{ConnectionState, ConnectionStats};
use crate::ending::{Ending, Why};
use crate::formats::as_displayed;
use crate::group::{
    AddError, DependencyFailed, GaveUp, GetError, Graph, GraphError, GroupHealth, GroupReport,
    MemberHealth, MemberReport, RemoveError, StartError,
};
use crate::managed::Revoked;
use crate::pool::Status;
use crate::{
    AcquireError, CallError, Cause, CheckError, Event, Exit, Name, OpenError, OpenFailure,
    Panicked, ScopeError, Unreachable,
};

as_displayed!(
    AcquireError,
    AddError,
    Audit,
    CallError,
    Cause,
    CheckError,
    CloseFailure,
    ConnectionState,
    ConnectionStats,
    DependencyFailed,
    Ending,
    Event<'_>,
    Exit,
    GaveUp,
    GetError,
    Graph,
    GraphError,
    GroupHealth,
    GroupReport,
    MemberHealth,
    MemberReport,
    Name,
    OpenError,
    OpenFailure,
    Panicked,
    RemoveError,
    Report,
    Revoked,
    StartError,
    Status,
    Unreachable,
    Why,
);

impl<E: Display, T> Format for ScopeError<E, T> {
    fn format(&self, f: Formatter<'_>) {
        defmt::write!(f, "{}", Display2Format(self));
    }
}
