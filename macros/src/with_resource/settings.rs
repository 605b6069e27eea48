//! What stands in the parentheses of `#[with_resource(..)]`.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Error, Expr, Ident, Path, Result, Token};

use crate::time;

/// The resource, where it is opened, and how.
pub(super) struct Settings {
    pub(super) resource: Expr,
    pub(super) runtime: TokenStream,
    pub(super) tenure: TokenStream,
    pub(super) flavour: Flavour,
    /// What is said to the scope's builder: `name(..)`, `timeout(..)`.
    pub(super) builder: Vec<(Ident, Expr)>,
}

/// Which of the three forms of a scope it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flavour {
    Sending,
    Local,
    Inline,
}

const KNOWN: &str = "`timeout`, `open_timeout`, `close_timeout`, `hook_timeout`, `name`, `events`, `runtime`, `crate`, `local` \
                     or `inline`";
const OF_THE_BUILDER: [&str; 6] = [
    "timeout",
    "open_timeout",
    "close_timeout",
    "hook_timeout",
    "name",
    "events",
];

impl Settings {
    /// `runtime` is that of the attribute, where its name says it.
    pub(super) fn read(arguments: TokenStream, runtime: Option<TokenStream>) -> Result<Self> {
        let said = Said::parse.parse2(arguments)?;
        let tenure = match &said.tenure {
            Some(path) => quote!(#path),
            None => quote!(::tenure),
        };
        let runtime = match said.runtime {
            Some(expr) => quote!(#expr),
            None => runtime.ok_or_else(|| {
                Error::new(
                    Span::call_site(),
                    "nothing says on which runtime the resource is opened: write `runtime = ..`, or the attribute \
                     of that runtime, such as `#[tenure::tokio::with_resource(..)]`",
                )
            })?,
        };
        Ok(Self {
            resource: said.resource,
            runtime,
            tenure,
            flavour: said.flavour.unwrap_or(Flavour::Sending),
            builder: said.builder,
        })
    }
}

/// The same, as it is written.
struct Said {
    resource: Expr,
    runtime: Option<Expr>,
    tenure: Option<Path>,
    flavour: Option<Flavour>,
    builder: Vec<(Ident, Expr)>,
}

impl Parse for Said {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if input.is_empty() || names_a_setting(input) {
            return Err(Error::new(
                input.span(),
                "the resource comes first: write `#[with_resource(Db::new(), ..)]`",
            ));
        }
        let mut said = Self {
            resource: input.parse()?,
            runtime: None,
            tenure: None,
            flavour: None,
            builder: Vec::new(),
        };
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if !input.is_empty() {
                said.read_setting(input)?;
            }
        }
        Ok(said)
    }
}

impl Said {
    fn read_setting(&mut self, input: ParseStream<'_>) -> Result<()> {
        if !input.peek(Ident::peek_any) {
            return Err(input.error(format!(
                "after the resource come settings by name: write {KNOWN}"
            )));
        }
        let word = input.call(Ident::parse_any)?;
        let name = word.to_string();
        let is_twice = match name.as_str() {
            "local" => self.flavour.replace(Flavour::Local).is_some(),
            "inline" => self.flavour.replace(Flavour::Inline).is_some(),
            "runtime" => self.runtime.replace(value(&word, input)?).is_some(),
            "crate" => self.tenure.replace(value(&word, input)?).is_some(),
            known if OF_THE_BUILDER.contains(&known) => {
                let is_twice = self.builder.iter().any(|(said, _)| *said == name);
                let value = value(&word, input)?;
                if name.ends_with("timeout") {
                    time::check(&word, &value)?;
                }
                self.builder.push((word.clone(), value));
                is_twice
            }
            _ => {
                let message = format!("`with_resource` has no setting `{name}`: write {KNOWN}");
                return Err(Error::new(word.span(), message));
            }
        };
        if is_twice {
            let message = match name.as_str() {
                "local" | "inline" => {
                    String::from("`local` and `inline` exclude each other: write one, once")
                }
                _ => format!("`{name}` is said twice: remove one of the two"),
            };
            return Err(Error::new(word.span(), message));
        }
        Ok(())
    }
}

/// Reads what follows after the word: `= value`.
fn value<T: Parse>(word: &Ident, input: ParseStream<'_>) -> Result<T> {
    if !input.peek(Token![=]) {
        let message = format!("`{word}` lacks its value: write `{word} = ..`");
        return Err(Error::new(word.span(), message));
    }
    input.parse::<Token![=]>()?;
    input.parse()
}

fn names_a_setting(input: ParseStream<'_>) -> bool {
    input.peek(Ident::peek_any) && input.peek2(Token![=]) && !input.peek2(Token![==])
}
