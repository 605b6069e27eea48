//! A resource in the hands of a holder that tells of errors.

use core::ops::Deref;

use crate::cause::Cause;
use crate::contain::HookError;
use crate::resource::{BoxError, LocalResource};

/// A resource, and how its errors are kept. The trait asks for no more of an error than that it can be handed on, so that
/// it serves where there is no heap; whoever builds a holder on the heap shows here that it can be boxed.
pub(crate) struct HeldResource<R: LocalResource> {
    resource: R,
    into_cause: fn(R::Error) -> Cause,
}

impl<R: LocalResource<Error: Into<BoxError>>> HeldResource<R> {
    pub(crate) fn new(resource: R) -> Self {
        Self {
            resource,
            into_cause: Cause::new,
        }
    }
}

impl<R: LocalResource> HeldResource<R> {
    /// Another resource, with the same errors.
    pub(crate) fn replaced<Q: LocalResource<Error = R::Error>>(&self, by: Q) -> HeldResource<Q> {
        HeldResource {
            resource: by,
            into_cause: self.into_cause,
        }
    }

    pub(crate) fn cause_of(&self, error: R::Error) -> Cause {
        (self.into_cause)(error)
    }

    pub(crate) fn cause_of_hook(&self, error: HookError<R::Error>) -> Cause {
        match error {
            HookError::Failed(error) => self.cause_of(error),
            HookError::TimedOut(cause) | HookError::Panicked(cause) => cause,
        }
    }
}

impl<R: LocalResource> Deref for HeldResource<R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.resource
    }
}
