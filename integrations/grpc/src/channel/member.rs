//! A channel as a member of a group.

use std::time::Duration;

use tenure_core::group::{LocalLifecycle, Member};
use tenure_core::{BoxError, State};

use super::GrpcChannel;

/// As its [connection](GrpcChannel::connection), which is a member too.
impl LocalLifecycle for GrpcChannel {
    const ALWAYS_STOPPED: bool = true;

    async fn start(&self) -> Result<(), BoxError> {
        LocalLifecycle::start(self.connection()).await
    }

    async fn stop(&self, within: Option<Duration>) -> Result<(), BoxError> {
        let stopped = LocalLifecycle::stop(self.connection(), within).await;
        self.cut_lingering();
        stopped
    }

    async fn restart(&self) -> Result<(), BoxError> {
        LocalLifecycle::restart(self.connection()).await
    }

    async fn check(&self) -> Result<(), BoxError> {
        LocalLifecycle::check(self.connection()).await
    }

    fn state(&self) -> State {
        self.connection().state()
    }

    fn is_recovering(&self) -> bool {
        LocalLifecycle::is_recovering(self.connection())
    }

    fn abandon(&self) {
        LocalLifecycle::abandon(self.connection());
        self.cut_lingering();
    }
}

/// The group has the [connection](GrpcChannel::connection), and gives that when it is asked for the member.
impl From<GrpcChannel> for Member {
    fn from(channel: GrpcChannel) -> Self {
        channel.connection().clone().into()
    }
}
