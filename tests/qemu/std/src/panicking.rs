use alloc::boxed::Box;
use core::any::Any;

/// Calls `f`, whose panic nothing can catch.
pub fn catch_unwind<U>(f: impl FnOnce() -> U) -> Result<U, Box<dyn Any + Send>> {
    Ok(f())
}

/// Ends the program.
pub fn resume_unwind(payload: Box<dyn Any + Send>) -> ! {
    match payload.downcast_ref::<&str>() {
        Some(message) => core::panic!("{message}"),
        None => core::panic!("a panic without a message"),
    }
}
