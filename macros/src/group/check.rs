//! Whether the members of a group and their needs make a graph.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::{Error, Ident, Result};

use super::{Member, combine};

/// Everything that is wrong with who needs whom. Where a name is wrong no circle is looked for.
pub(super) fn check(members: &[Member]) -> Result<()> {
    let mut errors = same_names(members);
    for member in members {
        errors.extend(wrong_needs(member, members));
    }
    combine(errors)?;
    circle(members).map_or(Ok(()), Err)
}

fn same_names(members: &[Member]) -> Vec<Error> {
    let mut errors = Vec::new();
    let members: Vec<&Member> = members
        .iter()
        .filter(|member| !member.is_skipped())
        .collect();
    for (number, member) in members.iter().enumerate() {
        let name = member.name();
        if let Some(first) = members[..number].iter().find(|other| other.name() == name) {
            let said = [&member.options.name, &first.options.name];
            let span = said
                .into_iter()
                .flatten()
                .next()
                .map_or(member.field.span(), |name| name.span());
            let message = format!(
                "`{}` and `{}` are both called \"{name}\": write another `name` for one of them",
                first.field, member.field,
            );
            errors.push(Error::new(span, message));
        }
    }
    errors
}

fn wrong_needs(member: &Member, members: &[Member]) -> Vec<Error> {
    let field = member.field.unraw();
    let mut errors = Vec::new();
    let earlier: Vec<&Ident> = member.options.needs().collect();
    for (number, needed) in earlier.iter().copied().enumerate() {
        let found = members.iter().find(|other| is(other, needed));
        let (word, does) = match number < member.options.after.len() {
            true => ("after", "comes after"),
            false => ("wants", "wants"),
        };
        let message = match found {
            Some(_) if is(member, needed) && word == "wants" => {
                format!("`{field}` cannot want itself: remove it from its own `wants(..)`")
            }
            Some(_) if is(member, needed) => {
                format!("`{field}` cannot come after itself: remove it from its own `after(..)`")
            }
            Some(found) if found.is_skipped() => format!(
                "`{field}` {does} `{needed}`, which is marked `skip` and so is no member: remove one of the two"
            ),
            Some(_) if earlier[..number].contains(&needed) => {
                format!(
                    "`{needed}` stands twice in what `{field}` comes after: remove one of the two"
                )
            }
            Some(_) => continue,
            None => format!(
                "`{field}` {does} `{needed}`, and there is no field of that name: {}",
                instead(member, needed, members, word),
            ),
        };
        errors.push(Error::new(needed.span(), message));
    }
    errors
}

/// The field whose name is the most like what was written, or all that there are.
fn instead(member: &Member, written: &Ident, members: &[Member], word: &str) -> String {
    let others = members
        .iter()
        .filter(|other| other.field != member.field && !other.is_skipped());
    let names: Vec<String> = others
        .map(|other| other.field.unraw().to_string())
        .collect();
    let written = written.unraw().to_string();
    let closest = names.iter().min_by_key(|name| distance(name, &written));
    match closest {
        Some(name) if distance(name, &written) <= 2 => format!("write `{name}`"),
        Some(_) => format!("write one of `{}`", names.join("`, `")),
        None => format!("write a field `{written}`, or remove the `{word}(..)`"),
    }
}

/// How many letters have to be added, removed or replaced to make one word of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (left, wanted) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *wanted);
            diagonal = row[left + 1];
            row[left + 1] = replaced.min(diagonal + 1).min(row[left] + 1);
        }
    }
    row[other.len()]
}

/// A circle of needs, told at the name that closes it.
fn circle(members: &[Member]) -> Option<Error> {
    let mut states = vec![Visit::Not; members.len()];
    let mut path = Vec::new();
    (0..members.len()).find_map(|member| walk(member, members, &mut states, &mut path))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    Not,
    UnderWay,
    Done,
}

fn walk(
    member: usize,
    members: &[Member],
    states: &mut [Visit],
    path: &mut Vec<usize>,
) -> Option<Error> {
    states[member] = Visit::UnderWay;
    path.push(member);
    for needed in members[member].options.needs() {
        let Some(next) = members.iter().position(|other| is(other, needed)) else {
            continue;
        };
        let error = match states[next] {
            Visit::Not => walk(next, members, states, path),
            Visit::UnderWay => {
                let first = path.iter().position(|walked| *walked == next).unwrap_or(0);
                Some(told(&path[first..], members, needed.span()))
            }
            Visit::Done => None,
        };
        if error.is_some() {
            return error;
        }
    }
    path.pop();
    states[member] = Visit::Done;
    None
}

fn told(circle: &[usize], members: &[Member], span: Span) -> Error {
    let mut message = String::new();
    // The last of the path has the attribute at which it is told.
    let last = &circle[circle.len() - 1..];
    for (place, member) in last.iter().chain(circle).enumerate() {
        let field = members[*member].field.unraw();
        message += &match place {
            0 => format!("`{field}`"),
            1 => format!(" comes after `{field}`"),
            _ => format!(", which comes after `{field}`"),
        };
    }
    message +=
        ", so that none of them could be the first to start: remove one of these `after(..)`";
    Error::new(span, message)
}

fn is(member: &Member, name: &Ident) -> bool {
    member.field.unraw() == name.unraw()
}
