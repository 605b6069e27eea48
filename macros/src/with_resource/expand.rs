//! What the attribute writes.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{ReturnType, Type};

use super::function::Function;
use super::settings::{Flavour, Settings};

pub(super) fn expand(function: &Function, settings: &Settings) -> TokenStream {
    let Settings {
        resource,
        runtime,
        tenure,
        flavour,
        builder,
    } = settings;
    let Function { item, output, .. } = function;
    let (attributes, visibility, body) = (&item.attrs, &item.vis, &item.block.stmts);
    let mut signature = item.sig.clone();
    let (success, error) = function.success_and_error(tenure);
    let returned = quote_spanned! {output.span()=>
        ::core::result::Result<#success, #tenure::scope::ScopeError<#error, #success>>
    };
    signature.output = ReturnType::Type(Default::default(), Box::new(Type::Verbatim(returned)));
    let with_resource = Ident::new(flavour.method(), Span::call_site());
    let said = builder
        .iter()
        .map(|(setting, value)| quote!(.#setting(#value)));
    let resource_name = Ident::new("resource", unseen(resource.span()));
    let (parameter, value) = value(function);
    quote! {
        #(#attributes)*
        #visibility #signature {
            let #resource_name = #resource;
            #tenure::scope::Scope::builder()
                #(#said)*
                .#with_resource(&#runtime, #resource_name, async move |#parameter| -> #output {
                    #value
                    #(#body)*
                })
                .await
        }
    }
}

/// How the body is handed the value, in the form that its parameter has: borrowed, or as the guard itself.
fn value(function: &Function) -> (TokenStream, TokenStream) {
    let Function { pattern, ty, .. } = function;
    let span = unseen(ty.span());
    let opened = Ident::new("opened", span);
    match ty {
        Type::Reference(reference) => {
            // It lives as long as the body, whatever the lifetime was called.
            let (mutability, elem) = (&reference.mutability, &reference.elem);
            let mutably = mutability.map(|_| quote_spanned!(span=> mut));
            let value = quote_spanned!(span=> &#mutably *#opened);
            (
                quote!(#mutability #opened),
                quote!(let #pattern: &#mutability #elem = #value;),
            )
        }
        _ => (quote!(#opened), quote!(let #pattern: #ty = #opened;)),
    }
}

/// For names that the user's code does not see, told of at the user's own words.
fn unseen(span: Span) -> Span {
    Span::mixed_site().located_at(span)
}

impl Flavour {
    const fn method(self) -> &'static str {
        match self {
            Self::Sending => "with_resource",
            Self::Local => "with_resource_local",
            Self::Inline => "with_resource_inline",
        }
    }
}
