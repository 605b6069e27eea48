//! Every operation on real sockets, dropped at each of its polls, and at moments between them.
//!
//! The simulator drops those of the core at every await there is. Here the sockets, HTTP/2 and the server are real: what
//! is dropped has to be gone for them too.

mod calls;
mod channels;
mod leases;

use std::time::Instant;

use tenure_grpc::{GrpcEndpoint, GrpcService, Health};
use tonic::Streaming;

use crate::greeter::greeter_client::GreeterClient;
use crate::greeter::{HelloReply, HelloRequest};
use crate::rig::dropped::{Moment, drops};
use crate::rig::*;

/// So many turns of others lie between the last poll and the drop.
const TURNS: [usize; 12] = [0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24];

/// A server, a proxy that counts its clients, and a service on a channel of its own.
struct Scene {
    server: Server,
    proxy: Proxy,
    health: Health,
}

impl Scene {
    async fn new(health: Health) -> Self {
        let server = Server::builder().health().start().await;
        let proxy = Proxy::to(server.port()).await;
        Self {
            server,
            proxy,
            health,
        }
    }

    fn endpoint(&self) -> GrpcEndpoint {
        endpoint(&self.proxy.address()).health(self.health)
    }

    fn greeter(&self) -> Greeter {
        GrpcService::new(&build(channel_to(self.endpoint())), GreeterClient::new)
    }

    /// Nobody is at anything that was dropped, and calls are answered.
    async fn is_whole(&self, greeter: &Greeter) {
        self.server.forgets();
        let channel = greeter.channel();
        assert_eq!(channel.stats().calls.in_flight, 0);
        assert_eq!(greet(greeter).await, "Hello you");
        assert!(channel.stats().is_balanced(), "{}", channel.stats());
        let audit = channel.connection().audit();
        assert!(audit.is_balanced() && audit.live() <= 2, "{audit}");
    }

    /// Neither the server nor the network has anything left of what was dropped.
    async fn is_at_rest(&self, operation: &str, when: Moment) {
        let gone = || self.server.under_way() == 0 && self.proxy.open() == 0;
        until(&format!("{operation}, {when:?}: all is gone"), gone).await;
    }

    /// Drops what `operation` makes, at every poll and some turns after each, until it ends by itself. `aftermath` looks
    /// at what is left after each drop.
    async fn drops_everywhere<C>(
        &self,
        operation: &str,
        set: impl AsyncFn() -> C,
        perform: impl AsyncFn(&C),
        aftermath: impl AsyncFn(C, Moment),
    ) -> usize {
        let (begun, mut count) = (Instant::now(), 0);
        for turns in TURNS {
            for polls in 1.. {
                let when = Moment { polls, turns };
                let context = set().await;
                let was_dropped = within(drops(perform(&context), when)).await;
                within(aftermath(context, when)).await;
                self.is_at_rest(operation, when).await;
                if !was_dropped {
                    break;
                }
                count += 1;
            }
        }
        println!("{operation}: {count} drops in {:?}", begun.elapsed());
        assert!(count >= TURNS.len(), "{operation}: {count} drops");
        count
    }

    /// The same for an operation on a channel, beside another call on it that goes on.
    async fn drops_on_channel(&self, operation: &str, perform: impl AsyncFn(&Greeter)) -> usize {
        let set = async || {
            let greeter = self.greeter();
            let sibling = Sibling::begin(&greeter).await;
            (greeter, sibling)
        };
        let aftermath = async |(greeter, mut sibling): (Greeter, Sibling), _| {
            assert_eq!(sibling.ask().await, "Hello sibling");
            self.is_whole(&greeter).await;
            // A call that is told to reconnect leaves the sibling where it was.
            assert_eq!(sibling.ask().await, "Hello sibling");
            drop(sibling);
            ends_well(greeter.channel()).await;
        };
        let perform = async |(greeter, _): &(Greeter, Sibling)| perform(greeter).await;
        self.drops_everywhere(operation, set, perform, aftermath)
            .await
    }

    /// The same for an operation on a channel that is not open yet.
    async fn drops_unopened(&self, operation: &str, perform: impl AsyncFn(&Greeter)) -> usize {
        let set = async || self.greeter();
        let aftermath = async |greeter: Greeter, _| {
            self.is_whole(&greeter).await;
            ends_well(greeter.channel()).await;
        };
        self.drops_everywhere(operation, set, perform, aftermath)
            .await
    }
}

/// A stream on the same connection, on which names are sent and greetings come back.
struct Sibling {
    names: tokio::sync::mpsc::Sender<HelloRequest>,
    greetings: Streaming<HelloReply>,
}

impl Sibling {
    async fn begin(greeter: &Greeter) -> Self {
        let (names, requests) = tokio::sync::mpsc::channel(1);
        let mut requests = Some(requests);
        let begin = |mut client: Client| {
            let requests = requests.take().expect("one attempt");
            let requests = tokio_stream::wrappers::ReceiverStream::new(requests);
            async move { client.introduce(requests).await }
        };
        let greetings = within(greeter.call("Introduce", begin)).await;
        Self {
            names,
            greetings: greetings.expect("a stream").into_inner(),
        }
    }

    async fn ask(&mut self) -> String {
        self.names
            .send(named("sibling"))
            .await
            .expect("it is there");
        let greeting = within(self.greetings.message()).await;
        let greeting = greeting.expect("it goes on").expect("an answer");
        greeting.message
    }
}
