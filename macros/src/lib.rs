//! The macros of [`tenure`](https://docs.rs/tenure), which re-exports them with its feature `macros`.
//! There they have their documentation.
#![forbid(unsafe_code)]

mod group;
mod time;
mod with_resource;

use proc_macro::TokenStream;
use syn::parse_macro_input;

/// Makes a struct the members of a group: see `tenure::Group`.
#[proc_macro_derive(Group, attributes(group))]
pub fn derive_group(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input);
    answer(group::derive(&input))
}

/// Gives an async function a resource of its own: see `tenure::with_resource`.
#[proc_macro_attribute]
pub fn with_resource(arguments: TokenStream, item: TokenStream) -> TokenStream {
    answer(with_resource::expand(arguments.into(), item.into(), None))
}

/// [`with_resource`] on tokio.
#[proc_macro_attribute]
pub fn with_resource_on_tokio(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let runtime = quote::quote!(::tenure::tokio::Tokio::current());
    answer(with_resource::expand(
        arguments.into(),
        item.into(),
        Some(runtime),
    ))
}

/// [`with_resource`] on async-std.
#[proc_macro_attribute]
pub fn with_resource_on_async_std(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let runtime = quote::quote!(::tenure::async_std::AsyncStd);
    answer(with_resource::expand(
        arguments.into(),
        item.into(),
        Some(runtime),
    ))
}

/// [`with_resource`] on smol.
#[proc_macro_attribute]
pub fn with_resource_on_smol(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let runtime = quote::quote!(::tenure::smol::Smol);
    answer(with_resource::expand(
        arguments.into(),
        item.into(),
        Some(runtime),
    ))
}

fn answer(result: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    result.unwrap_or_else(syn::Error::into_compile_error).into()
}
