//! Groups: different resources that are started and stopped as one.
//!
//! The members are [`Part`]s, which do what their test tells them to and keep a common diary.

mod derived;
mod down;
mod form;
mod health;
mod supervise;
mod time;
mod up;
mod while_running;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use tenure_core::group::{GroupBuilder, LocalLifecycle, LocalMember, LocalMembers};
use tenure_core::{BoxError, Group, State, Timer};

use crate::worlds::{World, yield_now};

/// What a part does when it is told to start or to stop.
#[derive(Clone, Copy, Debug, Default)]
enum Act {
    #[default]
    Succeed,
    Fail(&'static str),
    /// Takes so many ticks.
    Take(u32),
    Hang,
    Panic(&'static str),
}

/// The common diary of all parts, and what each of them is to do.
#[derive(Clone, Debug, Default)]
struct Diary(Rc<Pages>);

#[derive(Debug, Default)]
struct Pages {
    lines: RefCell<Vec<String>>,
    starts: RefCell<HashMap<&'static str, Act>>,
    stops: RefCell<HashMap<&'static str, Act>>,
    states: RefCell<HashMap<&'static str, State>>,
    /// How many checks of a part fail until it is well by itself.
    sick: RefCell<HashMap<&'static str, u32>>,
    recovering: RefCell<HashSet<&'static str>>,
    checks: Cell<usize>,
    told: RefCell<HashMap<&'static str, Option<Duration>>>,
    /// How many starts and stops are under way, and were at most.
    under_way: Cell<usize>,
    most_under_way: Cell<usize>,
}

/// How often others come first before what takes time is over.
const TURNS: usize = 4;

/// A member that does as it is told.
struct Part<T> {
    name: &'static str,
    diary: Diary,
    timer: T,
    tick: Duration,
}

impl Diary {
    fn on_start(&self, name: &'static str, act: Act) {
        self.0.starts.borrow_mut().insert(name, act);
    }

    fn on_stop(&self, name: &'static str, act: Act) {
        self.0.stops.borrow_mut().insert(name, act);
    }

    fn is_now(&self, name: &'static str, state: State) {
        self.0.states.borrow_mut().insert(name, state);
    }

    /// After so many checks a part is well again.
    fn recovers_after(&self, name: &'static str, checks: u32) {
        self.0.sick.borrow_mut().insert(name, checks);
    }

    /// From now on a part says that it recovers by itself, or no more.
    fn recovers(&self, name: &'static str, does: bool) {
        let mut recovering = self.0.recovering.borrow_mut();
        recovering.remove(name);
        recovering.extend(does.then_some(name));
    }

    /// How many checks there were.
    fn checks(&self) -> usize {
        self.0.checks.get()
    }

    /// How much time the stop of a part was told to take.
    fn told(&self, name: &str) -> Option<Duration> {
        self.0.told.borrow()[name]
    }

    fn part<W: World>(&self, world: &W, name: &'static str) -> Part<W::Runtime> {
        Part {
            name,
            diary: self.clone(),
            timer: world.runtime(),
            tick: world.tick(),
        }
    }

    /// A group of parts, each with the names of those it needs.
    fn group<W: World>(
        &self,
        world: &W,
        parts: &[(&'static str, &[&'static str])],
    ) -> GroupBuilder<LocalMember> {
        let empty = Group::local_builder("service");
        parts.iter().fold(empty, |group, (name, needs)| {
            let group = group.add(*name, self.part(world, name));
            needs
                .iter()
                .fold(group, |group, needed| group.after(*needed))
        })
    }

    fn write(&self, line: String) {
        self.0.lines.borrow_mut().push(line);
    }

    fn lines(&self) -> Vec<String> {
        self.0.lines.borrow().clone()
    }

    /// Where a line stands. It must be there.
    fn at(&self, line: &str) -> usize {
        let lines = self.lines();
        let at = lines.iter().position(|written| written == line);
        at.unwrap_or_else(|| panic!("{line} is not in {lines:?}"))
    }

    fn has(&self, line: &str) -> bool {
        self.count(line) > 0
    }

    fn count(&self, line: &str) -> usize {
        let lines = self.lines();
        lines.iter().filter(|written| *written == line).count()
    }

    /// How many handles there are: one for each part, and that of the test.
    fn known_by(&self) -> usize {
        Rc::strong_count(&self.0)
    }

    fn most_under_way(&self) -> usize {
        self.0.most_under_way.get()
    }
}

impl<T: Timer + 'static> Part<T> {
    async fn perform(&self, act: Act) -> Result<(), BoxError> {
        let pages = &*self.diary.0;
        let _counted = Counted::new(pages);
        match act {
            Act::Succeed => Ok(()),
            Act::Fail(error) => Err(error.into()),
            Act::Take(ticks) => {
                let at = self.timer.now() + self.tick * ticks;
                self.timer.sleep_until(at).await;
                // Where time is real it may be over before those beside it were begun.
                for _ in 0..TURNS {
                    yield_now().await;
                }
                Ok(())
            }
            Act::Hang => pending().await,
            Act::Panic(message) => panic!("{message}"),
        }
    }
}

impl<T: Timer + 'static> LocalLifecycle for Part<T> {
    async fn start(&self) -> Result<(), BoxError> {
        let act = self.diary.0.starts.borrow().get(self.name).copied();
        self.diary.write(format!("{} starts", self.name));
        self.perform(act.unwrap_or_default()).await?;
        self.diary.0.states.borrow_mut().remove(self.name);
        self.diary.write(format!("{} is up", self.name));
        Ok(())
    }

    async fn stop(&self, within: Option<Duration>) -> Result<(), BoxError> {
        let act = self.diary.0.stops.borrow().get(self.name).copied();
        self.diary.write(format!("{} stops", self.name));
        self.diary.0.told.borrow_mut().insert(self.name, within);
        self.perform(act.unwrap_or_default()).await?;
        self.diary.write(format!("{} is down", self.name));
        Ok(())
    }

    async fn check(&self) -> Result<(), BoxError> {
        let pages = &*self.diary.0;
        pages.checks.set(pages.checks.get() + 1);
        match self.state() {
            State::Ready => Ok(()),
            state => {
                if let Some(left) = pages.sick.borrow_mut().get_mut(self.name) {
                    *left -= 1;
                    if *left == 0 {
                        pages.states.borrow_mut().remove(self.name);
                    }
                }
                Err(format!("it is {state}").into())
            }
        }
    }

    fn state(&self) -> State {
        let states = self.diary.0.states.borrow();
        states.get(self.name).copied().unwrap_or(State::Ready)
    }

    fn is_recovering(&self) -> bool {
        self.diary.0.recovering.borrow().contains(self.name)
    }

    fn abandon(&self) {
        self.diary.write(format!("{} is abandoned", self.name));
    }
}

/// One more that is under way, until it is dropped.
struct Counted<'a>(&'a Pages);

impl<'a> Counted<'a> {
    fn new(pages: &'a Pages) -> Self {
        let count = pages.under_way.get() + 1;
        pages.under_way.set(count);
        pages
            .most_under_way
            .set(count.max(pages.most_under_way.get()));
        Self(pages)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.under_way.set(self.0.under_way.get() - 1);
    }
}

type LocalGroup<W> = Group<<W as World>::Runtime, LocalMembers>;

fn built<W: World>(world: &W, group: GroupBuilder<LocalMember>) -> LocalGroup<W> {
    group.build_local(world.runtime()).expect("a graph")
}
