//! Who needs whom.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::error::Error;
use core::fmt::{self, Write as _};

use crate::name::redacted;
use crate::sync::Text;

/// The members of a [`Group`](super::Group) and what each of them needs. It has no cycles.
///
/// It prints as text, one line for each layer of members that can start side by side.
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// use tenure_core::Group;
/// let group = Group::builder("service")
///     .add("db", managed.clone())
///     .add("api", managed)
///     .after("db")
///     .build(Virtual::default())?;
/// assert_eq!(group.graph().to_string(), "1. db\n2. api (after db)\n");
/// # Ok::<(), BoxError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Graph {
    /// By number. A number is given to another once its member was removed and has stopped.
    pub(crate) nodes: Vec<Node>,
    /// The id of the next member.
    next_id: u64,
}

/// A member, as the graph sees it.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// In the order in which members were added. No two members ever have the same.
    pub(crate) id: u64,
    pub(crate) name: Text,
    pub(crate) optional: bool,
    /// What has to settle before it starts: what it requires, and what it wants.
    pub(crate) after: Vec<usize>,
    /// What it cannot do without, of those.
    pub(crate) requires: Vec<usize>,
    /// What comes after it.
    pub(crate) before: Vec<usize>,
    /// How many members the longest chain of needs counts that ends here, this one included.
    pub(crate) depth: usize,
    /// It was removed.
    pub(crate) gone: bool,
}

/// What a user says of a member.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) name: Text,
    /// What it cannot do without.
    pub(crate) after: Vec<Text>,
    /// What it can do without.
    pub(crate) wants: Vec<Text>,
    pub(crate) optional: bool,
}

/// Why some members and their needs make no graph.
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// use tenure_core::Group;
/// let error = Group::builder("service").add("api", managed).after("db").build(Virtual::default()).unwrap_err();
/// assert_eq!(error.to_string(), "api comes after db, and there is no db");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GraphError {
    /// Two members have one name.
    Duplicate {
        /// That name.
        name: Text,
    },
    /// A member needs one that there is not.
    Unknown {
        /// The member that needs it.
        member: Text,
        /// The name that nobody has.
        needs: Text,
    },
    /// Some members need each other in a circle, so that none of them can be the first.
    Cycle {
        /// The circle: each needs the next, and the last needs the first.
        members: Vec<Text>,
    },
}

impl Graph {
    pub(crate) fn new(wanted: &[Wanted]) -> Result<Self, GraphError> {
        let mut numbers = BTreeMap::new();
        for (number, member) in wanted.iter().enumerate() {
            let name = member.name.clone();
            if numbers.insert(name.clone(), number).is_some() {
                return Err(GraphError::Duplicate { name });
            }
        }
        let number = |name: &Text| numbers.get(name).copied();
        let ids = 0_u64..;
        let nodes = wanted.iter().zip(ids.clone());
        let nodes = nodes.map(|(member, id)| Node::new(member, id, number));
        let mut nodes: Vec<Node> = nodes.collect::<Result<_, _>>()?;
        for number in 0..nodes.len() {
            for needed in nodes[number].after.clone() {
                nodes[needed].before.push(number);
            }
        }
        let next_id = nodes.len() as u64;
        let mut graph = Self { nodes, next_id };
        graph.measure().map(|()| graph)
    }

    /// Takes in one member more, under a number that is free or the next. Nothing needs that yet, so there can be no
    /// cycle. If it does not go with the others nothing is changed.
    pub(crate) fn insert(&mut self, wanted: &Wanted, number: usize) -> Result<(), GraphError> {
        if self.number(&wanted.name).is_some() {
            let name = wanted.name.clone();
            return Err(GraphError::Duplicate { name });
        }
        let mut node = Node::new(wanted, self.next_id, |name| self.number(name))?;
        self.next_id += 1;
        node.depth = self.depth_of(&node);
        for needed in &node.after {
            self.nodes[*needed].before.push(number);
        }
        match self.nodes.get_mut(number) {
            Some(free) => *free = node,
            None => self.nodes.push(node),
        }
        Ok(())
    }

