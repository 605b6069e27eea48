//! What the derive writes.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{DeriveInput, Ident};

use super::{Declared, Member};

pub(super) fn expand(input: &DeriveInput, declared: &Declared) -> TokenStream {
    let tenure = match &declared.options.tenure {
        Some(path) => quote!(#path),
        None => quote!(::tenure),
    };
    let name = &input.ident;
    let (impl_generics, type_generics, bounds) = input.generics.split_for_impl();
    let declaration = declaration(&tenure, name, declared);
    let arms = |call: fn(Call<'_>) -> TokenStream| -> TokenStream {
        let members = declared.members().enumerate();
        let arms = members.map(|(number, member)| {
            let call = call(Call::new(&tenure, member));
            quote!(#number => #call,)
        });
        arms.collect()
    };
    let starts = arms(|call| call.asynchronous("start", quote!()));
    let stops = arms(|call| call.asynchronous("stop", quote!(, within)));
    let restarts = arms(|call| call.asynchronous("restart", quote!()));
    let checks = arms(|call| call.asynchronous("check", quote!()));
    let states = arms(|call| call.synchronous("state"));
    let recoveries = arms(|call| call.synchronous("is_recovering"));
    let abandons = arms(|call| call.synchronous("abandon"));
    let always_stopped = arms(|call| call.constant("ALWAYS_STOPPED"));
    quote! {
        #[automatically_derived]
        impl #impl_generics #tenure::group::DeclaredMembers for #name #type_generics #bounds {
            fn declare() -> #tenure::group::GroupBuilder<()> {
                #declaration
            }
        }

        #[automatically_derived]
        impl #impl_generics #tenure::group::Members for #name #type_generics #bounds {
            async fn start(&self, member: usize) -> ::core::result::Result<(), #tenure::BoxError> {
                match member {
                    #starts
                    _ => ::core::result::Result::Ok(()),
                }
            }

            async fn stop(
                &self,
                member: usize,
                within: ::core::option::Option<::core::time::Duration>,
            ) -> ::core::result::Result<(), #tenure::BoxError> {
                match member {
                    #stops
                    _ => ::core::result::Result::Ok(()),
                }
            }

            async fn restart(&self, member: usize) -> ::core::result::Result<(), #tenure::BoxError> {
                match member {
                    #restarts
                    _ => ::core::result::Result::Ok(()),
                }
            }

            async fn check(&self, member: usize) -> ::core::result::Result<(), #tenure::BoxError> {
                match member {
                    #checks
                    _ => ::core::result::Result::Ok(()),
                }
            }

            fn state(&self, member: usize) -> #tenure::State {
                match member {
                    #states
                    _ => #tenure::State::Closed,
                }
            }

            fn is_recovering(&self, member: usize) -> bool {
                match member {
                    #recoveries
                    _ => false,
                }
            }

            fn abandon(&self, member: usize) {
                match member {
                    #abandons
                    _ => {}
                }
            }

            fn is_always_stopped(&self, member: usize) -> bool {
                match member {
                    #always_stopped
                    _ => false,
                }
            }
        }
    }
}

/// What is asked of one member. Whoever is no member is told so at the field's type.
struct Call<'a> {
    lifecycle: TokenStream,
    field: &'a Ident,
    span: Span,
}

impl<'a> Call<'a> {
    fn new(tenure: &TokenStream, member: &'a Member) -> Self {
        let ty = &member.ty;
        let span = ty.span();
        Self {
            lifecycle: quote_spanned!(span=> <#ty as #tenure::group::LocalLifecycle>),
            field: &member.field,
            span,
        }
    }

    fn asynchronous(self, function: &str, arguments: TokenStream) -> TokenStream {
        let call = self.call(function, arguments);
        quote_spanned!(self.span=> #call.await)
    }

    fn synchronous(self, function: &str) -> TokenStream {
        self.call(function, quote!())
    }

    fn call(&self, function: &str, arguments: TokenStream) -> TokenStream {
        let (lifecycle, field, function) =
            (&self.lifecycle, self.field, Ident::new(function, self.span));
        quote_spanned!(self.span=> #lifecycle::#function(&self.#field #arguments))
    }

    fn constant(self, constant: &str) -> TokenStream {
        let (lifecycle, constant) = (&self.lifecycle, Ident::new(constant, self.span));
        quote_spanned!(self.span=> #lifecycle::#constant)
    }
}

fn declaration(tenure: &TokenStream, name: &Ident, declared: &Declared) -> TokenStream {
    let options = &declared.options;
    let name = match &options.name {
        Some(name) => name.value(),
        None => snake_case(&name.unraw().to_string()),
    };
    let most_at_once = options.most_at_once.iter();
    let members = declared.members().map(|member| {
        let name = member.name();
        let name_of = |needed: &Ident| {
            let needed = needed.unraw();
            let found = declared
                .members()
                .find(|other| other.field.unraw() == needed);
            found.map_or(needed.to_string(), Member::name)
        };
        let after = member.options.after.iter().map(name_of);
        let wants = member.options.wants.iter().map(name_of);
        let optional = member
            .options
            .optional
            .map(|span| quote_spanned!(span=> .optional()));
        let start_timeout = member.options.start_timeout.iter();
        let stop_timeout = member.options.stop_timeout.iter();
        quote! {
            .add(#name, ())
            #(.after(#after))*
            #(.wants(#wants))*
            #optional
            #(.start_timeout(#start_timeout))*
            #(.stop_timeout(#stop_timeout))*
        }
    });
    quote! {
        #tenure::group::GroupBuilder::declared(#name)
            #(.most_at_once(#most_at_once))*
            #(#members)*
    }
}

/// `UserService` is called `user_service`.
fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    let mut previous = '_';
    for letter in name.chars() {
        if letter.is_uppercase() && previous.is_lowercase() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
        previous = letter;
    }
    snake
}
