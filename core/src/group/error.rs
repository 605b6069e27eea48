//! Why a group did not start, or has no such member.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::error::Error;
use core::fmt;

use super::graph::GraphError;
use super::report::GroupReport;
use crate::cause::{Cause, Told};
use crate::name::Name;
use crate::sync::Text;

/// Why a group did not start.
///
/// ```
/// use tenure_core::group::StartError;
/// # fn show(error: StartError) {
/// match error {
///     StartError::Failed { member, cause, .. } => println!("{member} is to blame: {cause}"),
///     _ => println!("{error}"),
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StartError {
    /// A required member did not start. What had started was stopped again.
    Failed {
        /// The group's name.
        group: Name,
        /// The first member that failed.
        member: Text,
        /// What it answered.
        cause: Cause,
        /// How each member ended.
        report: Box<GroupReport>,
    },
    /// The group was shut down before it had started, or is shut down.
    Closed {
        /// The group's name.
        group: Name,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed {
                group,
                member,
                cause,
                ..
            } => write!(f, "{group} did not start: {member}: {}", Told(cause)),
            Self::Closed { group } => write!(f, "{group} is shut down"),
        }
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed { cause, .. } => Some(cause.as_source()),
            Self::Closed { .. } => None,
        }
    }
}

/// A member was not started, because one that it [requires](super::GroupBuilder::after) is not up.
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// use tenure_core::group::DependencyFailed;
/// # block_on(async {
/// let down = Managed::builder(Down).retry(Retry::NEVER).build_with_runner(Virtual::default())?.0;
/// let group = Group::builder("service")
///     .add("cache", down)
///     .optional()
///     .add("worker", managed)
///     .after("cache")
///     .build(Virtual::default())?;
/// group.start().await?;
/// let report = group.report();
/// let cause = report.members[1].start_error.as_ref().unwrap();
/// assert_eq!(cause.downcast_ref::<DependencyFailed>().unwrap().dependency, "cache");
/// assert_eq!(cause.to_string(), "requires cache, which is not up");
/// # group.close().await;
/// # Ok::<(), BoxError>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DependencyFailed {
    /// The name of what is required.
    pub dependency: Text,
}

impl fmt::Display for DependencyFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "requires {}, which is not up", self.dependency)
    }
}

impl Error for DependencyFailed {}

/// Why a group did not give a member.
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// let group = Group::builder("service").add("db", managed).build(Virtual::default())?;
/// let error = group.get::<Pool<Db, Virtual>>("db").unwrap_err();
/// assert!(error.to_string().starts_with("db of service is a tenure_core::managed::Managed<"));
/// # Ok::<(), BoxError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GetError {
    /// It has none of that name.
    Unknown {
        /// The group's name.
        group: Name,
        /// The name that was asked for.
        name: Text,
    },
    /// It has another type.
    OtherType {
        /// The group's name.
        group: Name,
        /// The member's name.
        name: Text,
        /// The type it has.
        found: &'static str,
    },
}

impl fmt::Display for GetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { group, name } => write!(f, "{group} has no member {name}"),
            Self::OtherType { group, name, found } => {
                write!(f, "{name} of {group} is a {found}")
            }
        }
    }
}

impl Error for GetError {}

/// Why a member could not be added to a group that runs.
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// # block_on(async {
/// let group = Group::builder("service").add("db", managed.clone()).build(Virtual::default())?;
/// let error = group.add("db", managed).start().await.unwrap_err();
/// assert_eq!(error.to_string(), "two members are called db");
/// # Ok::<(), BoxError>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AddError {
    /// It does not go with the others.
    Graph(GraphError),
    /// It did not start. It was stopped and removed again, the others go on.
    Failed {
        /// The group's name.
        group: Name,
        /// The member's name.
        member: Text,
        /// What it answered.
        cause: Cause,
    },
    /// The group is shut down, or was so while the member started.
    Closed {
        /// The group's name.
        group: Name,
    },
}

impl fmt::Display for AddError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Graph(error) => error.fmt(f),
            Self::Failed {
                group,
                member,
                cause,
            } => write!(f, "{member} did not start in {group}: {}", Told(cause)),
            Self::Closed { group } => write!(f, "{group} is shut down"),
        }
    }
}

impl Error for AddError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed { cause, .. } => Some(cause.as_source()),
            Self::Graph(_) | Self::Closed { .. } => None,
        }
    }
}

/// Why a member could not be removed from a group.
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// # block_on(async {
/// let group = Group::builder("service").add("db", managed).add("api", pool).after("db").build(Virtual::default())?;
/// let error = group.remove("db").await.unwrap_err();
/// assert_eq!(error.to_string(), "db of service is needed by api");
/// # Ok::<(), BoxError>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RemoveError {
    /// The group has none of that name.
    Unknown {
        /// The group's name.
        group: Name,
        /// The name that was asked for.
        name: Text,
    },
    /// Others need it.
    Needed {
        /// The group's name.
        group: Name,
        /// The member's name.
        name: Text,
        /// Those that need it.
        by: Vec<Text>,
    },
    /// The group is shut down, and the member with it.
    Closed {
        /// The group's name.
        group: Name,
    },
}

impl fmt::Display for RemoveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { group, name } => write!(f, "{group} has no member {name}"),
            Self::Needed { group, name, by } => {
                write!(f, "{name} of {group} is needed by {}", by.join(", "))
            }
            Self::Closed { group } => write!(f, "{group} is shut down"),
        }
    }
}

impl Error for RemoveError {}
