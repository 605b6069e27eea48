//! Groups of any shape, on backends on which everything goes wrong.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tenure_core::group::{LocalLifecycle, LocalMembers};
use tenure_core::{BoxError, Group, State};
use tenure_sim::{Sim, explore};

use crate::drawn::{coin, some_time};
use crate::patience::Patience;

#[test]
fn b10_random_groups_keep_their_order_and_leave_nothing_up() {
    let explored = explore(0..3_000, |sim| async move {
        if sim.below(4) == 0 {
            sim.poll_spuriously(4);
        }
        let world = World::drawn(&sim);
        let users: Vec<_> = (0..1 + sim.below(4))
            .map(|number| sim.task(format!("user {number}"), world.clone().user()))
            .collect();
        for user in users {
            user.await;
        }
        world.end().await;
    });
    println!("{} groups, {} steps", explored.runs, explored.steps);
}

#[derive(Clone)]
struct World {
    sim: Sim,
    group: Group<Sim, LocalMembers>,
    stage: Rc<Stage>,
}

/// Where each part stands, by its own account, and what it needs.
struct Stage {
    parts: RefCell<Vec<Standing>>,
    /// What was against the rules. A panic would be contained, as a member's own.
    offences: RefCell<Vec<String>>,
    needs: Vec<Vec<usize>>,
    /// Those of the needs that a part can do without.
    wants: Vec<Vec<usize>>,
    optional: Vec<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Idle,
    Starting,
    Up,
    Failed,
    Stopping,
    Down,
}

struct Part {
    sim: Sim,
    number: usize,
    stage: Rc<Stage>,
}

impl World {
    fn drawn(sim: &Sim) -> Self {
        let count = sim.below(13) as usize;
        let mut needs: Vec<Vec<usize>> = Vec::new();
        for number in 0..count {
            let mut mine: Vec<usize> = (0..number).filter(|_| sim.below(3) == 0).collect();
            // Said twice it is the same.
            mine.extend(mine.first().copied().filter(|_| coin(sim)));
            needs.push(mine);
        }
        let wants: Vec<Vec<usize>> = needs
            .iter()
            .map(|needs| {
                let mut wants = needs.clone();
                wants.retain(|_| coin(sim));
                wants
            })
            .collect();
        let optional: Vec<bool> = (0..count).map(|_| sim.below(3) == 0).collect();
        let stage = Rc::new(Stage {
            parts: RefCell::new(vec![Standing::Idle; count]),
            offences: RefCell::default(),
            needs,
            wants,
            optional,
        });
        let mut builder = Group::local_builder("drawn");
        for number in 0..count {
            let part = Part {
                sim: sim.clone(),
                number,
                stage: stage.clone(),
            };
            builder = builder.add(number.to_string(), part);
            for needed in &stage.needs[number] {
                let name = needed.to_string();
                builder = match stage.wants[number].contains(needed) {
                    true => builder.wants(name),
                    false => builder.after(name),
                };
            }
            if stage.optional[number] {
                builder = builder.optional();
            }
            builder = builder
                .start_timeout(some_time(sim, 3_000))
                .stop_timeout(some_time(sim, 3_000));
        }
        if coin(sim) {
            builder = builder.most_at_once(1 + sim.below(3) as usize);
        }
        Self {
            sim: sim.clone(),
            group: builder.build_local(sim.clone()).expect("a graph"),
            stage,
        }
    }

    async fn user(self) {
        let sim = &self.sim;
        for _ in 0..1 + sim.below(4) {
            let patience = Patience::drawn(sim);
            match sim.below(8) {
                0..=3 => drop(patience.wait(sim, self.group.start()).await),
                4 => drop(patience.wait(sim, self.group.close()).await),
                5 => {
                    let within = some_time(sim, 5_000);
                    let began = sim.time_passed();
                    let _ = patience.wait(sim, self.group.shutdown(within)).await;
                    let took = sim.time_passed() - began;
                    assert!(took <= within, "{took:?} of {within:?}");
                }
                6 => drop(patience.wait(sim, self.group.health()).await),
                _ => sim.sleep(some_time(sim, 2_000)).await,
            }
            drop((self.group.state(), self.group.report()));
        }
    }

