//! The observer's own part in the ring: a handle on each peer, and the picture of how all are.

use std::sync::Arc;

use tenure_core::{BoxError, Group, with_timeout};
use tenure_tokio::Tokio;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::PATIENCE;
use crate::handle::Handle;
use crate::neighbours::Neighbours;
use crate::proto::Health;
use crate::screen::{Picture, Screen};

pub(crate) const ID: &str = "observer";

pub(crate) struct Observer {
    pub(crate) neighbours: Arc<Neighbours>,
    picture: Arc<watch::Sender<Picture>>,
    screen: Arc<Screen>,
    watching: JoinSet<()>,
}

impl Observer {
    pub(crate) fn new(screen: &Arc<Screen>) -> Result<Self, BoxError> {
        let group = Group::builder(ID).build(Tokio::current())?;
        Ok(Self {
            neighbours: Arc::new(Neighbours::of(group)),
            picture: Arc::default(),
            screen: screen.clone(),
            watching: JoinSet::new(),
        })
    }

    /// Connects to all of them, and follows how each is.
    pub(crate) async fn meet(&mut self, handles: Vec<Arc<Handle>>) -> Result<(), BoxError> {
        self.neighbours.group.start().await?;
        self.neighbours.meet(handles);
        self.follow_itself();
        for handle in self.neighbours.handles() {
            self.watching.spawn(Self::follow(
                handle.clone(),
                self.picture.clone(),
                self.screen.clone(),
            ));
        }
        let connect = self.neighbours.connect(&[]);
        let what = "connecting to all peers";
        with_timeout(&Tokio::current(), PATIENCE, what, connect).await?
    }

    pub(crate) fn handles(&self) -> &[Arc<Handle>] {
        self.neighbours.handles()
    }

    pub(crate) fn handle(&self, id: &str) -> Result<&Arc<Handle>, BoxError> {
        let handle = self.neighbours.handle(id);
        handle.ok_or_else(|| format!("there is no {id}").into())
    }

    /// Waits until the picture is so. What does not come within a long time is an error.
    pub(crate) async fn until(
        &self,
        what: &str,
        is_so: impl Fn(&Picture) -> bool,
    ) -> Result<(), BoxError> {
        let mut picture = self.picture.subscribe();
        let seen = picture.wait_for(|picture| is_so(picture));
        let seen = with_timeout(&Tokio::current(), PATIENCE, what.to_owned(), seen).await;
        seen.map_err(|_| format!("waited for {PATIENCE:?}, and never {what}"))??;
        Ok(())
    }

    /// As it is now.
    pub(crate) fn picture(&self) -> watch::Ref<'_, Picture> {
        self.picture.borrow()
    }

    /// Ends what follows the peers, so that no stream is left when the channels are closed.
    pub(crate) async fn end(&mut self) {
        self.watching.shutdown().await;
    }

    fn follow_itself(&mut self) {
        let (neighbours, picture, screen) = (
            self.neighbours.clone(),
            self.picture.clone(),
            self.screen.clone(),
        );
        self.watching.spawn(async move {
            let mut beats = neighbours.pulse.beats();
            loop {
                draw(&picture, &screen, ID, Some(neighbours.health()));
                if beats.changed().await.is_err() {
                    return;
                }
            }
        });
    }

    /// What a stream carries is outside of the policy: when it breaks, that is seen here, and another one begun.
    async fn follow(
        handle: Arc<Handle>,
        picture: Arc<watch::Sender<Picture>>,
        screen: Arc<Screen>,
    ) {
        loop {
            match handle.watch().await {
                Ok(mut healths) => {
                    while let Ok(Some(health)) = healths.message().await {
                        draw(&picture, &screen, &handle.id, Some(health));
                    }
                }
                Err(error) => return screen.say(format_args!("{}: {error}", handle.id)),
            }
            draw(&picture, &screen, &handle.id, None);
        }
    }
}

fn draw(picture: &watch::Sender<Picture>, screen: &Screen, id: &str, health: Option<Health>) {
    // Shown before anybody else draws.
    picture.send_modify(|picture| {
        picture.insert(id.to_owned(), health);
        screen.show(picture);
    });
}
