//! What the attribute `#[group(..)]` says of a struct, and of a field.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, Ident, LitStr, Path, Result, Token, parenthesized};

use crate::time;

/// What it says of the struct.
#[derive(Default)]
pub(super) struct GroupOptions {
    pub(super) name: Option<LitStr>,
    pub(super) most_at_once: Option<Expr>,
    /// The path of `tenure`, where that is not `::tenure`.
    pub(super) tenure: Option<Path>,
}

/// What it says of a field.
#[derive(Default)]
pub(super) struct MemberOptions {
    pub(super) name: Option<LitStr>,
    /// The fields that the field requires.
    pub(super) after: Vec<Ident>,
    /// The fields that it comes after and can do without.
    pub(super) wants: Vec<Ident>,
    pub(super) optional: Option<Span>,
    pub(super) start_timeout: Option<Expr>,
    pub(super) stop_timeout: Option<Expr>,
    pub(super) skip: Option<Span>,
}

impl GroupOptions {
    pub(super) fn read(attributes: &[Attribute]) -> Result<Self> {
        let mut options = Self::default();
        each_option(attributes, |option| {
            let word = word_of(&option)?;
            match word.to_string().as_str() {
                "name" => set(&mut options.name, &option, "the group")?,
                "most_at_once" => set(&mut options.most_at_once, &option, "the group")?,
                "crate" => set(&mut options.tenure, &option, "the group")?,
                "after" | "wants" | "optional" | "start_timeout" | "stop_timeout" | "skip" => {
                    return Err(option.error(format_args!(
                        "`{word}` is said of a member: write it above the member's field"
                    )));
                }
                _ => {
                    return Err(option.error(format_args!(
                        "a group has no option `{word}`: write `name = \"..\"`, `most_at_once = ..` or \
                         `crate = ..`"
                    )));
                }
            }
            Ok(())
        })?;
        Ok(options)
    }
}

impl MemberOptions {
    /// All that it comes after.
    pub(super) fn needs(&self) -> impl Iterator<Item = &Ident> {
        self.after.iter().chain(&self.wants)
    }

    pub(super) fn read(field: &Ident, attributes: &[Attribute]) -> Result<Self> {
        let mut options = Self::default();
        let of = format!("`{}`", field.unraw());
        each_option(attributes, |option| {
            let word = word_of(&option)?;
            match word.to_string().as_str() {
                "name" => set(&mut options.name, &option, &of)?,
                "after" => options.after.extend(names(&option, &of)?),
                "wants" => options.wants.extend(names(&option, &of)?),
                "optional" => mark(&mut options.optional, &option, &of)?,
                "start_timeout" => set_time(&mut options.start_timeout, &option, &of)?,
                "stop_timeout" => set_time(&mut options.stop_timeout, &option, &of)?,
                "skip" => mark(&mut options.skip, &option, &of)?,
                _ => {
                    return Err(option.error(format_args!(
                        "{of} has the unknown option `{word}`: write `after(..)`, `wants(..)`, `optional`, `name = \"..\"`, \
                         `start_timeout = ..`, `stop_timeout = ..` or `skip`"
                    )));
                }
            }
            Ok(())
        })?;
        options.check_skip(&of)?;
        Ok(options)
    }

    /// What is no member has nothing else said of it.
    fn check_skip(&self, of: &str) -> Result<()> {
        let Some(skip) = self.skip else {
            return Ok(());
        };
        let others = [
            ("name", self.name.is_some()),
            ("after(..)", !self.after.is_empty()),
            ("wants(..)", !self.wants.is_empty()),
            ("optional", self.optional.is_some()),
            ("start_timeout", self.start_timeout.is_some()),
            ("stop_timeout", self.stop_timeout.is_some()),
        ];
        match others.iter().find(|(_, said)| *said) {
            Some((other, _)) => Err(syn::Error::new(
                skip,
                format!(
                    "{of} is no member if it is marked `skip`, so `{other}` has no meaning: remove one of the two"
                ),
            )),
            None => Ok(()),
        }
    }
}

fn each_option(
    attributes: &[Attribute],
    mut read: impl FnMut(ParseNestedMeta<'_>) -> Result<()>,
) -> Result<()> {
    let attributes = attributes.iter();
    for attribute in attributes.filter(|attribute| attribute.path().is_ident("group")) {
        attribute.parse_nested_meta(&mut read)?;
    }
    Ok(())
}

fn word_of(option: &ParseNestedMeta<'_>) -> Result<Ident> {
    match option.path.get_ident() {
        Some(word) => Ok(word.clone()),
        None => Err(option.error("an option is a single word, such as `optional`")),
    }
}

/// Reads `word = value`.
fn set<T: syn::parse::Parse>(
    place: &mut Option<T>,
    option: &ParseNestedMeta<'_>,
    of: &str,
) -> Result<()> {
    if place.is_some() {
        return Err(said_twice(option, of)?);
    }
    *place = Some(option.value()?.parse()?);
    Ok(())
}

/// Reads `word = duration`.
fn set_time(place: &mut Option<Expr>, option: &ParseNestedMeta<'_>, of: &str) -> Result<()> {
    set(place, option, of)?;
    match place {
        Some(time) => time::check(&word_of(option)?, time),
        None => Ok(()),
    }
}

/// Reads a word that stands alone.
fn mark(place: &mut Option<Span>, option: &ParseNestedMeta<'_>, of: &str) -> Result<()> {
    if place.is_some() {
        return Err(said_twice(option, of)?);
    }
    *place = Some(word_of(option)?.span());
    Ok(())
}

fn said_twice(option: &ParseNestedMeta<'_>, of: &str) -> Result<syn::Error> {
    let word = word_of(option)?;
    Ok(option.error(format_args!(
        "`{word}` is said twice of {of}: remove one of the two"
    )))
}

/// Reads `after(db, cache)`, or `wants(..)`.
fn names(option: &ParseNestedMeta<'_>, of: &str) -> Result<Punctuated<Ident, Token![,]>> {
    let word = word_of(option)?;
    let does = match word.to_string().as_str() {
        "wants" => "wants",
        _ => "comes after",
    };
    if !option.input.peek(syn::token::Paren) {
        return Err(option.error(format_args!(
            "what {of} {does} stands in parentheses, by the names of the fields: write `{word}(db)`"
        )));
    }
    let list;
    parenthesized!(list in option.input);
    if list.is_empty() {
        return Err(option.error(format_args!(
            "{of} {does} nobody: write `{word}(db)` with the names of fields, or remove `{word}()`"
        )));
    }
    if !list.peek(Ident::peek_any) {
        return Err(list.error(format_args!(
            "what {of} {does} is the name of a field: write `{word}(db)`"
        )));
    }
    list.parse_terminated(Ident::parse_any, Token![,])
}
