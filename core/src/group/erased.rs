//! Members whose types are forgotten, so that a group can be put together at run time.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::any::Any;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::time::Duration;

use super::Group;
use super::members::Members;
use crate::connection::Connection;
use crate::lifecycle::{Lifecycle, LocalLifecycle};
use crate::managed::Managed;
use crate::pool::Pool;
use crate::resource::{BoxError, Resource};
use crate::runtime::Clock;
use crate::shared::Shared;
use crate::state::State;
use crate::sync::{Arc, Lock};

/// One flavour: a member, the trait behind it, and the members of a group.
macro_rules! flavour {
    (
        $(#[$member_doc:meta])+ $Member:ident = $Pointer:ident<dyn $Erased:ident $(+ $sync:ident)*>,
        $(#[$members_doc:meta])+ $Members:ident, $Answer:ident $(+ $send:ident)?
    ) => {
        $(#[$member_doc])+
        #[derive(Clone)]
        pub struct $Member($Pointer<dyn $Erased $(+ $sync)*>);

        $(#[$members_doc])+
        pub struct $Members(Lock<Vec<Option<$Member>>>);

        type $Answer<'a> = Pin<Box<dyn Future<Output = Result<(), BoxError>> $(+ $send)? + 'a>>;

        trait $Erased {
            fn start(&self) -> $Answer<'_>;
            fn stop(&self, within: Option<Duration>) -> $Answer<'_>;
            fn restart(&self) -> $Answer<'_>;
            fn check(&self) -> $Answer<'_>;
            fn state(&self) -> State;
            fn is_recovering(&self) -> bool;
            fn abandon(&self);
            fn is_always_stopped(&self) -> bool;
            fn as_any(&self) -> &dyn Any;
            fn type_name(&self) -> &'static str;
        }

        impl $Member {
            /// By way of a `Box`, since the `Arc` of some platforms cannot forget a type.
            fn boxed(member: Box<dyn $Erased $(+ $sync)*>) -> Self {
                Self($Pointer::from(member))
            }

            /// A clone of the member itself, or the name of its type, if that is another.
            pub(super) fn downcast<T: Clone + 'static>(&self) -> Result<T, &'static str> {
                let member = self.0.as_any().downcast_ref::<T>();
                member.cloned().ok_or(self.0.type_name())
            }
        }

        impl $Members {
            pub(super) fn new(members: Vec<$Member>) -> Self {
                Self(Lock::new(members.into_iter().map(Some).collect()))
            }

            /// Takes in a member under a number that is free or the next.
            pub(super) fn put(&self, number: usize, member: $Member) {
                self.0.with(|members| match members.get_mut(number) {
                    Some(free) => *free = Some(member),
                    None => members.push(Some(member)),
                });
            }

            /// A member, unless it was removed.
            pub(super) fn member(&self, member: usize) -> Option<$Member> {
                self.0.with(|members| members[member].clone())
            }
        }

        impl fmt::Debug for $Members {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let members = self.0.with(|members| members.clone());
                f.debug_list().entries(members.iter().flatten()).finish()
            }
        }

        impl Members for $Members {
            fn start(&self, member: usize) -> impl Future<Output = Result<(), BoxError>> {
                let member = self.member(member);
                async move {
                    match member {
                        Some(member) => member.0.start().await,
                        None => Ok(()),
                    }
                }
            }

            fn stop(
                &self,
                member: usize,
                within: Option<Duration>,
            ) -> impl Future<Output = Result<(), BoxError>> {
                let member = self.member(member);
                async move {
                    match member {
                        Some(member) => member.0.stop(within).await,
                        None => Ok(()),
                    }
                }
            }

            fn restart(&self, member: usize) -> impl Future<Output = Result<(), BoxError>> {
                let member = self.member(member);
                async move {
                    match member {
                        Some(member) => member.0.restart().await,
                        None => Ok(()),
                    }
                }
            }

            fn check(&self, member: usize) -> impl Future<Output = Result<(), BoxError>> {
                let member = self.member(member);
                async move {
                    match member {
                        Some(member) => member.0.check().await,
                        None => Ok(()),
                    }
                }
            }

            fn state(&self, member: usize) -> State {
                self.member(member)
                    .map_or(State::Closed, |member| member.0.state())
            }

            fn is_recovering(&self, member: usize) -> bool {
                self.member(member)
                    .is_some_and(|member| member.0.is_recovering())
            }

            fn abandon(&self, member: usize) {
                if let Some(member) = self.member(member) {
                    member.0.abandon();
                }
            }

            fn is_always_stopped(&self, member: usize) -> bool {
                self.member(member)
                    .is_some_and(|member| member.0.is_always_stopped())
            }

            fn forget(&self, member: usize) {
                // Dropped outside the lock, as all that is the user's.
                drop(self.0.with(|members| members[member].take()));
            }
        }

        impl fmt::Debug for $Member {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($Member)).field(&self.0.type_name()).finish()
            }
        }
    };
}

flavour! {
    /// A member whose type is forgotten. Every [`Lifecycle`], [`Managed`], [`Pool`] and [`Group`] that can move between
    /// threads becomes one.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// use tenure_core::group::LocalMember;
    /// let member = LocalMember::from(managed);
    /// ```
    Member = Arc<dyn Erased + Send + Sync>,
    /// Members whose types are forgotten.
    ErasedMembers, Answer + Send
}

flavour! {
    /// The twin of [`Member`] for what stays on one thread. Every [`LocalLifecycle`] becomes one.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// use tenure_core::group::LocalMember;
    /// let member = LocalMember::from(pool);
    /// ```
    LocalMember = Rc<dyn LocalErased>,
    /// Members that stay on one thread, and whose types are forgotten.
    LocalMembers, LocalAnswer
}

/// How a type becomes a member. The text is the same for each, but it is only for a type whose parameters are
/// known to be `Send` that the compiler sees its futures to be so.
macro_rules! erase {
    ($Member:ident, $Erased:ident, $Answer:ident, [$($generics:tt)*] $Type:ty, [$($bounds:tt)*]) => {
        impl<$($generics)*> $Erased for $Type where $($bounds)* {
            fn start(&self) -> $Answer<'_> {
                Box::pin(LocalLifecycle::start(self))
            }

            fn stop(&self, within: Option<Duration>) -> $Answer<'_> {
                Box::pin(LocalLifecycle::stop(self, within))
            }

            fn restart(&self) -> $Answer<'_> {
                Box::pin(LocalLifecycle::restart(self))
            }

            fn check(&self) -> $Answer<'_> {
                Box::pin(LocalLifecycle::check(self))
            }

            fn state(&self) -> State {
                LocalLifecycle::state(self)
            }

            fn is_recovering(&self) -> bool {
                LocalLifecycle::is_recovering(self)
            }

            fn abandon(&self) {
                LocalLifecycle::abandon(self);
            }

            fn is_always_stopped(&self) -> bool {
                <Self as LocalLifecycle>::ALWAYS_STOPPED
            }

            fn as_any(&self) -> &dyn Any {
                self
            }

            fn type_name(&self) -> &'static str {
                core::any::type_name::<Self>()
            }
        }

        impl<$($generics)*> From<$Type> for $Member where $($bounds)* {
            fn from(member: $Type) -> Self {
                Self::boxed(Box::new(member))
            }
        }
    };
}

erase!(LocalMember, LocalErased, LocalAnswer, [L: LocalLifecycle] L, []);
erase!(Member, Erased, Answer, [L: Lifecycle] L, []);
erase!(
    Member, Erased, Answer, [R: Resource<Value: Clone + Sync>, C] Managed<R, C>,
    [C: Clock<Sleep: Send> + Send + Sync + 'static]
);
erase!(
    Member, Erased, Answer, [R: Resource<Value: Clone + Sync>, C] Connection<R, C>,
    [C: Clock<Sleep: Send> + Send + Sync + 'static]
);
erase!(
    Member, Erased, Answer, [R: Resource<Value: Clone + Sync>, C] Shared<R, C>,
    [C: Clock<Sleep: Send> + Send + Sync + 'static]
);
erase!(
    Member, Erased, Answer, [R: Resource, C] Pool<R, C>,
    [C: Clock<Sleep: Send> + Send + Sync + 'static]
);
erase!(
    Member, Erased, Answer, [C] Group<C, ErasedMembers>,
    [C: Clock<Sleep: Send> + Send + Sync + 'static]
);
