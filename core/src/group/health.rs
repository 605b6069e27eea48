//! How the members of a group are.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::error::Error;
use core::fmt;
use core::future::poll_fn;
use core::task::Poll;
use core::time::Duration;

use super::Group;
use super::members::Members;
use super::plan::Role;
use super::shared::GroupStanding;
use crate::cause::{Cause, Told};
use crate::contain::hook;
use crate::drive::JobSet;
use crate::name::Name;
use crate::resource::BoxError;
use crate::runtime::Clock;
use crate::state::State;
use crate::sync::{Lock, Text};

/// How a group is, and each of its members.
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// # block_on(async {
/// let group = Group::builder("service").add("db", managed).build(Virtual::default())?;
/// group.start().await?;
/// let health = group.health().await;
/// assert!(health.is_healthy(), "{health}");
/// # Ok::<(), BoxError>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GroupHealth {
    /// The group's name.
    pub name: Name,
    /// Where the group stands.
    pub state: State,
    /// Each member, in the order in which they were added.
    pub members: Vec<MemberHealth>,
}

/// How one member is.
///
/// ```
/// # fn show(health: tenure_core::group::GroupHealth) {
/// for member in &health.members {
///     println!("{member}");
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MemberHealth {
    /// Its name.
    pub name: Text,
    /// Where it stands: no better than what it needs.
    pub state: State,
    /// What its check said, if it is up and was not well.
    pub error: Option<Cause>,
}

/// How many members are asked at once.
const MOST_CHECKS: usize = 8;
/// How long each may take to answer: as the original's checks.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

impl<C: Clock, M: Members> Group<C, M> {
    /// Asks every member that is up whether it is well: eight at a time, each for at most five seconds.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let group = Group::builder("service").add("db", managed).build(Virtual::default())?;
    /// group.start().await?;
    /// assert_eq!(group.health().await.to_string(), "service: Ready\n  db: Ready");
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Cancel safety
    /// The checks under way are dropped, and count as none.
    pub async fn health(&self) -> GroupHealth {
        self.health_and_roles().await.0
    }

    /// What is not well of what the group cannot do without, as an error.
    pub(super) async fn required_health(&self) -> Result<(), BoxError> {
        let (health, roles) = self.health_and_roles().await;
        let well = |member: &MemberHealth| member.state.is_usable() && member.error.is_none();
        let mut members = health.members.iter().zip(roles);
        let well = members.all(|(member, role)| role != Role::Required || well(member));
        if well && health.state.is_usable() {
            Ok(())
        } else {
            Err(health.into())
        }
    }

    /// How the group is, and what each of those members is to it.
    async fn health_and_roles(&self) -> (GroupHealth, Vec<Role>) {
        let shared = &self.shared;
        let errors = self.ask().await;
        // One that was added meanwhile was not asked.
        let GroupStanding {
            states,
            roles,
            graph,
            ..
        } = shared.standing();
        let member = |number: usize| {
            let node = &graph.nodes[number];
            let health = MemberHealth {
                name: node.name.clone(),
                state: states[number],
                error: errors.get(&node.id).cloned(),
            };
            (health, roles[number])
        };
        let (members, roles) = graph.present().into_iter().map(member).unzip();
        let health = GroupHealth {
            name: shared.name.clone(),
            state: shared.state(),
            members,
        };
        (health, roles)
    }

    /// What the checks of those that are up say, where it is not good, by the members' ids.
    pub(super) async fn ask(&self) -> BTreeMap<u64, Cause> {
        let shared = &self.shared;
        let (states, graph) = shared.own_states();
        let is_up = |member: &usize| states[*member].is_usable() || states[*member] == State::Error;
        let mut left = graph.present().into_iter().filter(is_up);
        let answers = Lock::new(BTreeMap::new());
        let ask = async |member: usize| {
            let check = hook(&shared.clock, Some(CHECK_TIMEOUT), || {
                shared.members.check(member)
            });
            if let Err(error) = check.await {
                let (id, cause) = (graph.nodes[member].id, error.into_cause());
                answers.with(|answers| answers.insert(id, cause));
            }
        };
        let mut asked = JobSet::new(&self.shared.clock);
        poll_fn(|cx| {
            loop {
                let room = MOST_CHECKS - asked.len();
                for member in left.by_ref().take(room) {
                    asked.push(ask(member));
                }
                if asked.is_empty() {
                    return Poll::Ready(());
                }
                if !asked.poll(cx) {
                    return Poll::Pending;
                }
            }
        })
        .await;
        drop(asked);
        answers.with(core::mem::take)
    }
}

impl GroupHealth {
    /// Whether the group and all its members are well.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let group = Group::builder("service").add("db", managed).build(Virtual::default())?;
    /// assert!(!group.health().await.is_healthy(), "it has not started");
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        let well = |member: &MemberHealth| member.state.is_healthy() && member.error.is_none();
        self.state.is_healthy() && self.members.iter().all(well)
    }
}

/// What is not well, for those who have to answer with an error.
impl Error for GroupHealth {}

impl fmt::Display for GroupHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.state)?;
        self.members
            .iter()
            .try_for_each(|member| write!(f, "\n  {member}"))
    }
}

impl fmt::Display for MemberHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.state)?;
        let error = self.error.as_ref();
        error.map_or(Ok(()), |error| write!(f, ", {}", Told(error)))
    }
}