    /// Takes out one of the members, or gives the names of those that need it.
    pub(crate) fn remove(&mut self, member: usize) -> Result<(), Vec<Text>> {
        let needing = self.nodes[member].before.iter();
        let needing = needing.map(|other| self.nodes[*other].name.clone());
        let needing: Vec<Text> = needing.collect();
        if !needing.is_empty() {
            return Err(needing);
        }
        self.nodes[member].gone = true;
        for needed in self.nodes[member].after.clone() {
            self.nodes[needed].before.retain(|other| *other != member);
        }
        Ok(())
    }

    /// The numbers of those that were not removed, in the order in which they were added.
    pub(crate) fn present(&self) -> Vec<usize> {
        let mut present: Vec<usize> = (0..self.nodes.len()).collect();
        present.retain(|member| !self.nodes[*member].gone);
        present.sort_by_key(|member| self.nodes[*member].id);
        present
    }

    /// The number of a member that was not removed, by its id.
    pub(crate) fn with_id(&self, id: u64) -> Option<usize> {
        let is_meant = |node: &Node| node.id == id && !node.gone;
        self.nodes.iter().position(is_meant)
    }

    /// Gives each member its depth; finds a cycle, if there is one.
    fn measure(&mut self) -> Result<(), GraphError> {
        let mut missing: Vec<usize> = self.nodes.iter().map(|node| node.after.len()).collect();
        let mut free: Vec<usize> = (0..missing.len()).filter(|at| missing[*at] == 0).collect();
        let mut measured = 0;
        while let Some(number) = free.pop() {
            measured += 1;
            self.nodes[number].depth = self.depth_of(&self.nodes[number]);
            for dependent in &self.nodes[number].before {
                missing[*dependent] -= 1;
                if missing[*dependent] == 0 {
                    free.push(*dependent);
                }
            }
        }
        if measured == self.nodes.len() {
            Ok(())
        } else {
            Err(self.cycle(&missing))
        }
    }

    /// One more than the deepest of what it needs.
    fn depth_of(&self, node: &Node) -> usize {
        let below = node.after.iter().map(|needed| self.nodes[*needed].depth);
        1 + below.max().unwrap_or(0)
    }

    /// The numbers of those that were not removed, each after what it needs.
    pub(crate) fn in_order(&self) -> Vec<usize> {
        let mut order = self.present();
        order.sort_by_key(|member| self.nodes[*member].depth);
        order
    }

    /// Whoever still misses something misses it for a cycle: following what is missed leads into one.
    fn cycle(&self, missing: &[usize]) -> GraphError {
        let mut walked: Vec<usize> = Vec::new();
        let mut next = missing.iter().position(|missing| *missing > 0);
        while let Some(number) = next {
            if let Some(start) = walked.iter().position(|walked| *walked == number) {
                walked.drain(..start);
                break;
            }
            walked.push(number);
            let needs = self.nodes[number].after.iter();
            next = needs.copied().find(|needed| missing[*needed] > 0);
        }
        let members = walked.iter().map(|number| self.nodes[*number].name.clone());
        GraphError::Cycle {
            members: members.collect(),
        }
    }

    /// The graph in the language of Graphviz: an arrow leads from each member to what it needs, and a dashed one to
    /// what it [can do without](super::GroupBuilder::wants). A member that the group can do without is dashed.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # use tenure_core::Group;
    /// # let group = Group::builder("service").add("db", managed.clone()).add("api", managed).after("db")
    /// #     .build(Virtual::default())?;
    /// assert!(group.graph().to_dot().contains("\"api\" -> \"db\";"));
    /// # Ok::<(), BoxError>(())
    /// ```
    #[must_use]
    pub fn to_dot(&self) -> String {
        let mut dot = String::from("digraph {\n");
        let present = self.present();
        let present: Vec<&Node> = present.iter().map(|member| &self.nodes[*member]).collect();
        for node in &present {
            let style = if node.optional { " [style=dashed]" } else { "" };
            let _ = writeln!(dot, "    {}{style};", Quoted(&node.name));
        }
        for node in &present {
            let required = node.requires.iter().map(|needed| (*needed, ""));
            let wanted = node.wants().map(|needed| (needed, " [style=dashed]"));
            for (needed, style) in required.chain(wanted) {
                let (from, to) = (Quoted(&node.name), Quoted(&self.nodes[needed].name));
                let _ = writeln!(dot, "    {from} -> {to}{style};");
            }
        }
        dot.push_str("}\n");
        dot
    }

