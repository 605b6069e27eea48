//! What a scope's body is given: to open values, to defer finalizers, to begin scopes within.

use alloc::boxed::Box;
use core::fmt;
use core::future::Future;
use core::panic::Location;

use super::book::{Registered, Subject, Tag};
use super::builder::ScopeBuilder;
use super::error::ScopeError;
use super::exit::Exit;
use super::finalizer::{Deferred, Kind, Sending, Staying};
use super::opened::{LocalOpened, Opened};
use super::run::run;
use super::shared::{Handle, ScopeShared};
use crate::cleanup::Audit;
use crate::held::HeldResource;
use crate::name::Name;
use crate::opening::OpenError;
use crate::resource::{BoxError, LocalResource, Resource};
use crate::runtime::{Clock, NoTimer};

/// A scope, as its body sees it: what is opened and deferred here is finalized when the scope ends. Made
/// by [`scope`](crate::scope()).
///
/// Cloning it is cheap and gives another handle, which may outlive the scope; all that it does then is
/// late.
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// # let rt = Runtime;
/// async fn length(s: &Scope<Runtime>) -> Result<usize, BoxError> {
///     Ok(s.open(Db).await?.len())
/// }
/// let both = scope(&rt, |s| async move { Ok::<_, BoxError>(length(&s).await? + length(&s).await?) });
/// assert_eq!(block_on(both).unwrap(), 14);
/// ```
pub struct Scope<C: Clock>(Handle<Sending, C>);

/// The counterpart of [`Scope`] for resources that are not `Send`, and for where nothing spawns. Made by
/// [`scope_local`](crate::scope_local) and [`scope_inline`](crate::scope_inline).
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// async fn length(s: &LocalScope<NoTimer>) -> Result<usize, BoxError> {
///     Ok(s.open(Db).await?.len())
/// }
/// let both = scope_inline(&NoTimer, |s| async move { length(&s).await });
/// assert_eq!(block_on(both).unwrap(), 7);
/// ```
pub struct LocalScope<C: Clock>(Handle<Staying, C>);

impl Scope<NoTimer> {
    /// Begins to set a scope up. The runtime and the body come at the end, with
    /// [`run`](ScopeBuilder::run).
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # let rt = Runtime;
    /// let import = Scope::builder().name("import").close_timeout(Duration::from_secs(5));
    /// let imported = import.run(&rt, |s| async move { Ok::<_, BoxError>(s.open(Db).await?.len()) });
    /// assert_eq!(block_on(imported).unwrap(), 7);
    /// ```
    pub fn builder() -> ScopeBuilder {
        ScopeBuilder::new()
    }
}

impl<K: Kind, C: Clock> Handle<K, C> {
    fn defer(&self, at: &Location<'_>, finalizer: Box<K::Finalizer>) {
        ScopeShared::ensure_runner(&self.shared);
        let name = self.name().within(format_args!("finalizer at {at}"));
        let number = self.shared.book.with(|book| book.number());
        let registered = Registered {
            number,
            tag: Tag {
                name,
                subject: Subject::Deferred,
                why: None,
            },
            is_lent: false,
            finalizer,
        };
        ScopeShared::register(&self.shared, self.scope, registered);
    }

    fn deferred<B>(&self, body: B) -> Box<Deferred<B, C>> {
        Box::new(Deferred {
            body,
            clock: self.shared.clock.clone(),
            limit: self.shared.limits.close,
        })
    }

    fn child(&self) -> Option<Self> {
        let child = self.shared.book.with(|book| book.add_child(self.scope))?;
        Some(Self::first(self.shared.clone(), child))
    }
}

