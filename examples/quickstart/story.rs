//! What happens, chapter by chapter.

use std::fmt::Display;
use std::time::Duration;

use futures::future;
use tenure::{Audit, BoxError, Managed, Report, State, Why};

use crate::database::Database;
use crate::database_pool::{DatabasePool, KEPT_WARM};
use crate::notes::Notes;
use crate::runtime::Runtime;
use crate::stage::{PATIENCE, Stage, ensure};

const TASKS: usize = 24;
const NOTES_EACH: usize = 20;
const INSERT: &str = "INSERT INTO notes (line) VALUES ($1)";
const RECOVERY: [State; 3] = [State::Ready, State::Degraded, State::Ready];

/// Tells the story on this database, and removes from it what the story made.
pub(crate) async fn tell<D: Database, T: Runtime>(database: D, runtime: T) -> Result<(), BoxError> {
    let stage = Stage::new(runtime.clone());
    stage.say(format_args!("{} on {}", D::NAME, T::NAME));
    let db = DatabasePool::new(database, runtime, stage.narrator.clone())?;
    let story = Story {
        db: db.clone(),
        stage,
        written: Vec::new(),
    };
    let told = story.tell().await;
    let removed = db.pool.resource().remove_place().await;
    told?;
    removed.map_err(Into::into)
}

struct Story<D: Database, T: Runtime> {
    db: DatabasePool<D, T>,
    stage: Stage<T>,
    /// Every note that a task was told is written.
    written: Vec<String>,
}

impl<D: Database, T: Runtime> Story<D, T> {
    async fn tell(mut self) -> Result<(), BoxError> {
        self.open().await?;
        self.contend().await?;
        self.go_quiet().await?;
        self.replace_a_broken_one().await?;
        let notes = self.lose_and_regain_health().await?;
        self.shut_down(&notes).await?;
        self.compare().await
    }

    /// An opening that fails twice, for there is no place yet, and is retried.
    async fn open(&self) -> Result<(), BoxError> {
        let pool = &self.db.pool;
        let place = pool.resource().place();
        self.title(&format!(
            "The pool is started, but {place} is not there yet"
        ));
        let make_place = async {
            let failed_twice = || self.stage.narrator.failed_attempts() >= 2;
            self.stage
                .until("it fails to open twice", failed_twice)
                .await?;
            self.say("now it is made");
            pool.resource().make_place().await.map_err(Into::into)
        };
        let start = async { pool.start().await.map_err(BoxError::from) };
        future::try_join(start, make_place).await?;
        self.say(format_args!("the pool is up: {}", pool.status()));
        let create = "CREATE TABLE notes (line TEXT NOT NULL)";
        self.db.execute(create, &[]).await?;
        Ok(())
    }

    /// Many tasks want the few connections.
    async fn contend(&mut self) -> Result<(), BoxError> {
        self.title("Many tasks write and read, over few connections");
        let tasks = (0..TASKS).map(|task| self.stage.spawn(write_notes(self.db.clone(), task)));
        let tasks: Vec<_> = tasks.collect();
        let mut longest_queue = 0;
        for task in tasks {
            let (written, queue) = task.await?;
            self.written.extend(written);
            longest_queue = longest_queue.max(queue);
        }
        let count = self.written.len();
        self.say(format_args!(
            "{TASKS} tasks wrote {count} notes and read each of them back; \
             up to {longest_queue} tasks waited in the queue"
        ));
        ensure(
            count == TASKS * NOTES_EACH,
            "every task wrote all its notes",
        )
    }

    /// What nobody uses is closed, down to the minimum.
    async fn go_quiet(&self) -> Result<(), BoxError> {
        self.title("Nobody asks any more");
        let pool = &self.db.pool;
        let trimmed = || pool.status().size == KEPT_WARM;
        self.stage
            .until("the pool is at its minimum", trimmed)
            .await?;
        self.say(format_args!("{KEPT_WARM} are kept warm: {}", pool.status()));
        Ok(())
    }

    /// A connection that comes back broken is closed, and another opened for the minimum.
    async fn replace_a_broken_one(&self) -> Result<(), BoxError> {
        self.title("One connection is broken on purpose");
        let pool = &self.db.pool;
        let before = pool.audit();
        let mut connection = pool.acquire().await?;
        let how = pool.resource().sabotage(&mut connection).await;
        self.say(how.map_err(Into::into)?);
        drop(connection);
        let replaced = || {
            let (now, status) = (pool.audit(), pool.status());
            now.ended() > before.ended() && status.idle == KEPT_WARM
        };
        self.stage.until("it is replaced", replaced).await?;
        self.say(format_args!("it was replaced: {}", pool.status()));
        Ok(())
    }

