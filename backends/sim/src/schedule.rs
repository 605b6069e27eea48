//! Who runs next: by a seed, or by a script that is to be explored to its end.

/// A source of choices.
pub(crate) enum Schedule {
    /// Each choice is drawn from a generator.
    Seeded { dice: Dice },
    /// Each choice is the next of a list; beyond its end always the first possibility, which is noted.
    Scripted {
        script: Vec<Choice>,
        next: usize,
        dice: Dice,
    },
}

/// One choice that was made, of so many possibilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) taken: usize,
    pub(crate) of: usize,
}

impl Schedule {
    pub(crate) const fn seeded(seed: u64) -> Self {
        Self::Seeded {
            dice: Dice::seeded(seed),
        }
    }

    pub(crate) const fn scripted(script: Vec<Choice>) -> Self {
        Self::Scripted {
            script,
            next: 0,
            dice: Dice::seeded(0),
        }
    }

    /// Chooses one of so many.
    pub(crate) fn choose(&mut self, of: usize) -> usize {
        if of < 2 {
            return 0;
        }
        match self {
            Self::Seeded { dice } => dice.below(of as u64) as usize,
            Self::Scripted { script, next, .. } => {
                if *next == script.len() {
                    script.push(Choice { taken: 0, of });
                }
                let taken = script[*next].taken;
                *next += 1;
                assert!(
                    taken < of,
                    "the order that is replayed is not one of this world"
                );
                taken
            }
        }
    }

    /// The choices that were made, of a script.
    pub(crate) fn take_script(&mut self) -> Vec<Choice> {
        match self {
            Self::Seeded { .. } => Vec::new(),
            Self::Scripted { script, .. } => std::mem::take(script),
        }
    }

    pub(crate) const fn dice(&mut self) -> &mut Dice {
        match self {
            Self::Seeded { dice } | Self::Scripted { dice, .. } => dice,
        }
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014): small, and good for any seed.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub(crate) const fn below(&mut self, bound: u64) -> u64 {
        ((self.next() as u128 * bound as u128) >> 64) as u64
    }
}