    async fn end(self) {
        let started = self.group.start().await;
        if started.is_ok() {
            assert!(self.group.has_started());
            for number in 0..self.stage.optional.len() {
                let part = self.stage.parts.borrow()[number];
                let excused = self.stage.optional[number] || self.stage.is_held_back(number);
                assert!(part == Standing::Up || excused, "{part:?}");
            }
        } else {
            assert_eq!(self.group.state(), State::Closed);
        }
        self.group.close().await;
        assert_eq!(*self.stage.offences.borrow(), Vec::<String>::new());
        for part in &*self.stage.parts.borrow() {
            assert!(matches!(part, Standing::Idle | Standing::Down), "{part:?}");
        }
    }
}

impl Stage {
    /// Whether something that a part requires was tried in vain, or was held back itself.
    fn is_held_back(&self, number: usize) -> bool {
        let mut requires = self.needs[number].iter();
        requires.any(|needed| {
            let is_missing = match self.parts.borrow()[*needed] {
                Standing::Failed => self.optional[*needed],
                Standing::Idle => self.is_held_back(*needed),
                _ => false,
            };
            is_missing && !self.wants[number].contains(needed)
        })
    }
}

impl Part {
    fn stands(&self, standing: Standing) {
        self.stage.parts.borrow_mut()[self.number] = standing;
    }

    fn demand(&self, holds: bool, offence: std::fmt::Arguments<'_>) {
        if !holds {
            self.stage.offences.borrow_mut().push(offence.to_string());
        }
    }

    /// Whether all that it needs is up, or was tried in vain and is not required.
    fn may_start(&self) -> bool {
        let stage = &*self.stage;
        stage.needs[self.number].iter().all(|needed| {
            let is_wanted = stage.wants[self.number].contains(needed);
            match stage.parts.borrow()[*needed] {
                Standing::Up => true,
                Standing::Failed => is_wanted && stage.optional[*needed],
                Standing::Idle => is_wanted && stage.is_held_back(*needed),
                _ => false,
            }
        })
    }

    /// Some things take time, some fail, some never end.
    async fn live(&self) -> Result<(), BoxError> {
        match self.sim.below(10) {
            0 => return Err("drawn to fail".into()),
            1 => std::future::pending::<()>().await,
            2..=5 => {}
            _ => self.sim.sleep(some_time(&self.sim, 2_000)).await,
        }
        Ok(())
    }
}

impl LocalLifecycle for Part {
    async fn start(&self) -> Result<(), BoxError> {
        self.demand(
            self.may_start(),
            format_args!("one starts without what it needs"),
        );
        self.stands(Standing::Starting);
        // Unless it is up in the end.
        let _failed = Leaves(self, Standing::Starting, Standing::Failed);
        let answer = match self.sim.below(10) {
            // Most start, or few groups would.
            0..=7 => {
                self.sim.sleep(some_time(&self.sim, 500)).await;
                Ok(())
            }
            _ => self.live().await,
        };
        if answer.is_ok() {
            self.stands(Standing::Up);
        }
        answer
    }

    async fn stop(&self, within: Option<Duration>) -> Result<(), BoxError> {
        self.demand(within.is_some(), format_args!("it has a limit of its own"));
        for (number, needs) in self.stage.needs.iter().enumerate() {
            let other = self.stage.parts.borrow()[number];
            let rests = matches!(other, Standing::Idle | Standing::Down);
            let needed = needs.contains(&self.number);
            self.demand(
                rests || !needed,
                format_args!("one stops that one needs that is {other:?}"),
            );
        }
        self.stands(Standing::Stopping);
        // Whatever comes of this, the group is done with it.
        let _down = Leaves(self, Standing::Stopping, Standing::Down);
        self.live().await
    }
}

/// When it goes, a part that stands as the first stands as the second.
struct Leaves<'a>(&'a Part, Standing, Standing);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        if self.0.stage.parts.borrow()[self.0.number] == self.1 {
            self.0.stands(self.2);
        }
    }
}
