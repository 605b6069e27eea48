//! State that outlives a value: what each opening takes along, and what comes back from every end.

use core::fmt;
use core::ops::{Deref, DerefMut};

use crate::sync::StaticLock;

/// Something that values need and that there is only once: buffers, pins, a peripheral, a session that is resumed.
///
/// Each [open](crate::LocalResource::open) takes it along, and the value has it in a [`PartsGuard`]. However the value ends,
/// closed, with its opening cut off, or abandoned, the guard is dropped, and the next opening finds it here.
///
/// Do not take it where two values may be open at a time: the second would find nothing.
///
/// ```
/// use tenure_core::fixed::{FixedPool, Parts, PartsGuard};
/// use tenure_core::{LocalResource, NoTimer};
///
/// struct Uart {
///     baud: u32,
/// }
///
/// /// A resource may borrow, and so may its values.
/// struct Modem<'p> {
///     uart: &'p Parts<Uart>,
/// }
///
/// struct Session<'p> {
///     uart: PartsGuard<'p, Uart>,
/// }
///
/// impl<'p> LocalResource for Modem<'p> {
///     type Value = Session<'p>;
///     type Error = &'static str;
///     const EXCLUSIVE: bool = true;
///
///     async fn open(&self) -> Result<Session<'p>, &'static str> {
///         let mut uart = self.uart.take().ok_or("the UART is in use")?;
///         uart.baud = 115_200;
///         Ok(Session { uart })
///     }
/// }
///
/// # futures::executor::block_on(async {
/// let uart = Parts::new(Uart { baud: 9_600 });
/// let pool: FixedPool<_, NoTimer, 1, 4> = FixedPool::new(Modem { uart: &uart }, NoTimer);
/// let session = pool.acquire().await.unwrap();
/// assert_eq!(session.uart.baud, 115_200);
/// session.discard();
/// assert_eq!(pool.acquire().await.unwrap().uart.baud, 115_200);
/// # });
/// ```
#[derive(Default)]
pub struct Parts<T>(StaticLock<Option<T>>);

impl<T> Parts<T> {
    /// Something that nobody has.
    ///
    /// ```
    /// use tenure_core::fixed::Parts;
    /// static BUFFER: Parts<[u8; 64]> = Parts::new([0; 64]);
    /// ```
    pub const fn new(parts: T) -> Self {
        Self(StaticLock::new(Some(parts)))
    }

    /// Takes it, unless somebody has it.
    ///
    /// ```
    /// use tenure_core::fixed::Parts;
    /// let buffer = Parts::new([0; 64]);
    /// let taken = buffer.take().unwrap();
    /// assert!(buffer.take().is_none());
    /// drop(taken);
    /// assert!(buffer.take().is_some());
    /// ```
    pub fn take(&self) -> Option<PartsGuard<'_, T>> {
        let parts = self.0.with(Option::take);
        parts.map(|parts| PartsGuard {
            home: self,
            parts: Some(parts),
        })
    }
}

impl<T> fmt::Debug for Parts<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}

/// What was taken from [`Parts`]. It goes back as this is dropped.
pub struct PartsGuard<'p, T> {
    home: &'p Parts<T>,
    /// Absent while it is dropped.
    parts: Option<T>,
}

impl<T> Deref for PartsGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.parts {
            Some(parts) => parts,
            None => unreachable!("they are here until this is dropped"),
        }
    }
}

impl<T> DerefMut for PartsGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        match &mut self.parts {
            Some(parts) => parts,
            None => unreachable!("they are here until this is dropped"),
        }
    }
}

impl<T> Drop for PartsGuard<'_, T> {
    fn drop(&mut self) {
        let parts = self.parts.take();
        self.home.0.with(|home| *home = parts);
    }
}

impl<T: fmt::Debug> fmt::Debug for PartsGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PartsGuard").field(&**self).finish()
    }
}
