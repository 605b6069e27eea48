//! Settings that are a time.

use quote::ToTokens;
use syn::{Error, Expr, Ident, Lit, Result};

/// A bare number has no unit.
pub(crate) fn check(setting: &Ident, time: &Expr) -> Result<()> {
    let Expr::Lit(literal) = time else {
        return Ok(());
    };
    let function = match literal.lit {
        Lit::Int(_) => "from_secs",
        Lit::Float(_) => "from_secs_f64",
        _ => return Ok(()),
    };
    let number = literal.to_token_stream();
    let message = format!("`{setting}` lacks a unit: write `Duration::{function}({number})`");
    Err(Error::new_spanned(literal, message))
}
