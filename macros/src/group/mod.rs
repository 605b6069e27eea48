//! `#[derive(Group)]`: the fields of a struct become the members of a group.

mod check;
mod expand;
mod options;

use proc_macro2::TokenStream;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Field, Fields, Ident, Result, Type};

use options::{GroupOptions, MemberOptions};

/// What the derive writes for `input`, or everything that is wrong with it.
pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let declared = Declared::read(input)?;
    check::check(&declared.members)?;
    Ok(expand::expand(input, &declared))
}

/// A group as its struct declares it.
struct Declared {
    options: GroupOptions,
    /// Those fields that are not skipped are its members.
    members: Vec<Member>,
}

/// A field and what its attributes say.
struct Member {
    field: Ident,
    ty: Type,
    options: MemberOptions,
}

impl Declared {
    fn read(input: &DeriveInput) -> Result<Self> {
        let fields = named_fields(input)?;
        if let Some(lifetime) = input.generics.lifetimes().next() {
            let message = format!(
                "`{}` borrows for {}, but a group owns its members: write handles instead of references; \
                 `Managed`, `Pool` and `Group` are cheap to clone",
                input.ident, lifetime.lifetime,
            );
            return Err(Error::new_spanned(lifetime, message));
        }
        let options = GroupOptions::read(&input.attrs)?;
        let mut members = Vec::new();
        let mut errors = Vec::new();
        for field in fields {
            match Member::read(field) {
                Ok(member) => members.push(member),
                Err(error) => errors.push(error),
            }
        }
        combine(errors)?;
        if members.iter().all(Member::is_skipped) {
            let message = format!(
                "`{0}` has no members: write a field for each, such as `struct {0} {{ db: Managed<Db, Tokio> }}`",
                input.ident,
            );
            return Err(Error::new_spanned(&input.ident, message));
        }
        Ok(Self { options, members })
    }

    fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| !member.is_skipped())
    }
}

impl Member {
    fn read(field: &Field) -> Result<Self> {
        let Some(ident) = field.ident.clone() else {
            return Err(Error::new(field.span(), "a member of a group has a name"));
        };
        Ok(Self {
            options: MemberOptions::read(&ident, &field.attrs)?,
            field: ident,
            ty: field.ty.clone(),
        })
    }

    fn is_skipped(&self) -> bool {
        self.options.skip.is_some()
    }

    /// The name in the group: the field's, unless the attribute gives another.
    fn name(&self) -> String {
        match &self.options.name {
            Some(name) => name.value(),
            None => self.field.unraw().to_string(),
        }
    }
}

fn named_fields(input: &DeriveInput) -> Result<impl Iterator<Item = &Field>> {
    let name = &input.ident;
    let instead = format!("write `struct {name} {{ db: Managed<Db, Tokio>, .. }}`");
    let message = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => return Ok(fields.named.iter()),
            Fields::Unnamed(_) => {
                format!(
                    "the fields of `{name}` have no names, and a group calls its members by them: {instead}"
                )
            }
            Fields::Unit => {
                format!("`{name}` has no fields to be the members of a group: {instead}")
            }
        },
        Data::Enum(_) => {
            format!("`{name}` is an enum, and only a struct can be a group: {instead}")
        }
        Data::Union(_) => {
            format!("`{name}` is a union, and only a struct can be a group: {instead}")
        }
    };
    Err(Error::new_spanned(name, message))
}

/// All of the errors in one, if there are any.
fn combine(errors: Vec<Error>) -> Result<()> {
    let combined = errors.into_iter().reduce(|mut all, error| {
        all.combine(error);
        all
    });
    combined.map_or(Ok(()), Err)
}
