//! A secret that the user's code says, or that stands in a name, is in no text of ours.

use std::fmt::{Debug, Display};
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tenure_core::retry::Attempt;
use tenure_core::{
    AcquireError, BoxError, CallOptions, Cause, Connection, Event, Exit, Failure, Group, Managed,
    Name, Pool, Resource, Retry, Shared, Timer, redact, retry, scope, with_timeout,
};
use tenure_sim::{Sim, run};

const MARK: &str = "hunter2";

const SECRETS: &[&str] = &[
    "postgres://u:hunter2@h/db",
    "user:hunter2@ss@host",
    "redis://:hunter2@h",
    "mysql://u:p%40hunter2@h",
    "amqp://u:a b hunter2@h",
    "postgres://u:x\"hunter2@h",
    "postgres://u:x'hunter2@h",
    "postgres://u:a<hunter2>b@h",
    "postgres://hunter2@h/db",
    "postgres://h/db?user=u&password=hunter2",
    "host=h user=u password=hunter2 dbname=d",
    "Server=h;User Id=u;Password=hunter2;",
    "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=hunter2==;EndpointSuffix=core.windows.net",
    "https://h/?api_key=hunter2",
    "https://h/?token=hunter2",
    "https://h/blob?sv=1&sig=hunter2",
    "Authorization: Bearer hunter2",
    "redis://h:6379?password=hunter2",
    "mongodb://u:hunter2@h1:27017,h2:27017/?replicaSet=r",
    "jdbc:postgresql://h/db?user=u&password=hunter2",
    "u:hunter2\u{ff20}h",
    "a:1,u:hunter2@h,b:2",
];

/// An error that says a secret in each of its texts, and has a source that does so as well.
#[derive(Clone, Debug)]
struct Indiscreet(&'static str, Option<Box<Indiscreet>>);

impl Indiscreet {
    fn new(secret: &'static str) -> Self {
        Self(secret, Some(Box::new(Self(secret, None))))
    }
}

impl Display for Indiscreet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot reach {}", self.0)
    }
}

impl std::error::Error for Indiscreet {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.1.as_deref().map(|source| source as _)
    }
}

/// A resource whose values show a secret, and whose hooks fail with one.
#[derive(Clone)]
struct Leaky {
    secret: &'static str,
    opens: bool,
}

impl Resource for Leaky {
    type Value = Indiscreet;
    type Error = Indiscreet;

    const CHECKED: bool = true;

    async fn open(&self) -> Result<Indiscreet, Indiscreet> {
        match self.opens {
            true => Ok(Indiscreet::new(self.secret)),
            false => Err(Indiscreet::new(self.secret)),
        }
    }

    async fn close(&self, _: Indiscreet, _: tenure_core::Why) -> Result<(), Indiscreet> {
        Err(Indiscreet::new(self.secret))
    }

    async fn check(&self, _: &mut Indiscreet) -> Result<(), Indiscreet> {
        Err(Indiscreet::new(self.secret))
    }
}

/// All texts that were shown, each with where it comes from.
#[derive(Clone, Default)]
struct Texts(Arc<Mutex<Vec<(String, String)>>>);

impl Texts {
    fn add(&self, of: &str, text: String) {
        self.0.lock().unwrap().push((of.into(), text));
    }

    fn debug(&self, of: &str, shown: &dyn Debug) {
        self.add(of, format!("{shown:?}"));
        self.add(of, format!("{shown:#?}"));
    }

    fn both<T: Display + Debug>(&self, of: &str, shown: &T) {
        self.add(of, shown.to_string());
        self.debug(of, shown);
    }

