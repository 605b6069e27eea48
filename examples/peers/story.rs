//! What happens: peers come up, answer prompts, lose one of them twice, and are stopped.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tenure_core::BoxError;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::STOP_WITHIN;
use crate::children::PeerProcess;
use crate::command::Command;
use crate::handle::Handle;
use crate::observer::Observer;
use crate::outage::links;
use crate::promises::Promises;
use crate::prompts::{Tally, ask};
use crate::proto::TopologyRequest;
use crate::ring::{PEERS, after, before, id_of};
use crate::screen::{Picture, Screen};

/// For how long a peer rests: what goes through the ring has come as far as it can by then.
const A_REST: Duration = Duration::from_millis(500);

pub(crate) struct Story {
    /// The size of the large tensor.
    mebibytes: u32,
    pub(crate) observer: Observer,
    processes: Vec<PeerProcess>,
    /// Who was killed, in this order.
    pub(crate) kills: Vec<String>,
    tally: Tally,
    pub(crate) promises: Promises,
    pub(crate) screen: Arc<Screen>,
}

impl Story {
    pub(crate) fn new(mebibytes: u32, screen: &Arc<Screen>) -> Result<Self, BoxError> {
        Ok(Self {
            mebibytes,
            observer: Observer::new(screen)?,
            processes: Vec::new(),
            kills: Vec::new(),
            tally: Tally::default(),
            promises: Promises::new(screen.clone()),
            screen: screen.clone(),
        })
    }

    pub(crate) async fn tell(&mut self) -> Result<(), BoxError> {
        self.begin().await?;
        self.collect_topology().await?;
        self.ask_in_calm().await;
        // The one that all prompts begin with; then one in their middle.
        self.outage(1).await?;
        self.outage(3).await?;
        self.rest(4).await?;
        self.collect_topology().await?;
        self.promise_reconnects();
        let (asked, right) = (self.tally.asked, self.tally.right());
        self.promises.promise(
            format_args!("{asked} prompts, {right} right answers, one to each"),
            self.tally.is_complete(),
        );
        Ok(())
    }

    /// Starts all, and tells each who its neighbours are.
    async fn begin(&mut self) -> Result<(), BoxError> {
        for number in 1..=PEERS {
            self.start(number, None).await?;
        }
        for number in 1..=PEERS {
            self.introduce(number).await?;
        }
        let events = &self.observer.neighbours.pulse;
        let handles = self.processes.iter().map(|process| {
            Handle::new(&process.id(), process.address, "a child", events.clone()).map(Arc::new)
        });
        let handles = handles.collect::<Result<_, _>>()?;
        self.observer.meet(handles).await?;
        self.observer.until("all are Ready", all_are_ready).await?;
        self.screen.say("all are Ready");
        Ok(())
    }

    /// Asks each for the whole.
    async fn collect_topology(&mut self) -> Result<(), BoxError> {
        let mut topologies = Vec::new();
        let mut are_healthy = true;
        for handle in self.observer.handles() {
            are_healthy &= handle.health_check().await?.is_healthy;
            let topology = handle.collect_topology(TopologyRequest::of_all());
            topologies.push(topology.await?);
        }
        for line in topologies.first().into_iter().flat_map(|of| of.lines()) {
            self.screen.say(line);
        }
        self.promises.promise(
            "each peer is healthy, and knows the whole topology",
            are_healthy && topologies.iter().all(|topology| topology.is_complete()),
        );
        Ok(())
    }

    /// Each once, at the same time, and one of them with a large tensor.
    async fn ask_in_calm(&mut self) {
        let mut asked = JoinSet::new();
        for (number, handle) in (1..).zip(self.observer.handles().iter().cloned()) {
            let (tokens, mebibytes) = match number {
                2 => (1, self.mebibytes),
                _ => (3, 1),
            };
            asked.spawn(async move {
                let request_id = format!("in-calm-{}", handle.id);
                ask(&handle, &request_id, tokens, mebibytes).await
            });
        }
        for tally in asked.join_all().await {
            self.count(tally);
        }
        self.promises.promise(
            format_args!(
                "each peer has a prompt answered, one of them by way of tensors of {} MiB",
                self.mebibytes
            ),
            self.tally.is_complete(),
        );
    }

