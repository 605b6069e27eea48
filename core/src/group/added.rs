//! Members by name: looked up, added and removed while the group runs.

use core::time::Duration;

use super::Group;
use super::drive::drive;
use super::erased::{ErasedMembers, LocalMember, LocalMembers, Member};
use super::error::{AddError, GetError, RemoveError};
use super::graph::Wanted;
use super::members::Members;
use super::plan::{Goal, Phase, Plan};
use super::report::MemberReport;
use super::shared::GroupLimits;
use crate::name::{redact, redacted};
use crate::runtime::Clock;
use crate::state::State;
use crate::sync::Text;

/// A member that is about to be added to a group. See [`Group::add`].
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// # block_on(async {
/// let group = Group::builder("service").add("db", managed).build(Virtual::default())?;
/// group.start().await?;
/// group.add("sessions", pool).after("db").start().await?;
/// assert_eq!(group.report().members.len(), 2);
/// # Ok::<(), BoxError>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
#[must_use = "nothing is added until `start`"]
pub struct Addition<'g, C: Clock, M: Members, B> {
    group: &'g Group<C, M>,
    member: B,
    wanted: Wanted,
    limits: GroupLimits,
}

impl<C: Clock, M: Members, B> Addition<'_, C, M, B> {
    /// See [`GroupBuilder::after`](super::GroupBuilder::after).
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let group = Group::builder("service").add("db", managed).build(Virtual::default())?;
    /// let addition = group.add("sessions", pool).after("db");
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn after(mut self, name: impl Into<Text>) -> Self {
        self.wanted.after.push(redacted(name.into()));
        self
    }

    /// See [`GroupBuilder::wants`](super::GroupBuilder::wants).
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let group = Group::builder("service").add("db", managed).build(Virtual::default())?;
    /// let addition = group.add("sessions", pool).wants("db");
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn wants(mut self, name: impl Into<Text>) -> Self {
        self.wanted.wants.push(redacted(name.into()));
        self
    }

    /// See [`GroupBuilder::optional`](super::GroupBuilder::optional).
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let group = Group::builder("service").add("db", managed).build(Virtual::default())?;
    /// let addition = group.add("sessions", pool).optional();
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn optional(mut self) -> Self {
        self.wanted.optional = true;
        self
    }

    /// See [`GroupBuilder::start_timeout`](super::GroupBuilder::start_timeout).
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let group = Group::builder("service").add("db", managed).build(Virtual::default())?;
    /// let addition = group.add("sessions", pool).start_timeout(Duration::from_secs(5));
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn start_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.limits.start = timeout.into();
        self
    }

    /// See [`GroupBuilder::stop_timeout`](super::GroupBuilder::stop_timeout).
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let group = Group::builder("service").add("db", managed).build(Virtual::default())?;
    /// let addition = group.add("sessions", pool).stop_timeout(Duration::from_secs(5));
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn stop_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.limits.stop = timeout.into();
        self
    }
}