    fn sink(&self) -> Arc<impl Fn(&Event<'_>) + Send + Sync + use<>> {
        let texts = self.clone();
        Arc::new(move |event: &Event<'_>| texts.both("event", event))
    }

    fn assert_discreet(&self) {
        let texts = self.0.lock().unwrap();
        assert!(texts.len() > 20, "{} texts", texts.len());
        let leaks: Vec<_> = texts
            .iter()
            .filter(|(_, text)| text.contains(MARK))
            .collect();
        assert!(leaks.is_empty(), "{leaks:#?}");
    }
}

#[test]
fn a_secret_is_in_no_text_of_any_error_event_report_graph_or_handle() {
    for secret in SECRETS {
        run(1, |sim| async move {
            let texts = Texts::default();
            of_a_pool(&sim, secret, &texts).await;
            of_a_managed_value_and_connection(&sim, secret, &texts).await;
            of_a_group(&sim, secret, &texts).await;
            of_a_scope_and_a_shared_value(&sim, secret, &texts).await;
            of_retries_and_timeouts(&sim, secret, &texts).await;
            texts.assert_discreet();
        });
    }
}

async fn of_a_pool(sim: &Sim, secret: &'static str, texts: &Texts) {
    for opens in [false, true] {
        let builder = Pool::builder(Leaky { secret, opens })
            .name(secret)
            .retry(Retry::NEVER)
            .events(texts.sink());
        let pool = builder.build(sim.clone()).expect("the settings make sense");
        match pool.acquire().await {
            Ok(lease) => {
                texts.debug("lease", &lease);
                drop(lease);
            }
            Err(error) => {
                texts.both("error of an acquire", &error);
                if let AcquireError::BackendDown { failure, .. } = &error {
                    texts.both("failure of an opening", failure);
                    texts.both("cause", &failure.cause);
                }
            }
        }
        texts.debug("pool", &pool);
        texts.debug("status of a pool", &pool.status());
        texts.both("report of a pool", &pool.close().await);
    }
}

async fn of_a_managed_value_and_connection(sim: &Sim, secret: &'static str, texts: &Texts) {
    for opens in [false, true] {
        let managed = Managed::builder(Leaky { secret, opens })
            .name(secret)
            .retry(Retry::NEVER)
            .events(texts.sink());
        let managed = managed.build(sim.clone()).expect("the settings make sense");
        if let Err(error) = managed.open().await {
            texts.both("error of an opening", &error);
        }
        if let Err(error) = managed.check().await {
            texts.both("error of a check", &error);
        }
        let call = managed.call(secret, |_| async { Err::<(), _>(Indiscreet::new(secret)) });
        texts.both("error of a call", &call.await.unwrap_err());
        texts.debug("managed value", &managed);
        texts.both("report of a managed value", &managed.close().await);

        let connection = Connection::builder(secret, Leaky { secret, opens })
            .retry(Retry::NEVER)
            .events(texts.sink());
        let connection = connection
            .build(sim.clone())
            .expect("the settings make sense");
        let call = connection.call(secret, |_| async { Err::<(), _>(Indiscreet::new(secret)) });
        texts.both("error of a connection's call", &call.await.unwrap_err());
        texts.debug("connection", &connection);
        texts.both("statistics", &connection.stats());
        texts.debug("watch", &connection.watch());
        texts.debug("options", &CallOptions::named(secret));
        texts.both("report of a connection", &connection.close().await);
    }
}

async fn of_a_group(sim: &Sim, secret: &'static str, texts: &Texts) {
    let member = |opens| {
        let builder = Managed::builder(Leaky { secret, opens }).retry(Retry::NEVER);
        builder.build(sim.clone()).expect("the settings make sense")
    };
    let builder = Group::builder(secret)
        .add(secret, member(true))
        .add("api", member(false))
        .after(secret);
    texts.debug("builder of a group", &builder);
    let group = builder.build(sim.clone()).expect("it is a graph");
    texts.both("error of a start", &group.start().await.unwrap_err());
    texts.both("report of a group", &group.report());
    texts.both("graph", &group.graph());
    texts.add("graph as DOT", group.graph().to_dot());
    texts.both("health", &group.health().await);
    texts.debug("group", &group);
    type Other = Pool<Leaky, Sim>;
    type Own = Managed<Leaky, Sim>;
    assert!(
        group.get::<Own>(secret).is_ok(),
        "found by the name it was added by"
    );
    texts.both(
        "error of a lookup",
        &group.get::<Other>(secret).unwrap_err(),
    );
    texts.both(
        "error of a removal",
        &group.remove(secret).await.unwrap_err(),
    );

    let twice = Group::builder("g")
        .add(secret, member(true))
        .add(secret, member(true));
    texts.both("error of a graph", &twice.build(sim.clone()).unwrap_err());
    let unknown = Group::builder("g").add("api", member(true)).after(secret);
    texts.both("error of a graph", &unknown.build(sim.clone()).unwrap_err());
}

async fn of_a_scope_and_a_shared_value(sim: &Sim, secret: &'static str, texts: &Texts) {
    let ended = scope(sim, |scope| async move {
        texts.debug("scope", &scope);
        let opened = scope
            .open(Leaky {
                secret,
                opens: true,
            })
            .await
            .expect("it opens");
        texts.debug("opened value", &opened);
        drop(opened);
        scope.defer(move |_: Exit| async move { Err::<(), BoxError>(secret.into()) });
        let error = scope
            .open(Leaky {
                secret,
                opens: false,
            })
            .await
            .unwrap_err();
        texts.both("error of an opening in a scope", &error);
        Err::<(), _>(Indiscreet::new(secret))
    });
    texts.both("error of a scope", &ended.await.unwrap_err());

    let shared = Shared::builder(Leaky {
        secret,
        opens: true,
    })
    .name(secret)
    .events(texts.sink());
    let shared = shared.build(sim.clone()).expect("the settings make sense");
    texts.debug("share", &shared.acquire().await.expect("it opens"));
    texts.debug("shared value", &shared);
    texts.both("report of a shared value", &shared.close().await);
}

async fn of_retries_and_timeouts(sim: &Sim, secret: &'static str, texts: &Texts) {
    let late = with_timeout(sim, Duration::from_millis(1), secret, pending::<()>());
    texts.both("timeout", &late.await.unwrap_err());
    let failing = retry(sim, Retry::NEVER, || async {
        Err::<(), _>(Indiscreet::new(secret))
    })
    .named(secret)
    .on_attempt(|attempt: &Attempt<'_, (), Indiscreet>| texts.debug("attempt", attempt))
    .classify(|failure: Failure<'_, Indiscreet>| {
        texts.debug("failure of an attempt", &failure);
        tenure_core::ErrorClass::Retry
    });
    texts.both("error of a retry", &failing.await.unwrap_err());
    let rejected = retry(sim, Retry::NEVER, || async {
        Ok::<_, Indiscreet>(Indiscreet::new(secret))
    })
    .until(|_| false);
    texts.both("error of a retry", &rejected.await.unwrap_err());
    texts.both("name", &Name::new(secret));
    texts.both("cause", &Cause::new(secret));
    texts.add("redacted", redact(secret).into_owned());
    let panicking = Managed::builder(Panicking(secret))
        .retry(Retry::NEVER)
        .events(texts.sink());
    let panicking = panicking
        .build(sim.clone())
        .expect("the settings make sense");
    texts.both("error of a panic", &panicking.open().await.unwrap_err());
    let _ = sim.now();
}

struct Panicking(&'static str);

impl Resource for Panicking {
    type Value = u8;
    type Error = Indiscreet;

    async fn open(&self) -> Result<u8, Indiscreet> {
        panic!("cannot reach {}", self.0);
    }
}

fn anyhow_error() -> anyhow::Result<u8> {
    Err(std::io::Error::from(std::io::ErrorKind::ConnectionRefused))?
}

/// A resource that fails with one of three errors that hold another.
struct Wrapping(fn() -> BoxError);

impl Resource for Wrapping {
    type Value = u8;
    type Error = BoxError;

    async fn open(&self) -> Result<u8, BoxError> {
        Err(self.0())
    }
}

#[test]
fn the_error_of_an_opening_is_found_by_its_type_through_its_wrappers() {
    use anyhow::Context;

    let wrapped: [fn() -> BoxError; 3] = [
        || std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into(),
        || anyhow_error().context("cannot open").unwrap_err().into(),
        || {
            anyhow_error()
                .unwrap_err()
                .reallocate_into_boxed_dyn_error_without_backtrace()
        },
    ];
    for wrapped in wrapped {
        run(0, |sim| async move {
            let pool = Pool::builder(Wrapping(wrapped))
                .retry(Retry::NEVER)
                .build(sim.clone());
            let error = pool
                .expect("the settings make sense")
                .acquire()
                .await
                .unwrap_err();
            let AcquireError::BackendDown { failure, .. } = &error else {
                panic!("{error}");
            };
            assert!(failure.cause.downcast_ref::<std::io::Error>().is_some());
            assert!(has_io_error(&error), "{error}: {}", failure.cause);
        });
    }
}

fn has_io_error(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .any(|error| error.is::<std::io::Error>())
}

/// A resource whose error is `anyhow`'s own.
struct OfAnyhow;

impl Resource for OfAnyhow {
    type Value = u8;
    type Error = anyhow::Error;

    async fn open(&self) -> anyhow::Result<u8> {
        anyhow_error()
    }
}

#[test]
fn what_an_error_of_anyhow_holds_is_found_by_its_type_in_every_holder() {
    run(0, |sim| async move {
        let pool = Pool::builder(OfAnyhow).retry(Retry::NEVER);
        let pool = pool.build(sim.clone()).expect("the settings make sense");
        let managed = Managed::builder(OfAnyhow).retry(Retry::NEVER);
        let managed = managed.build(sim.clone()).expect("the settings make sense");
        let connection = Connection::builder("peer", OfAnyhow).retry(Retry::NEVER);
        let connection = connection
            .build(sim.clone())
            .expect("the settings make sense");
        let shared = Shared::builder(OfAnyhow).retry(Retry::NEVER);
        let shared = shared.build(sim.clone()).expect("the settings make sense");
        let errors: [BoxError; 4] = [
            pool.acquire().await.unwrap_err().into(),
            managed.open().await.unwrap_err().into(),
            { connection.call("ping", |_| async { Ok(()) }).await }
                .unwrap_err()
                .into(),
            shared.acquire().await.map(drop).unwrap_err().into(),
        ];
        for error in errors {
            assert!(has_io_error(&*error), "{error:?}");
        }
    });
}

/// The error of a call, not of an opening.
#[test]
fn what_a_call_returns_of_anyhow_is_found_by_its_type() {
    struct Opens;
    impl Resource for Opens {
        type Value = u8;
        type Error = anyhow::Error;
        async fn open(&self) -> anyhow::Result<u8> {
            Ok(1)
        }
    }
    run(0, |sim| async move {
        let connection = Connection::builder("peer", Opens).retry(Retry::NEVER);
        let connection = connection
            .build(sim.clone())
            .expect("the settings make sense");
        let call = connection.call("ping", |_| async { anyhow_error() });
        let error = call.await.unwrap_err();
        assert!(error.downcast_ref::<std::io::Error>().is_some(), "{error}");
    });
}
