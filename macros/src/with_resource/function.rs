//! The function that `#[with_resource(..)]` stands above.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{
    Error, FnArg, GenericArgument, ItemFn, Pat, PathArguments, Result, ReturnType, Token, Type,
    parse2,
};

/// A function whose first parameter is the value of a resource.
pub(super) struct Function {
    /// Without that parameter.
    pub(super) item: ItemFn,
    pub(super) pattern: Pat,
    pub(super) ty: Type,
    /// What it returns as it is written.
    pub(super) output: Type,
}

impl Function {
    pub(super) fn read(item: TokenStream) -> Result<Self> {
        let mut item: ItemFn = parse2(item).map_err(|error| {
            let message =
                "`with_resource` stands above an async function, or a method, that has a body";
            Error::new(error.span(), message)
        })?;
        let name = item.sig.ident.clone();
        if item.sig.asyncness.is_none() {
            let message = format!(
                "`{name}` is not async, and opening takes an await: write `async fn {name}`"
            );
            return Err(Error::new_spanned(item.sig.fn_token, message));
        }
        let output = output_of(&item)?;
        let (pattern, ty) = take_first_parameter(&mut item)?;
        Ok(Self {
            item,
            pattern,
            ty,
            output,
        })
    }

    /// The types of its success and of its error.
    pub(super) fn success_and_error(&self, tenure: &TokenStream) -> (TokenStream, TokenStream) {
        let output = &self.output;
        match arguments_of_result(output) {
            Some((success, error)) => (quote!(#success), quote!(#error)),
            // An alias, such as `io::Result<T>`.
            None => {
                let as_result =
                    quote_spanned!(output.span()=> <#output as #tenure::scope::ResultType>);
                (quote!(#as_result::Value), quote!(#as_result::Error))
            }
        }
    }
}

fn output_of(item: &ItemFn) -> Result<Type> {
    let name = &item.sig.ident;
    let ReturnType::Type(_, output) = &item.sig.output else {
        let message =
            format!("`{name}` returns nothing, and opening may fail: write `-> Result<(), Error>`");
        return Err(Error::new_spanned(&item.sig.ident, message));
    };
    if mentions_impl(output.to_token_stream()) {
        let message = format!(
            "the type that `{name}` returns has to be written twice, so it needs a name: write it instead of `impl`, \
             or box it",
        );
        return Err(Error::new_spanned(output, message));
    }
    Ok(Type::clone(output))
}

fn take_first_parameter(item: &mut ItemFn) -> Result<(Pat, Type)> {
    let name = item.sig.ident.clone();
    let inputs = core::mem::take(&mut item.sig.inputs);
    let mut value = None;
    let mut rest = Punctuated::<FnArg, Token![,]>::new();
    for input in inputs {
        match input {
            FnArg::Typed(typed) if value.is_none() => value = Some(typed),
            other => rest.push(other),
        }
    }
    let Some(value) = value else {
        let message = format!(
            "`{name}` has no parameter for the value of the resource: write one before all others, such as \
             `db: &mut Connection`",
        );
        return Err(Error::new_spanned(&item.sig.ident, message));
    };
    item.sig.inputs = rest;
    Ok((*value.pat, *value.ty))
}

/// `T` and `E` of a type that is written `Result<T, E>`.
fn arguments_of_result(ty: &Type) -> Option<(&Type, &Type)> {
    let Type::Path(path) = ty else {
        return None;
    };
    let last = path.path.segments.last()?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    let mut types = arguments.args.iter().map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    let (success, error) = (types.next()??, types.next()??);
    (last.ident == "Result" && types.next().is_none()).then_some((success, error))
}

fn mentions_impl(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(word) => word == "impl",
        TokenTree::Group(group) => mentions_impl(group.stream()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}