/// What both flavours can do.
macro_rules! flavour {
    ($Member:ty, $Members:ty) => {
        impl<C: Clock> Group<C, $Members> {
            /// A clone of a member, by its name and type.
            ///
            /// ```
            #[doc = include_str!("../doc_setting.txt")]
            /// let group = Group::builder("service").add("db", managed).build(Virtual::default())?;
            /// let db = group.get::<Managed<Db, Virtual>>("db")?;
            /// # Ok::<(), BoxError>(())
            /// ```
            ///
            /// # Errors
            /// If there is none of that name, or if it has another type; the error says which.
            pub fn get<T: Clone + 'static>(&self, name: &str) -> Result<T, GetError> {
                let shared = &self.shared;
                let (group, named) = (shared.name.clone(), Text::Owned(redact(name).into_owned()));
                let number = shared.book.with(|book| book.graph.number(&named));
                match number.and_then(|number| shared.members.member(number)) {
                    None => Err(GetError::Unknown { group, name: named }),
                    Some(member) => member.downcast().map_err(|found| GetError::OtherType {
                        group,
                        name: named,
                        found,
                    }),
                }
            }

            /// Adds a member while the group runs. Once it has started it is as if it had been there from the
            /// beginning.
            ///
            /// ```
            #[doc = include_str!("../doc_setting.txt")]
            /// # block_on(async {
            /// let group = Group::builder("service").add("db", managed).build(Virtual::default())?;
            /// group.start().await?;
            /// group.add("sessions", pool).after("db").start().await?;
            /// # Ok::<(), BoxError>(())
            /// # }).unwrap();
            /// ```
            pub fn add(
                &self,
                name: impl Into<Text>,
                member: impl Into<$Member>,
            ) -> Addition<'_, C, $Members, $Member> {
                Addition {
                    group: self,
                    member: member.into(),
                    wanted: Wanted::new(name),
                    limits: GroupLimits::DEFAULT,
                }
            }

            /// Stops a member while the group runs, and forgets it. One that starts just now does so first, and what
            /// needed it and is about to leave stops before it.
            ///
            /// ```
            #[doc = include_str!("../doc_setting.txt")]
            /// # block_on(async {
            /// let group = Group::builder("service").add("db", managed).build(Virtual::default())?;
            /// group.start().await?;
            /// let report = group.remove("db").await?;
            /// assert!(report.stop_error.is_none() && group.report().members.is_empty());
            /// # Ok::<(), BoxError>(())
            /// # }).unwrap();
            /// ```
            ///
            /// # Errors
            /// If there is none of that name, if others need it, or if the group is shut down.
            ///
            /// # Cancel safety
            /// Dropping the future leaves the member on its way out; whoever drives the group next goes on.
            pub async fn remove(&self, name: &str) -> Result<MemberReport, RemoveError> {
                self.take_out(name, None).await
            }

            /// Removes the member of that name, if that is the one.
            async fn take_out(
                &self,
                name: &str,
                only: Option<u64>,
            ) -> Result<MemberReport, RemoveError> {
                let shared = &self.shared;
                let (group, named) = (shared.name.clone(), Text::Owned(redact(name).into_owned()));
                let removal = shared.change(|book| {
                    let number = book.graph.number(&named);
                    let is_meant =
                        |member: &usize| only.is_none_or(|id| book.plan.id(*member) == id);
                    let Some(member) = number.filter(is_meant) else {
                        return Err(RemoveError::Unknown {
                            group: group.clone(),
                            name: named.clone(),
                        });
                    };
                    if book.plan.goal() == Goal::Down {
                        return Err(RemoveError::Closed {
                            group: group.clone(),
                        });
                    }
                    book.remove(member).map_err(|by| RemoveError::Needed {
                        group: group.clone(),
                        name: named.clone(),
                        by,
                    })
                })?;
                drive(shared, None, |_| removal.is_over()).await;
                Ok(removal.take().report(named, State::Closed))
            }
        }

        impl<C: Clock> Addition<'_, C, $Members, $Member> {
            /// Adds the member, and waits until it has started, if the group was told to.
            ///
            /// ```
            #[doc = include_str!("../doc_setting.txt")]
            /// # block_on(async {
            /// let group = Group::builder("service").build(Virtual::default())?;
            /// group.add("db", managed).start().await?;
            /// assert!(!group.has_started(), "nobody has asked for that");
            /// # Ok::<(), BoxError>(())
            /// # }).unwrap();
            /// ```
            ///
            /// # Errors
            /// [`AddError`] if it does not go with the others, or does not start: then it is stopped and removed
            /// again, and the others go on.
            ///
            /// # Cancel safety
            /// Dropping the future calls off the start that it drove. The member stays, and starts when the group
            /// is next driven; if it fails then, the group goes on without it.
            pub async fn start(self) -> Result<(), AddError> {
                let shared = &self.group.shared;
                let name = self.wanted.name.clone();
                let mut new = Some(self.member);
                shared.note_arrivals(&self.wanted.after);
                let (member, id) = shared.change(|book| {
                    if book.plan.goal() == Goal::Down {
                        let group = shared.name.clone();
                        return Err(AddError::Closed { group });
                    }
                    // All under one lock: numbers are places, and others may add as well.
                    let keep = |number| {
                        if let Some(new) = new.take() {
                            shared.members.put(number, new);
                        }
                    };
                    book.add(&self.wanted, self.limits, keep)
                        .map_err(AddError::Graph)
                })?;
                // Others may remove it meanwhile, and its number may be another's then.
                let is_gone = |plan: &Plan| plan.id(member) != id;
                drive(shared, None, |plan| {
                    is_gone(plan) || plan.is_member_settled(member)
                })
                .await;
                let (goal, phase, error) = shared.book.with(|book| match is_gone(&book.plan) {
                    true => (book.plan.goal(), Phase::Stopped, None),
                    false => {
                        let error = book.rows[member].start_error.clone();
                        (book.plan.goal(), book.plan.phase(member), error)
                    }
                });
                let group = shared.name.clone();
                match error {
                    _ if goal == Goal::Down => Err(AddError::Closed { group }),
                    Some(cause) if phase == Phase::Failed && !self.wanted.optional => {
                        // Somebody else may have removed it already.
                        let _ = self.group.take_out(&name, Some(id)).await;
                        Err(AddError::Failed {
                            group,
                            member: name,
                            cause,
                        })
                    }
                    _ => Ok(()),
                }
            }
        }
    };
}

flavour!(Member, ErasedMembers);
flavour!(LocalMember, LocalMembers);
