use std::future::pending;

use futures::FutureExt;

use super::ROOT;
use crate::name::Name;
use crate::runtime::NoTimer;
use crate::scope::finalizer::Staying;
use crate::scope::run::run;
use crate::scope::shared::{Handle, ScopeLimits, ScopeShared};

type Scope = Handle<Staying, NoTimer>;

fn parent() -> Scope {
    let name = Name::new("parent");
    let limits = ScopeLimits {
        open: None,
        hook: None,
        close: None,
    };
    Handle::root(ScopeShared::new(NoTimer, name, limits, None, None))
}

fn child(parent: &Scope) -> Scope {
    let child = parent.shared.book.with(|book| book.add_child(parent.scope));
    Handle::first(
        parent.shared.clone(),
        child.expect("the parent has not ended"),
    )
}

/// How many scopes the book knows of, and how many entries the outermost has.
fn sizes(parent: &Scope) -> (usize, usize) {
    parent
        .shared
        .book
        .with(|book| (book.scopes.len(), book.chapter(ROOT).entries.len()))
}

#[test]
fn b11_child_scopes_that_are_over_leave_nothing_behind() {
    let parent = parent();
    for _ in 0..3 {
        let one = child(&parent);
        let inner = child(&one);
        let ended = run(inner, None, || async { Ok::<_, ()>(()) }).now_or_never();
        assert!(ended.expect("it waits for nothing").is_ok());
        let ended = run(one, None, || async { Ok::<_, ()>(()) }).now_or_never();
        assert!(ended.expect("it waits for nothing").is_ok());
    }
    assert_eq!(sizes(&parent), (1, 0));
}

#[test]
fn b11_child_scope_that_is_dropped_leaves_nothing_behind() {
    let parent = parent();
    let dropped = run(child(&parent), None, pending::<Result<(), ()>>);
    assert!(dropped.now_or_never().is_none());
    assert_eq!(sizes(&parent), (1, 0));
}

#[test]
fn b11_child_scope_is_known_for_as_long_as_a_handle_is() {
    let parent = parent();
    let one = child(&parent);
    let ended = run(one.clone(), None, || async { Ok::<_, ()>(()) }).now_or_never();
    assert!(ended.expect("it waits for nothing").is_ok());
    assert_eq!(sizes(&parent), (2, 1));
    assert!(one.has_ended());
    drop(one);
    assert_eq!(sizes(&parent), (1, 0));
}