macro_rules! scope_handle {
    (
        $Scope:ident opens $Opened:ident of $Resource:ident as $Kind:ident,
        begun by $begin:literal,
        {$($clock:tt)+} {$($bounds:tt)+}
    ) => {
        impl<C: Clock> $Scope<C> {
            pub(crate) const fn new(handle: Handle<$Kind, C>) -> Self {
                Self(handle)
            }

            /// The scope's name, as it stands in events and reports. A child scope's is its parent's, with a
            /// number.
            ///
            /// ```
            #[doc = include_str!("../doc_setting.txt")]
            #[doc = concat!("let named = ", $begin, ", |s| async move { Ok::<_, BoxError>(s.name()) });")]
            /// assert!(block_on(named).unwrap().as_str().starts_with("Scope-"));
            /// ```
            #[must_use]
            pub fn name(&self) -> Name {
                self.0.name()
            }

            /// How many values were opened here and in child scopes, and where each of them is.
            ///
            /// ```
            #[doc = include_str!("../doc_setting.txt")]
            #[doc = concat!("let counted = ", $begin, ", |s| async move {")]
            ///     let held = s.open(Db).await?;
            ///     drop(s.open(Db).await?);
            ///     let audit = s.audit();
            ///     assert!(audit.is_balanced() && audit.in_use == 1 && audit.idle == 1);
            ///     drop(held);
            ///     Ok::<_, BoxError>(s)
            /// });
            /// assert_eq!(block_on(counted).unwrap().audit().closed, 2);
            /// ```
            #[must_use]
            pub fn audit(&self) -> Audit {
                self.0.shared.book.with(|book| book.audit(self.0.scope))
            }
        }

        impl<C: $($clock)+> $Scope<C> {
            /// Opens one value, in one attempt, which is closed when the scope ends: after whatever is opened
            /// or deferred later. The closes of a scope come one after the other, each with its own
            /// [limit](ScopeBuilder::close_timeout).
            ///
            /// For several attempts, wrap it in [`retry`](crate::retry()): what does not open leaves nothing
            /// behind. For values that are used again and again, take a [`Pool`](crate::Pool).
            ///
            /// ```
            #[doc = include_str!("../doc_setting.txt")]
            #[doc = concat!("let greeting = ", $begin, ", |s| async move {")]
            ///     let mut session = s.open(Db).await?;
            ///     session.push_str(", hello");
            ///     Ok::<_, BoxError>(session.clone())
            /// });
            /// assert_eq!(block_on(greeting).unwrap(), "session, hello");
            /// ```
            ///
            /// # Errors
            /// [`OpenError::Failed`], also after the [limit](ScopeBuilder::open_timeout) or a panic, which
            /// its cause tells; [`OpenError::ScopeEnded`] on a handle that has outlived its scope. A value
            /// that is open only after its scope has ended is closed at once.
            ///
            /// # Cancel safety
            /// Dropping the future calls the opening off, and nothing is left of it.
            pub async fn open<R: $Resource + 'static>(
                &self,
                resource: R,
            ) -> Result<$Opened<R, C>, OpenError>
            where
                R::Error: Into<BoxError>,
            {
                let held = self.0.open(HeldResource::new(resource), |close| Box::new(close)).await?;
                Ok($Opened::new(held))
            }

            /// Has a finalizer run when the scope ends, before whatever was opened and deferred earlier. It is
            /// told how the scope ended, and has as much time as a
            /// [close](ScopeBuilder::close_timeout). An error of it, or a panic (with `std`), stands in the
            /// scope's [`Report`](crate::Report) and keeps no other from being run.
            ///
            /// It may borrow nothing, though the body may: after a cancellation it runs in a task of its own,
            /// when what was borrowed may be gone. Where nothing was spawned it is dropped then, and counted.
            /// On a handle that has outlived its scope it runs at once in such a task, or is dropped; that of a
            /// child scope is not dropped, but run when the parent ends.
            ///
            /// ```
            #[doc = include_str!("../doc_setting.txt")]
            #[doc = concat!("let ended = ", $begin, ", |s| async move {")]
            ///     s.defer(|exit| async move {
            ///         println!("the scope has {exit}");
            ///         Ok(())
            ///     });
            ///     Ok::<_, BoxError>(())
            /// });
            /// block_on(ended).unwrap();
            /// ```
            ///
            /// ```compile_fail,E0597
            #[doc = include_str!("../doc_setting.txt")]
            /// let text = String::from("borrowed");
            /// let borrowed = &text;
            #[doc = concat!("let ended = ", $begin, ", |s| async move {")]
            ///     s.defer(move |_| async move { println!("{borrowed}"); Ok(()) });
            ///     Ok::<_, BoxError>(())
            /// });
            /// block_on(ended).unwrap();
            /// ```
            #[track_caller]
            pub fn defer<B, F>(&self, finalizer: B)
            where
                B: FnOnce(Exit) -> F + $($bounds)+,
                F: Future<Output = Result<(), BoxError>> + $($bounds)+,
            {
                self.0.defer(Location::caller(), self.0.deferred(finalizer));
            }

            /// Runs a scope within this one: what it opens and defers is finalized when it ends, with the same
            /// settings. If this scope is dropped, or ends while the other still runs elsewhere, that one is
            /// cancelled first.
            ///
            /// A child scope that is dropped is finalized in the background; where nothing was spawned, when
            /// this scope ends.
            ///
            /// ```
            #[doc = include_str!("../doc_setting.txt")]
            #[doc = concat!("let imported = ", $begin, ", |s| async move {")]
            ///     let target = s.open(Db).await?;
            ///     for _ in 0..3 {
            ///         s.scope(|file| async move { Ok::<_, BoxError>(drop(file.open(Db).await?)) }).await?;
            ///     }
            ///     assert_eq!(s.audit().live(), 1);
            ///     drop(target);
            ///     Ok::<_, BoxError>(())
            /// });
            /// block_on(imported).unwrap();
            /// ```
            ///
            /// # Errors
            /// As [`scope`](crate::scope()), and [`ScopeError::Unopened`] if this scope has ended.
            ///
            /// # Panics
            /// If the body does, after all finalizers were run.
            ///
            /// # Cancel safety
            /// Dropping the future cancels the child scope, and that alone.
            pub async fn scope<B, F, U, E>(&self, body: B) -> Result<U, ScopeError<E, U>>
            where
                B: FnOnce(Self) -> F,
                F: Future<Output = Result<U, E>>,
            {
                match self.0.child() {
                    Some(child) => {
                        let handle = Self(child.clone());
                        run(child, None, || body(handle)).await
                    }
                    None => {
                        let error = self.0.scope_ended();
                        Err(ScopeError::Unopened { error })
                    }
                }
            }
        }

        impl<C: Clock> Clone for $Scope<C> {
            fn clone(&self) -> Self {
                Self(self.0.clone())
            }
        }

        impl<C: Clock> fmt::Debug for $Scope<C> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($Scope))
                    .field("name", &self.name())
                    .finish_non_exhaustive()
            }
        }
    };
}

scope_handle! {
    Scope opens Opened of Resource as Sending,
    begun by "scope(&Runtime",
    {Clock<Sleep: Send + 'static> + Send + Sync + 'static} {Send + 'static}
}

scope_handle! {
    LocalScope opens LocalOpened of LocalResource as Staying,
    begun by "scope_inline(&NoTimer",
    {Clock<Sleep: 'static> + 'static} {'static}
}
