//! Members that keep a diary of what their group tells them, and of how that ended.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tenure_core::group::LocalLifecycle;
use tenure_core::{BoxError, Resource, State, Why};
use tenure_sim::{Backend, FaultyResource, FaultyValue, Sim};

/// A member that opens a value when it starts, closes it when it stops, and has nothing else but the defaults.
pub(super) struct Part {
    resource: FaultyResource,
    value: RefCell<Option<FaultyValue>>,
}

/// A member that is watched.
pub(super) struct Watched<L> {
    member: L,
    page: Rc<Page>,
    diary: Rc<Diary>,
}

/// What all members of a scene were told.
pub(super) struct Diary {
    sim: Sim,
    /// How long a start takes at most.
    start_limit: Duration,
    pages: RefCell<Vec<Rc<Page>>>,
    /// What was against the rules. A panic would be contained, as a member's own.
    offences: RefCell<Vec<String>>,
}

/// What one member was told.
#[derive(Default)]
pub(super) struct Page {
    pub(super) name: &'static str,
    needs: &'static [&'static str],
    /// It may come up without its group.
    pub(super) comes_up_alone: bool,
    pub(super) starts: Calls,
    pub(super) stops: Calls,
    pub(super) restarts: Calls,
    /// What its last start or restart answered, and its last stop.
    pub(super) start_failed: Cell<bool>,
    pub(super) stop_failed: Cell<bool>,
    /// It is up, by what it answered last.
    pub(super) up: Cell<bool>,
    /// It has begun, and has not been stopped to the end since.
    begun: Cell<bool>,
    pub(super) busy: Cell<bool>,
    /// Its group has forgotten it.
    pub(super) dropped: Cell<bool>,
}

/// How often a member was told something, and how often that ended and was not dropped half-way.
#[derive(Debug, Default)]
pub(super) struct Calls {
    pub(super) begun: Cell<u32>,
    pub(super) ended: Cell<u32>,
}

/// One of the things that a member is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Start,
    Stop,
    Restart,
}

impl Part {
    pub(super) fn new(backend: &Backend) -> Self {
        Self {
            resource: FaultyResource::new(backend),
            value: RefCell::default(),
        }
    }
}

impl LocalLifecycle for Part {
    async fn start(&self) -> Result<(), BoxError> {
        let value = Resource::open(&self.resource).await?;
        self.value.replace(Some(value));
        Ok(())
    }

    async fn stop(&self, _within: Option<Duration>) -> Result<(), BoxError> {
        let value = self.value.take();
        if let Some(value) = value {
            Resource::close(&self.resource, value, Why::Shutdown).await?;
        }
        Ok(())
    }

    fn state(&self) -> State {
        match &*self.value.borrow() {
            Some(value) if !value.is_broken() => State::Ready,
            _ => State::Error,
        }
    }
}

impl Diary {
    pub(super) fn new(sim: &Sim, start_limit: Duration) -> Rc<Self> {
        Rc::new(Self {
            sim: sim.clone(),
            start_limit,
            pages: RefCell::default(),
            offences: RefCell::default(),
        })
    }

    /// A member of that name, which needs the others.
    pub(super) fn watch<L: LocalLifecycle>(
        self: &Rc<Self>,
        name: &'static str,
        needs: &'static [&'static str],
        member: L,
    ) -> Watched<L> {
        let page = Rc::new(Page {
            name,
            needs,
            comes_up_alone: L::ALWAYS_STOPPED,
            ..Page::default()
        });
        self.pages.borrow_mut().push(page.clone());
        Watched {
            member,
            page,
            diary: self.clone(),
        }
    }

    pub(super) fn pages(&self) -> Vec<Rc<Page>> {
        self.pages.borrow().clone()
    }

    /// The page of whoever is called that now.
    pub(super) fn page(&self, name: &str) -> Rc<Page> {
        let pages = self.pages.borrow();
        let mut called = pages
            .iter()
            .filter(|page| page.name == name && !page.dropped.get());
        called.next().expect("somebody is called that").clone()
    }

    pub(super) fn assert_no_offence(&self) {
        assert_eq!(*self.offences.borrow(), Vec::<String>::new());
    }

    fn demand(&self, holds: bool, offence: std::fmt::Arguments<'_>) {
        if !holds {
            self.offences.borrow_mut().push(offence.to_string());
        }
    }

    fn others(&self, page: &Page) -> Vec<Rc<Page>> {
        let mut pages = self.pages();
        pages.retain(|other| !std::ptr::eq(&**other, page) && !other.dropped.get());
        pages
    }
}

