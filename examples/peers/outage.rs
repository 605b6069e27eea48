//! A peer dies in the middle of its work, and comes back. Prompts go on.

use std::net::SocketAddr;

use tenure_core::{BoxError, State};

use crate::handle::RECONNECTING;
use crate::prompts::Load;
use crate::proto::{Link, TopologyRequest};
use crate::ring::{PEERS, after, id_of};
use crate::screen::Picture;
use crate::story::{Story, all_are_ready};

/// So many attempts of each to connect have to be refused before it is started again.
const REFUSED: u64 = 3;

impl Story {
    pub(crate) async fn outage(&mut self, number: u32) -> Result<(), BoxError> {
        let id = id_of(number);
        let name = format!("during-outage-{}", self.kills.len() + 1);
        let load = Load::start(&name, self.observer.handles());
        let address = self.kill_at_work(number).await?;
        self.show_what_is_missing(number).await?;

        self.screen.say(format_args!("{id} is started"));
        self.start(number, Some(address)).await?;
        self.introduce(number).await?;
        let what = format!("all are Ready, and back at {id}");
        let kills = self.kills.clone();
        let are_back = |picture: &Picture| {
            let mut links = links(picture);
            all_are_ready(picture)
                && links.all(|(of, to)| to.reconnects >= kills_seen(&kills, of, &to.peer))
        };
        self.observer.until(&what, are_back).await?;
        self.promise_reconnects();
        let tally = load.end().await?;
        self.screen.say(format_args!(
            "{} prompts were answered meanwhile",
            tally.right()
        ));
        self.count(tally);
        Ok(())
    }

    /// Kills it while it is at tensors, one of which at least is for another's prompt. Then waits until all who are
    /// connected to it have tried to come back.
    async fn kill_at_work(&mut self, number: u32) -> Result<SocketAddr, BoxError> {
        let id = id_of(number);
        let is_at_work = |picture: &Picture| {
            let health = picture.get(&id).and_then(Option::as_ref);
            health.is_some_and(|health| health.tensors_under_way > 1)
        };
        let what = format!("{id} is at work");
        self.observer.until(&what, is_at_work).await?;

        let before = self.observer.picture().clone();
        let address = self.remove(number)?.kill().await?;
        self.kills.push(id.clone());
        self.screen.say(format_args!("{id} is killed"));
        let what = format!("all who are connected to {id} are refused {REFUSED} times");
        let is_missed = |picture: &Picture| {
            let mut to_it = links(&before).filter(|(_, link)| link.peer == id);
            picture.get(&id) == Some(&None) && to_it.all(|(of, link)| is_missing(picture, of, link))
        };
        self.observer.until(&what, is_missed).await?;
        Ok(address)
    }

    /// Whoever is next to it can say so at once.
    async fn show_what_is_missing(&mut self, number: u32) -> Result<(), BoxError> {
        let neighbour = id_of(after(number));
        let handle = self.observer.handle(&neighbour)?.clone();
        let health = handle.health_check().await?;
        let topology = handle.collect_topology(TopologyRequest::of_all()).await?;
        let found = topology.nodes.len();
        self.promises.promise(
            format_args!(
                "{neighbour} is {}, and finds the {found} that are left",
                health.state
            ),
            health.state == State::Degraded.to_string()
                && !health.is_healthy
                && found + 1 == PEERS as usize
                && !topology.nodes.contains_key(&id_of(number)),
        );
        Ok(())
    }

    /// Whether each channel was connected anew as often as the peer at its other end was killed, and no more.
    pub(crate) fn promise_reconnects(&mut self) {
        let picture = self.observer.picture().clone();
        let is_one_for_each =
            |(of, to): (&str, &Link)| to.reconnects == kills_seen(&self.kills, of, &to.peer);
        let channels = links(&picture).count();
        let are_kept = links(&picture).all(is_one_for_each);
        let reconnects: u64 = links(&picture).map(|(_, to)| to.reconnects).sum();
        let kills = self.kills.len();
        self.promises.promise(
            format_args!(
                "one reconnect for each kill and channel: {kills} kills, {channels} channels, {reconnects} reconnects"
            ),
            are_kept,
        );
    }
}

/// Whether `holder` can do without its channel, has lost it, and was refused often enough since it was as `before`.
fn is_missing(picture: &Picture, holder: &str, before: &Link) -> bool {
    let Some(Some(health)) = picture.get(holder) else {
        return false;
    };
    let link = health.links.iter().find(|link| link.peer == before.peer);
    health.state == State::Degraded.to_string()
        && link.is_some_and(|link| {
            link.state == RECONNECTING && link.refused >= before.refused + REFUSED
        })
}

/// All channels: who holds each, and how it is.
pub(crate) fn links(picture: &Picture) -> impl Iterator<Item = (&str, &Link)> {
    picture.iter().flat_map(|(id, health)| {
        let links = health.iter().flat_map(|health| &health.links);
        links.map(move |link| (id.as_str(), link))
    })
}

/// How often `peer` was killed since `holder` was: with its process its channels are others.
fn kills_seen(kills: &[String], holder: &str, peer: &str) -> u64 {
    let since = kills.iter().rposition(|killed| killed == holder);
    let seen = &kills[since.map_or(0, |place| place + 1)..];
    seen.iter().filter(|killed| *killed == peer).count() as u64
}
