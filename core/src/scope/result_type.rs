//! The type that a function returns which may fail.

/// A [`Result`], whatever it is called.
///
/// `#[with_resource]` asks it for the two types behind an alias such as [`std::io::Result`]. It is of use to
/// nobody else.
///
/// [`std::io::Result`]: https://doc.rust-lang.org/std/io/type.Result.html
///
/// ```
/// use tenure_core::scope::ResultType;
/// fn name_of<R: ResultType>() -> &'static str {
///     core::any::type_name::<R::Error>()
/// }
/// assert_eq!(name_of::<std::io::Result<u8>>(), "std::io::error::Error");
/// ```
#[diagnostic::on_unimplemented(
    message = "a function `with_resource` has to return a `Result`, for its resource may not open",
    label = "this is no `Result`",
    note = "write `Result<{Self}, Error>`"
)]
pub trait ResultType: sealed::Sealed {
    /// What it is in the case of success.
    type Value;
    /// What it is in the case of failure.
    type Error;
}

impl<T, E> ResultType for Result<T, E> {
    type Value = T;
    type Error = E;
}

mod sealed {
    #[diagnostic::on_unimplemented(
        message = "a function `with_resource` has to return a `Result`, for its resource may not open",
        label = "this is no `Result`",
        note = "write `Result<{Self}, Error>`"
    )]
    pub trait Sealed {}
    impl<T, E> Sealed for Result<T, E> {}
}