impl Page {
    /// Whether it was taken into its group, as far as it knows.
    pub(super) fn was_told(&self) -> bool {
        [&self.starts, &self.stops, &self.restarts]
            .iter()
            .any(|calls| calls.begun.get() > 0)
    }

    fn calls(&self, told: Told) -> &Calls {
        match told {
            Told::Start => &self.starts,
            Told::Stop => &self.stops,
            Told::Restart => &self.restarts,
        }
    }
}

impl<L> Watched<L> {
    /// Has the member do what it was told, and writes down how that ends. It has no more time than that, so that
    /// whoever drops it before means to go on later.
    async fn told(
        &self,
        told: Told,
        limit: Duration,
        doing: impl Future<Output = Result<(), BoxError>>,
    ) -> Result<(), BoxError> {
        let (page, diary) = (&*self.page, &*self.diary);
        let name = page.name;
        let overlaps = page.busy.replace(true);
        diary.demand(!overlaps, format_args!("{name}: {told:?} amid something"));
        for other in diary.others(page) {
            let (needs, needed) = (
                page.needs.contains(&other.name),
                other.needs.contains(&name),
            );
            let other_name = other.name;
            match told {
                Told::Start => {
                    let settled = other.starts.ended.get() > 0 && !other.busy.get();
                    let offence = format_args!("{name} starts before {other_name} has");
                    diary.demand(settled || !needs, offence);
                }
                Told::Stop => {
                    let down = !other.begun.get() && !other.busy.get();
                    let offence = format_args!("{name} stops before {other_name} has");
                    diary.demand(down || !needed, offence);
                }
                Told::Restart => {}
            }
        }
        let calls = page.calls(told);
        calls.begun.set(calls.begun.get() + 1);
        page.up.set(false);
        page.begun.set(page.begun.get() || told != Told::Stop);
        let mut under_way = UnderWay {
            page,
            told,
            polled: false,
            answer: None,
        };
        let (mut doing, mut over) = (pin!(doing), pin!(diary.sim.sleep(limit)));
        let answer = std::future::poll_fn(|cx| {
            under_way.polled = true;
            let answer = doing.as_mut().poll(cx);
            under_way.polled = false;
            if answer.is_pending() && over.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err("it takes too long".into()));
            }
            answer
        })
        .await;
        under_way.answer = Some(answer.is_ok());
        answer
    }
}

/// What a member does until it has answered, was dropped, or has panicked.
struct UnderWay<'a> {
    page: &'a Page,
    told: Told,
    /// It is being polled: if it goes now, it has panicked.
    polled: bool,
    answer: Option<bool>,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let page = self.page;
        page.busy.set(false);
        let Some(succeeded) = self.answer.or(self.polled.then_some(false)) else {
            return;
        };
        let calls = page.calls(self.told);
        calls.ended.set(calls.ended.get() + 1);
        match self.told {
            Told::Start | Told::Restart => {
                page.up.set(succeeded);
                page.start_failed.set(!succeeded);
            }
            Told::Stop => {
                page.begun.set(false);
                page.stop_failed.set(!succeeded);
            }
        }
    }
}

impl<L: LocalLifecycle> LocalLifecycle for Watched<L> {
    const ALWAYS_STOPPED: bool = L::ALWAYS_STOPPED;

    async fn start(&self) -> Result<(), BoxError> {
        let limit = self.diary.start_limit;
        self.told(Told::Start, limit, self.member.start()).await
    }

    async fn stop(&self, within: Option<Duration>) -> Result<(), BoxError> {
        let limit = within.expect("it has a limit of its own");
        self.told(Told::Stop, limit, self.member.stop(within)).await
    }

    async fn restart(&self) -> Result<(), BoxError> {
        let limit = self.diary.start_limit;
        self.told(Told::Restart, limit, self.member.restart()).await
    }

    async fn check(&self) -> Result<(), BoxError> {
        self.member.check().await
    }

    fn state(&self) -> State {
        self.member.state()
    }
}

impl<L> Drop for Watched<L> {
    fn drop(&mut self) {
        self.page.dropped.set(true);
    }
}
