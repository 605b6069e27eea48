//! `#[with_resource(..)]`: an async function that is given a resource's value by itself.

mod expand;
mod function;
mod settings;

use proc_macro2::TokenStream;
use syn::Result;

use function::Function;
use settings::Settings;

/// The function of `item` without its first parameter, which it opens and closes around its body.
pub(crate) fn expand(
    arguments: TokenStream,
    item: TokenStream,
    runtime: Option<TokenStream>,
) -> Result<TokenStream> {
    let function = Function::read(item)?;
    let settings = Settings::read(arguments, runtime)?;
    Ok(expand::expand(&function, &settings))
}
