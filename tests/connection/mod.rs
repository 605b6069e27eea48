//! A connection that reconnects, on every backend.

mod calls;
mod doubts;
mod faults;
mod pace;
mod stats;
mod watch;
mod when_down;

use tenure_core::connection::{ConnectionBuilder, ConnectionState};
use tenure_core::{
    Backoff, CallError, CallOptions, Connection, ErrorClass, Instant, Retry, State, Timer,
};

use crate::managed::probe::{Gate, Hook, Probe, Refused, Step};
use crate::managed::{ManagedWorld, ProbeWorld, in_every_world, soon, until, wait};
use crate::worlds::*;

/// A world that spawns the Runner of a connection in the way that is its own.
pub(crate) trait ConnectionWorld: ManagedWorld {
    fn connect(&self, builder: ConnectionBuilder<Self::Probe>) -> Handle<Self>;
}

type Handle<W> = Connection<<W as ProbeWorld>::Probe, <W as World>::Runtime>;

in_every_world! { impl ConnectionWorld { fn connect(ConnectionBuilder) } }

/// A connection to a probe, and all that a test needs of it.
struct Rig<W: ConnectionWorld> {
    world: W,
    probe: Probe,
    connection: Handle<W>,
    made_at: Instant,
}

impl<W: ConnectionWorld> Rig<W> {
    /// Three retries, attempts to connect four ticks apart, no checks unless `configure` says otherwise.
    fn new(
        world: &W,
        configure: impl FnOnce(ConnectionBuilder<W::Probe>) -> ConnectionBuilder<W::Probe>,
    ) -> Self {
        let probe = Probe::default();
        let pause = world.tick() * 4;
        let builder = Connection::builder("probe://me:secret@peer:1", world.resource(&probe))
            .name("probe")
            .broken_close_timeout(None)
            .check_every(None)
            .retry(Retry::new(Backoff::constant(pause).cap(pause)))
            .open_retry(Retry::new(Backoff::constant(pause).cap(pause)));
        Self {
            made_at: world.runtime().now(),
            connection: world.connect(configure(builder)),
            world: world.clone(),
            probe,
        }
    }

    fn plain(world: &W) -> Self {
        Self::new(world, |builder| builder)
    }

    async fn open(&self) {
        soon(&self.world, self.connection.open())
            .await
            .expect("it opens");
    }

    /// A call that is answered with the number of the connection.
    async fn ask(&self) -> Result<u32, CallError> {
        let call = self
            .connection
            .call("ask", |value| async move { Ok(value.id) });
        soon(&self.world, call).await
    }

    /// A call that fails, once, with an error of this class.
    async fn refused(&self, class: ErrorClass) -> CallError {
        let once = CallOptions::named("refused").max_retries(0);
        let request = self.connection.request(once);
        let call = request.run(|_| async move { Err::<(), _>(Refused(class)) });
        soon(&self.world, call).await.expect_err("it is refused")
    }

    /// Closes it, and makes sure that all that was opened has ended and all that was counted balances.
    async fn ends_well(self) {
        let report = soon(&self.world, self.connection.close()).await;
        assert_eq!(self.connection.state(), State::Closed, "{report}");
        assert_eq!(self.connection.connection_state(), ConnectionState::Closed);
        let audit = self.connection.audit();
        assert!(audit.is_balanced() && audit.live() == 0, "{audit}");
        assert_eq!(audit.opened, self.probe.opened() as u64, "{audit}");
        let stats = self.connection.stats();
        assert!(stats.is_balanced(), "{stats}");
        assert_eq!(
            (stats.connects.under_way, stats.calls.in_flight),
            (0, 0),
            "{stats}"
        );
        let all_dropped = || self.probe.alive() == 0;
        until(&self.world, "every value dropped", all_dropped).await;
    }
}

fn refuse() -> Step {
    Step::fail(ErrorClass::Retry)
}

fn is_waiting(state: ConnectionState) -> bool {
    matches!(state, ConnectionState::WaitingToReconnect { .. })
}
