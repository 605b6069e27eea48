//! How each member of a group did.

use alloc::vec::Vec;
use core::error::Error;
use core::fmt;
use core::time::Duration;

use crate::cause::{Cause, Told};
use crate::name::Name;
use crate::state::State;
use crate::sync::Text;

/// How the members of a group started and stopped.
///
/// It prints as a table, a line for each member.
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// # block_on(async {
/// let group = Group::builder("service").add("db", managed).build(Virtual::default())?;
/// group.start().await?;
/// let report = group.shutdown(Duration::from_secs(10)).await;
/// assert!(report.is_clean(), "{report}");
/// # Ok::<(), BoxError>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GroupReport {
    /// The group's name.
    pub name: Name,
    /// How long the shutdown took so far, if there is a clock.
    pub took: Option<Duration>,
    /// Each member, in the order in which they were added.
    pub members: Vec<MemberReport>,
}

/// How one member started and stopped.
///
/// ```
/// # fn show(report: tenure_core::group::GroupReport) {
/// for member in &report.members {
///     println!("{member}");
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MemberReport {
    /// Its name.
    pub name: Text,
    /// Where it stands.
    pub state: State,
    /// How long its start took, if it ended and there is a clock.
    pub started_in: Option<Duration>,
    /// How long its stop took, if it ended and there is a clock.
    pub stopped_in: Option<Duration>,
    /// Why it did not start, if it has not come up since.
    pub start_error: Option<Cause>,
    /// What its stop left undone. For a pool or a managed resource it is a [`Report`](crate::Report).
    pub stop_error: Option<Cause>,
}

impl GroupReport {
    /// Whether every member has stopped, and left nothing undone.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # let group = Group::builder("service").add("db", managed).build(Virtual::default()).unwrap();
    /// assert!(block_on(group.close()).is_clean());
    /// ```
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let clean =
            |member: &MemberReport| member.state == State::Closed && member.stop_error.is_none();
        self.members.iter().all(clean)
    }

    /// What was left undone, as an error.
    pub(crate) fn into_result(self) -> Result<(), crate::resource::BoxError> {
        if self.is_clean() {
            Ok(())
        } else {
            Err(self.into())
        }
    }
}

/// What a group could not do, for those who have to answer with an error.
impl Error for GroupReport {}

impl fmt::Display for GroupReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        if let Some(took) = self.took {
            write!(f, ", in {took:?}")?;
        }
        self.members
            .iter()
            .try_for_each(|member| write!(f, "\n  {member}"))
    }
}

impl fmt::Display for MemberReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.state)?;
        if let Some(took) = self.started_in {
            write!(f, ", started in {took:?}")?;
        }
        if let Some(error) = &self.start_error {
            write!(f, ", did not start: {}", Told(error))?;
        }
        if let Some(took) = self.stopped_in {
            write!(f, ", stopped in {took:?}")?;
        }
        if let Some(error) = &self.stop_error {
            write!(f, ", not clean: {}", Told(error))?;
        }
        Ok(())
    }
}