    /// The table goes away for a while. Whoever calls meanwhile waits, under the policy of retries.
    async fn lose_and_regain_health(&self) -> Result<Managed<Notes<D, T>, T>, BoxError> {
        self.title("The table of notes is watched, and is renamed under way");
        let Stage { runtime, narrator } = self.stage.clone();
        let notes = Notes::managed(self.db.clone(), runtime, narrator.clone())?;
        let mut watch = notes.watch();
        let watcher = self.stage.spawn(async move {
            let mut seen = Vec::new();
            while let Some(change) = watch.changed().await {
                narrator.say(format_args!("health: {} -> {}", change.from, change.to));
                seen.push(change.to);
                if seen.ends_with(&RECOVERY) {
                    break;
                }
            }
            seen
        });

        notes.open().await?;
        self.db
            .execute("ALTER TABLE notes RENAME TO away", &[])
            .await?;
        notes.wait_for(State::Degraded).await?;
        let count = notes.call("count the notes", |db| async move {
            db.execute("SELECT CAST(count(*) AS TEXT) FROM notes", &[])
                .await
        });
        let put_back = async {
            self.stage.sleep(Duration::from_millis(600)).await;
            self.db
                .execute("ALTER TABLE away RENAME TO notes", &[])
                .await?;
            self.say("the table is back");
            notes.wait_for(State::Ready).await.map_err(BoxError::from)
        };
        let count = async { count.await.map_err(BoxError::from) };
        let (count, ()) = future::try_join(count, put_back).await?;
        self.say(format_args!(
            "the call has its answer: {} notes",
            count.concat()
        ));

        let seen = watcher.await;
        let recovered = seen.ends_with(&RECOVERY);
        ensure(recovered, "the health went from Ready to Degraded and back")?;
        Ok(notes)
    }

    /// Nobody is cut off: a task that still holds a connection ends its work.
    async fn shut_down(&mut self, notes: &Managed<Notes<D, T>, T>) -> Result<(), BoxError> {
        self.title("All is shut down, while one task still writes");
        let (db, runtime) = (self.db.clone(), self.stage.runtime.clone());
        let mut connection = db.pool.acquire_owned().await?;
        let last = String::from("the last note");
        let line = last.clone();
        let writer = self.stage.spawn(async move {
            runtime.sleep(Duration::from_millis(300)).await;
            let database = db.pool.resource();
            let done = database.execute(&mut connection, INSERT, &[&line]).await;
            done.map(drop).map_err(Into::<BoxError>::into)
        });

        let report = notes.shutdown(PATIENCE).await;
        self.check_end(&report, &notes.audit())?;
        let report = self.db.pool.shutdown(PATIENCE).await;
        self.check_end(&report, &self.db.pool.audit())?;
        writer.await?;
        self.written.push(last);

        match self.db.execute("SELECT 1", &[]).await {
            Ok(_) => Err("a pool that is shut down gave a connection".into()),
            Err(error) => {
                self.say(format_args!("whoever asks now is told: {error}"));
                Ok(())
            }
        }
    }

    fn check_end(&self, report: &Report, audit: &Audit) -> Result<(), BoxError> {
        self.say(format_args!("report of {report}"));
        self.say(format_args!("audit of {}: {audit}", report.name));
        ensure(report.is_clean(), "every value was closed")?;
        ensure(audit.is_balanced(), "the counters balance")?;
        ensure(audit.live() == 0, "nothing is left open")
    }

    /// The rows are all there, seen through a connection that no pool holds.
    async fn compare(mut self) -> Result<(), BoxError> {
        self.title("A look into the database");
        let database = self.db.pool.resource();
        let mut connection = database.open().await.map_err(Into::into)?;
        let lines = database
            .execute(&mut connection, "SELECT line FROM notes", &[])
            .await;
        database
            .close(connection, Why::Shutdown)
            .await
            .map_err(Into::into)?;
        let mut lines = lines.map_err(Into::into)?;
        lines.sort();
        self.written.sort();
        ensure(
            lines == self.written,
            "the notes are those that were written",
        )?;
        self.say(format_args!(
            "all {} notes are there, and no other",
            lines.len()
        ));
        Ok(())
    }

    fn title(&self, line: &str) {
        self.stage.title(line);
    }

    fn say(&self, line: impl Display) {
        self.stage.say(line);
    }
}

/// One task: writes its notes, and reads each back.
async fn write_notes<D: Database, T: Runtime>(
    db: DatabasePool<D, T>,
    task: usize,
) -> Result<(Vec<String>, usize), BoxError> {
    let mut written = Vec::new();
    let mut longest_queue = 0;
    for number in 1..=NOTES_EACH {
        let line = format!("note {number} of task {task}");
        db.execute(INSERT, &[&line]).await?;
        let read = "SELECT line FROM notes WHERE line = $1";
        let read = db.execute(read, &[&line]).await?;
        ensure(read == [line.as_str()], "a note is read as it was written")?;
        written.push(line);
        longest_queue = longest_queue.max(db.pool.status().waiting);
    }
    Ok((written, longest_queue))
}
