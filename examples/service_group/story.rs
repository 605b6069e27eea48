//! What happens, chapter by chapter.

use tenure::group::GroupHealth;
use tenure::{BoxError, State};

use crate::STOP_WITHIN;
use crate::service::Service;
use crate::stage::{ensure, expect, in_time, until};

const LINES: [&str; 3] = ["buy milk", "call the bank", "read a book"];

/// Each stops before the other.
const ORDER: [(&str, &str); 4] = [
    ("client", "server"),
    ("server", "db"),
    ("server", "redis"),
    ("worker", "db"),
];

/// Shows who needs whom, and starts them.
pub(crate) async fn start(service: &Service) -> Result<(), BoxError> {
    let journal = &service.journal;
    let graph = service.group.graph();
    journal.title("Who needs whom");
    journal.show(&graph);
    journal.title("The same for Graphviz");
    journal.show(graph.to_dot());

    journal.title("The service is started");
    service.group.start().await?;
    journal.say("all have started");
    journal.show(service.group.report());
    ensure(service.group.has_started(), "all have started")?;
    let missing = !service.redis.state().is_healthy();
    let state = if missing {
        State::Degraded
    } else {
        State::Ready
    };
    ensure(service.group.state() == state, "the group says so")?;
    journal.say(format_args!("the service is {state}"));
    Ok(())
}

/// Serves until it is told to stop, which is not its own affair.
pub(crate) async fn serve(service: &Service) -> Result<(), BoxError> {
    let address = service
        .server
        .address()
        .ok_or("the server has no address")?;
    service.journal.say(format_args!(
        "serving on http://{address}/notes until Ctrl-C or SIGTERM"
    ));
    std::future::pending().await
}

pub(crate) async fn tell(service: &Service) -> Result<(), BoxError> {
    in_time("requests are served", serve_requests(service)).await?;
    in_time("the database comes back", lose_and_regain(service)).await
}

async fn serve_requests(service: &Service) -> Result<(), BoxError> {
    let journal = &service.journal;
    journal.title("Requests are served");
    for line in LINES {
        let answer = service.client.post("/notes", line).await?;
        expect("a note is written", &answer, 201)?;
    }
    let notes = service.client.get("/notes").await?;
    expect("the notes are read", &notes, 200)?;
    ensure(
        notes.body == LINES.join("\n"),
        "they are as they were written",
    )?;
    journal.say(format_args!("{} notes were written and read", LINES.len()));

    let visits = service.client.post("/visits", "").await?;
    match visits.status {
        200 => journal.say(format_args!("Redis has counted {} visits", visits.body)),
        _ => journal.say(format_args!("visits are not counted: {}", visits.body)),
    }
    let counted = service.redis.try_get().is_some();
    ensure(
        (visits.status == 200) == counted,
        "visits are counted with Redis alone",
    )?;

    service.worker.has_counted(LINES.len()).await;
    journal.say("the worker has counted the notes");
    is_ready(service).await
}

/// The file is removed under the running service. Its check notices; the supervisor restarts the database,
/// and after it those that hold its connection.
async fn lose_and_regain(service: &Service) -> Result<(), BoxError> {
    let journal = &service.journal;
    journal.title("The file of the database is removed");
    let mut health = service.db.watch();
    service.db.resource().lose().await?;
    journal.say("the file is removed");
    let mut degraded = 0;
    while let Some(change) = health.changed().await {
        journal.say(format_args!("the database is {}", change.to));
        match change.to {
            State::Degraded => {
                degraded += 1;
                let answer = service.client.get("/healthz").await?;
                journal.say(format_args!("/healthz answers {}", answer.status));
                journal.show(&answer.body);
                // On a busy machine all may be over by then.
                let is_told =
                    answer.status == 503 || !matches!(service.db.state(), State::Degraded);
                ensure(is_told, "whoever sends requests is told")?;
            }
            State::Ready => break,
            _ => {}
        }
    }
    ensure(degraded == 1, "the check sees that the file is gone")?;

    // Those that need it follow, each after what it needs itself.
    service.server.has_restarted().await;
    service.worker.has_restarted().await;
    until("all are well again", async || {
        is_well(&service.group.health().await)
    })
    .await?;
    journal.say("all are well again");

    let notes = service.client.get("/notes").await?;
    expect("the notes are read", &notes, 200)?;
    ensure(notes.body.is_empty(), "they are gone with the file")?;
    let answer = service.client.post("/notes", "make a copy").await?;
    expect("a note is written into the new file", &answer, 201)?;
    service.worker.has_counted(1).await;
    journal.say("a note was written into the new file, and counted");
    is_ready(service).await
}

/// Whether nothing is missing that the service needs.
fn is_well(health: &GroupHealth) -> bool {
    let mut members = health
        .members
        .iter()
        .filter(|member| member.name != "redis");
    members.all(|member| member.state.is_healthy() && member.error.is_none())
}

async fn is_ready(service: &Service) -> Result<(), BoxError> {
    let answer = service.client.get("/healthz").await?;
    expect("the service is ready", &answer, 200)?;
    service.journal.say("/healthz answers 200");
    service.journal.show(&answer.body);
    Ok(())
}

/// Stops all that had begun, each before what it needs, and says how each did.
pub(crate) async fn stop(service: &Service) -> Result<(), BoxError> {
    let journal = &service.journal;
    journal.title("The service is stopped");
    // What restarted has stopped before.
    journal.take_stopped();
    let before = service.group.report().members;
    let report = service.group.shutdown(STOP_WITHIN).await;
    journal.show(&report);
    let stopped = journal.take_stopped();
    journal.say(format_args!(
        "stopped in this order: {}",
        stopped.join(", ")
    ));

    let what = "every member has stopped, and left nothing undone";
    ensure(report.is_clean(), what)?;
    let place = |name: &str| stopped.iter().position(|stopped| stopped == name);
    // A signal may have come before they were up, or while one restarts.
    for member in before.iter().filter(|member| member.state.is_usable()) {
        let what = format!("{}, which was up, was stopped", member.name);
        ensure(place(&member.name).is_some(), &what)?;
    }
    for (first, then) in ORDER {
        let in_order = place(first)
            .zip(place(then))
            .is_none_or(|(first, then)| first < then);
        ensure(in_order, &format!("{first} stops before {then}"))?;
    }
    Ok(())
}
