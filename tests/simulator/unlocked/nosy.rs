//! A resource, its values and its errors, all of whose code looks.

use std::fmt;

use tenure_core::{BoxError, ErrorClass, Failure, Hooks, Resource, Why};

use super::lookout::Lookout;

/// A resource whose every hook looks. Those that a pool calls between uses are optional.
pub(super) struct Nosy<const HOOKED: bool = false>(pub(super) Lookout);

pub(super) struct NosyValue(pub(super) Lookout);

impl Clone for NosyValue {
    fn clone(&self) -> Self {
        self.0.look("clone");
        Self(self.0.clone())
    }
}

impl Drop for NosyValue {
    fn drop(&mut self) {
        self.0.look("drop of a value");
    }
}

/// An error that becomes a boxed one by code of its own.
pub(super) struct Refused {
    lookout: Lookout,
    class: ErrorClass,
}

impl Refused {
    pub(super) fn new(lookout: &Lookout, class: ErrorClass) -> Self {
        let lookout = lookout.clone();
        Self { lookout, class }
    }

    pub(super) fn reconnect(lookout: Lookout) -> Self {
        Self::new(&lookout, ErrorClass::Reconnect)
    }

    pub(super) const fn class(&self) -> ErrorClass {
        self.class
    }
}

impl Drop for Refused {
    fn drop(&mut self) {
        self.lookout.look("drop of an error");
    }
}

impl From<Refused> for BoxError {
    fn from(refused: Refused) -> Self {
        refused.lookout.look("conversion of an error");
        let source = Refused::new(&refused.lookout, refused.class);
        let source = Shown {
            refused: source,
            source: None,
        };
        Box::new(Shown {
            refused,
            source: Some(Box::new(source)),
        })
    }
}

/// The error as its cause shows it.
struct Shown {
    refused: Refused,
    source: Option<Box<Self>>,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.refused.lookout.look("display of an error");
        f.write_str("refused")
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.refused.lookout.look("debug of an error");
        f.write_str("Refused")
    }
}

impl std::error::Error for Shown {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.refused.lookout.look("source of an error");
        let source = self.source.as_deref()?;
        Some(source)
    }
}

/// Every second call of each hook fails, and of those between uses every seventh.
impl<const HOOKED: bool> Nosy<HOOKED> {
    fn fails(&self, hook: &'static str, each: usize) -> Result<(), Refused> {
        if self.0.look(hook).is_multiple_of(each) {
            return Err(Refused::new(&self.0, ErrorClass::Retry));
        }
        Ok(())
    }
}

impl<const HOOKED: bool> Resource for Nosy<HOOKED> {
    type Value = NosyValue;
    type Error = Refused;
    const CHECKED: bool = true;
    const HOOKS: Hooks = if HOOKED {
        Hooks::AFTER_OPEN
            .and(Hooks::BEFORE_ACQUIRE)
            .and(Hooks::AFTER_RELEASE)
            .and(Hooks::BEFORE_CLOSE)
    } else {
        Hooks::NONE
    };

    async fn open(&self) -> Result<NosyValue, Refused> {
        self.fails("open", 2)?;
        Ok(NosyValue(self.0.clone()))
    }

    async fn close(&self, value: NosyValue, _: Why) -> Result<(), Refused> {
        drop(value);
        self.fails("close", 2)
    }

    async fn check(&self, _: &mut NosyValue) -> Result<(), Refused> {
        self.fails("check", 2)
    }

    async fn after_open(&self, _: &mut NosyValue) -> Result<(), Refused> {
        self.fails("after_open", 7)
    }

    async fn before_acquire(&self, _: &mut NosyValue) -> Result<(), Refused> {
        self.fails("before_acquire", 7)
    }

    async fn after_release(&self, _: &mut NosyValue) -> Result<(), Refused> {
        self.fails("after_release", 7)
    }

    async fn before_close(&self, _: &mut NosyValue) -> Result<(), Refused> {
        self.fails("before_close", 7)
    }

    fn is_broken(&self, _: &mut NosyValue) -> bool {
        self.0.look("is_broken");
        false
    }

    fn classify(&self, failure: Failure<'_, Refused>) -> ErrorClass {
        self.0.look("classify");
        failure.error().map_or(ErrorClass::Retry, Refused::class)
    }

    fn abandon(&self, value: NosyValue, _: Why) {
        self.0.look("abandon");
        drop(value);
    }
}

/// An operation of a call.
pub(super) async fn ask(lookout: Lookout, value: NosyValue, broken: bool) -> Result<(), Refused> {
    lookout.look("call");
    drop(value);
    if broken {
        Err(Refused::reconnect(lookout))
    } else {
        Ok(())
    }
}