    pub(crate) fn number(&self, name: &str) -> Option<usize> {
        let called = |node: &Node| node.name == name && !node.gone;
        self.nodes.iter().position(called)
    }
}

impl Wanted {
    /// A member that needs nothing, and that the group needs.
    pub(crate) fn new(name: impl Into<Text>) -> Self {
        Self {
            name: redacted(name.into()),
            after: Vec::new(),
            wants: Vec::new(),
            optional: false,
        }
    }
}

impl Node {
    /// A member that nothing needs yet, not measured. What is said twice counts once, and what is both required and
    /// wanted is required.
    fn new(
        wanted: &Wanted,
        id: u64,
        number: impl Fn(&Text) -> Option<usize>,
    ) -> Result<Self, GraphError> {
        let mut after = Vec::with_capacity(wanted.after.len() + wanted.wants.len());
        let mut requires = Vec::with_capacity(wanted.after.len());
        for (place, needs) in wanted.after.iter().chain(&wanted.wants).enumerate() {
            let Some(needed) = number(needs) else {
                return Err(GraphError::Unknown {
                    member: wanted.name.clone(),
                    needs: needs.clone(),
                });
            };
            if after.contains(&needed) {
                continue;
            }
            after.push(needed);
            if place < wanted.after.len() {
                requires.push(needed);
            }
        }
        Ok(Self {
            id,
            name: wanted.name.clone(),
            optional: wanted.optional,
            after,
            requires,
            before: Vec::new(),
            depth: 0,
            gone: false,
        })
    }

    /// What it can do without.
    fn wants(&self) -> impl Iterator<Item = usize> {
        let after = self.after.iter().copied();
        after.filter(|needed| !self.requires.contains(needed))
    }
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let present = self.present();
        let present: Vec<&Node> = present.iter().map(|member| &self.nodes[*member]).collect();
        let deepest = present.iter().map(|node| node.depth).max().unwrap_or(0);
        for depth in 1..=deepest {
            write!(f, "{depth}. ")?;
            let layer = present.iter().filter(|node| node.depth == depth);
            for (place, node) in layer.enumerate() {
                let separator = if place > 0 { ", " } else { "" };
                write!(f, "{separator}{}", node.name)?;
                let mut opening = " (";
                let required = node.requires.iter().copied().enumerate();
                for (place, needed) in required {
                    let word = if place == 0 { "after " } else { "" };
                    write!(f, "{opening}{word}{}", self.nodes[needed].name)?;
                    opening = ", ";
                }
                opening = if opening == ", " { "; " } else { opening };
                for (place, needed) in node.wants().enumerate() {
                    let word = if place == 0 { "wants " } else { "" };
                    write!(f, "{opening}{word}{}", self.nodes[needed].name)?;
                    opening = ", ";
                }
                if node.optional {
                    let opening = if node.after.is_empty() { " (" } else { "; " };
                    write!(f, "{opening}optional")?;
                }
                if node.optional || !node.after.is_empty() {
                    f.write_char(')')?;
                }
            }
            f.write_char('\n')?;
        }
        Ok(())
    }
}

impl fmt::Display for GraphError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duplicate { name } => write!(f, "two members are called {name}"),
            Self::Unknown { member, needs } => {
                write!(f, "{member} comes after {needs}, and there is no {needs}")
            }
            Self::Cycle { members } => {
                f.write_str("these need each other in a circle: ")?;
                for member in members {
                    write!(f, "{member} -> ")?;
                }
                members.first().map_or(Ok(()), |first| f.write_str(first))
            }
        }
    }
}

impl Error for GraphError {}

/// A name as DOT writes it.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            if matches!(c, '"' | '\\') {
                f.write_char('\\')?;
            }
            f.write_char(c)?;
        }
        f.write_char('"')
    }
}
