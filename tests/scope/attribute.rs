//! Functions that are given their resource by `#[with_resource]`.

use std::fmt::Debug;
use std::future::pending;
use std::io;
use std::time::Duration;

use futures::poll;
use tenure_core::scope::LocalOpened;
use tenure_core::{BoxError, LocalResource, OpenError, ScopeError, Why};
use tenure_macros::with_resource;

use super::Told;
use crate::worlds::World;

on_every_backend! {
    s14_the_attribute_opens_lends_and_closes,
    s14_the_attribute_closes_on_an_early_return,
    s14_the_attribute_closes_on_error_and_keeps_it,
    s14_the_attribute_closes_on_cancellation,
    s14_the_attribute_says_that_it_did_not_open,
    s14_the_attribute_keeps_its_time,
    s14_the_attribute_works_on_methods_with_generics_and_lifetimes,
    s14_the_attribute_lends_the_guard_or_a_shared_reference,
}

/// A book that is opened, written in and closed.
struct Book(Told);

impl LocalResource for Book {
    type Value = Vec<String>;
    type Error = BoxError;

    async fn open(&self) -> Result<Vec<String>, BoxError> {
        self.0.note("open");
        Ok(vec![String::from("title")])
    }

    async fn close(&self, lines: Vec<String>, _: Why) -> Result<(), BoxError> {
        self.0.note(format!("close after {} lines", lines.len()));
        Ok(())
    }

    fn abandon(&self, _: Vec<String>, why: tenure_core::Why) {
        self.0.note(format!("abandon ({why})"));
    }
}

#[with_resource(Book(told.clone()), inline, runtime = world.runtime(), crate = tenure_core)]
async fn write<W: World>(
    book: &mut Vec<String>,
    world: &W,
    told: &Told,
    lines: &[&str],
) -> Result<usize, BoxError> {
    if lines.is_empty() {
        return Ok(0);
    }
    for line in lines {
        let number: u8 = line.parse()?;
        book.push(number.to_string());
    }
    Ok(book.len())
}

async fn s14_the_attribute_opens_lends_and_closes<W: World>(world: W) {
    let told = Told::default();
    let written = write(&world, &told, &["1", "2"]).await;
    assert_eq!(written.expect("all went well"), 3);
    assert_eq!(told.all(), ["open", "close after 3 lines"]);
}

async fn s14_the_attribute_closes_on_an_early_return<W: World>(world: W) {
    let told = Told::default();
    assert_eq!(write(&world, &told, &[]).await.expect("all went well"), 0);
    assert_eq!(told.all(), ["open", "close after 1 lines"]);
}

async fn s14_the_attribute_closes_on_error_and_keeps_it<W: World>(world: W) {
    let told = Told::default();
    let error = write(&world, &told, &["1", "no number"])
        .await
        .expect_err("it is none");
    assert_eq!(told.all(), ["open", "close after 2 lines"]);
    let error = error.into_body().expect("the body's");
    assert!(error.is::<std::num::ParseIntError>(), "{error}");
}

#[with_resource(Book(told), inline, runtime = world.runtime(), crate = tenure_core)]
async fn hang<W: World>(_book: &mut Vec<String>, world: &W, told: Told) -> Result<(), BoxError> {
    pending().await
}

async fn s14_the_attribute_closes_on_cancellation<W: World>(world: W) {
    let told = Told::default();
    {
        let mut hanging = Box::pin(hang(&world, told.clone()));
        assert!(poll!(hanging.as_mut()).is_pending());
    }
    assert_eq!(told.all(), ["open", "abandon (scope cancelled)"]);
}

struct Missing;

impl LocalResource for Missing {
    type Value = u8;
    type Error = BoxError;

    async fn open(&self) -> Result<u8, BoxError> {
        Err("there is no such file".into())
    }
}

#[with_resource(Missing, name = "import", inline, runtime = world.runtime(), crate = tenure_core)]
async fn import<W: World>(_file: &u8, world: &W) -> io::Result<()> {
    unreachable!("there is no file")
}

async fn s14_the_attribute_says_that_it_did_not_open<W: World>(world: W) {
    // The alias of the body's result is seen through.
    let error: ScopeError<io::Error> = import(&world).await.expect_err("there is no file");
    let ScopeError::Unopened { error } = error else {
        panic!("{error:?}");
    };
    assert!(
        matches!(&error, OpenError::Failed { name, .. } if name.as_str().starts_with("import/"))
    );
}

#[with_resource(
    Book(told), timeout = limit, close_timeout = limit, open_timeout = None, inline,
    runtime = world.runtime(), crate = tenure_core,
)]
async fn linger<W: World>(
    _book: &mut Vec<String>,
    world: &W,
    told: Told,
    limit: Duration,
) -> Result<(), BoxError> {
    pending().await
}

async fn s14_the_attribute_keeps_its_time<W: World>(world: W) {
    let told = Told::default();
    let limit = world.tick();
    let error = linger(&world, told.clone(), limit)
        .await
        .expect_err("it hangs");
    assert!(matches!(error, ScopeError::TimedOut { limit: over, .. } if over == limit));
    assert_eq!(told.all(), ["open", "close after 1 lines"]);
}

struct Library<W> {
    world: W,
    told: Told,
    motto: String,
}

impl<W: World> Library<W> {
    #[with_resource(Book(self.told.clone()), inline, runtime = self.world.runtime(), crate = tenure_core)]
    async fn longer<'a, D>(
        &'a self,
        book: &mut Vec<String>,
        other: &'a str,
        shown: D,
    ) -> Result<&'a str, String>
    where
        D: Debug + Copy,
    {
        book.push(format!("{shown:?}"));
        if book.is_empty() {
            return Err("it was written in".into());
        }
        Ok(if other.len() > self.motto.len() {
            other
        } else {
            &self.motto
        })
    }
}

async fn s14_the_attribute_works_on_methods_with_generics_and_lifetimes<W: World>(world: W) {
    let told = Told::default();
    let library = Library {
        world,
        told: told.clone(),
        motto: String::from("nulla dies"),
    };
    assert_eq!(
        library.longer("sine", 'x').await.expect("all went well"),
        "nulla dies"
    );
    assert_eq!(
        library
            .longer("sine linea linea", 3)
            .await
            .expect("all went well"),
        "sine linea linea"
    );
    assert_eq!(
        told.all(),
        ["open", "close after 2 lines", "open", "close after 2 lines"]
    );
}

#[with_resource(Book(told), inline, runtime = world.runtime(), crate = tenure_core)]
async fn read<W: World>(book: &[String], world: &W, told: Told) -> Result<String, BoxError> {
    Ok(book[0].clone())
}

#[with_resource(Book(told), inline, runtime = world.runtime(), crate = tenure_core)]
async fn take<W: World>(
    mut book: LocalOpened<Book, W::Runtime>,
    world: &W,
    told: Told,
) -> Result<usize, BoxError> {
    book.clear();
    Ok(book.len())
}

async fn s14_the_attribute_lends_the_guard_or_a_shared_reference<W: World>(world: W) {
    let told = Told::default();
    assert_eq!(
        read(&world, told.clone()).await.expect("all went well"),
        "title"
    );
    assert_eq!(take(&world, told.clone()).await.expect("all went well"), 0);
    let wanted = ["open", "close after 1 lines", "open", "close after 0 lines"];
    assert_eq!(told.all(), wanted);
}