    /// It says that it does not serve, as one does that is about to be stopped, or has too much to do.
    async fn rest(&mut self, number: u32) -> Result<(), BoxError> {
        let id = id_of(number);
        self.screen.say(format_args!("{id} rests"));
        self.process(number)?.tell(Command::Rest).await?;
        let is_degraded = |picture: &Picture| {
            let mut to_it = links(picture).filter(|(_, link)| link.peer == id);
            to_it.all(|(_, link)| link.state == "Degraded")
        };
        let what = format!("all channels to {id} are Degraded");
        self.observer.until(&what, is_degraded).await?;
        let origin = self.observer.handles()[0].clone();
        let mut asked = pin!(ask(&origin, "while-one-rests", 1, 1));
        let early = timeout(A_REST, &mut asked).await.ok();
        let waits = early.is_none() && is_degraded(&self.observer.picture());
        self.screen.say(format_args!("{id} serves again"));
        self.process(number)?.tell(Command::Serve).await?;
        let tally = match early {
            Some(tally) => tally,
            None => asked.await,
        };
        self.promises.promise(
            "what is sent to a peer that rests waits until it serves again",
            waits && tally.is_complete(),
        );
        self.count(tally);
        self.observer.until("all are Ready", all_are_ready).await
    }

    pub(crate) fn count(&mut self, tally: Tally) {
        for complaint in &tally.complaints {
            self.screen.say(complaint);
        }
        self.tally.add(tally);
    }

    /// Wherever the story broke off: closes all channels and ends all peers, and looks whether they have ended well.
    pub(crate) async fn stop(&mut self) -> Result<(), BoxError> {
        self.screen.close();
        self.observer.end().await;
        let report = self.observer.neighbours.group.shutdown(STOP_WITHIN).await;
        let mut is_balanced = true;
        for handle in self.observer.handles() {
            let stats = handle.stats();
            is_balanced &= stats.is_balanced();
            self.screen
                .say(format_args!("observer: channel to {}:\n{stats}", handle.id));
        }
        self.screen.say(&report);
        self.promises.promise(
            "the observer has closed its channels, and balanced its statistics",
            report.is_clean() && is_balanced,
        );
        self.end_processes().await;
        self.promises.verdict()
    }

    /// Those that were started and not killed.
    async fn end_processes(&mut self) {
        let mut addresses = Vec::new();
        let mut ending = JoinSet::new();
        for process in self.processes.drain(..) {
            addresses.push(process.address);
            ending.spawn(async move { (process.id(), process.end().await) });
        }
        for (id, ended) in ending.join_all().await {
            let how = match &ended {
                Ok(status) => status.to_string(),
                Err(error) => error.to_string(),
            };
            self.promises.promise(
                format_args!(
                    "{id} has closed its channels, balanced its statistics and ended: {how}"
                ),
                ended.is_ok_and(|status| status.success()),
            );
        }
        let mut is_anybody_there = false;
        for address in addresses {
            is_anybody_there |= PeerProcess::is_there(address).await;
        }
        self.promises
            .promise("nobody listens any more", !is_anybody_there);
    }

    pub(crate) async fn start(
        &mut self,
        number: u32,
        address: Option<SocketAddr>,
    ) -> Result<(), BoxError> {
        let process = PeerProcess::start(number, address, &self.screen).await?;
        self.processes.push(process);
        Ok(())
    }

    /// Tells a peer where its neighbours are.
    pub(crate) async fn introduce(&mut self, number: u32) -> Result<(), BoxError> {
        let next = self.process(after(number))?.address;
        let previous = self.process(before(number))?.address;
        let command = Command::Meet { next, previous };
        self.process(number)?.tell(command).await
    }

    /// Gives one away, to be killed.
    pub(crate) fn remove(&mut self, number: u32) -> Result<PeerProcess, BoxError> {
        let is_it = |process: &PeerProcess| process.number == number;
        let place = self.processes.iter().position(is_it);
        let place = place.ok_or_else(|| format!("{} does not run", id_of(number)))?;
        Ok(self.processes.remove(place))
    }

    fn process(&mut self, number: u32) -> Result<&mut PeerProcess, BoxError> {
        let mut processes = self.processes.iter_mut();
        let process = processes.find(|process| process.number == number);
        process.ok_or_else(|| format!("{} does not run", id_of(number)).into())
    }
}

/// Everybody, and each channel of theirs.
pub(crate) fn all_are_ready(picture: &Picture) -> bool {
    let peers = PEERS as usize;
    // Two of each peer, and one of the observer's to each.
    links(picture)
        .filter(|(_, link)| link.state == "Ready")
        .count()
        == peers * 3
        && picture
            .values()
            .all(|health| health.as_ref().is_some_and(|health| health.is_healthy))
}
