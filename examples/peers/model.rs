//! A model whose answers can be checked: what all its layers do to a tensor is small, exact and the same everywhere.

use crate::proto::{InferenceState, Prompt, Shard};
use crate::ring::PEERS;
use crate::tensor::{Checksum, Tensor};

const NAME: &str = "ring-32";
const LAYERS: u32 = 32;
const LAYERS_OF_EACH: u32 = LAYERS / PEERS;

/// What a row of layers does to each word: `word * factor + summand`. Two rows one after the other are such a row.
#[derive(Clone, Copy)]
pub(crate) struct Layers {
    factor: u64,
    summand: u64,
}

impl Layers {
    fn of(shard: &Shard) -> Self {
        let none = Self {
            factor: 1,
            summand: 0,
        };
        (shard.first_layer..=shard.last_layer)
            .map(u64::from)
            .fold(none, |before, layer| Self {
                // Odd, so that no two words become one.
                factor: before.factor.wrapping_mul(2 * layer + 3),
                summand: before
                    .summand
                    .wrapping_mul(2 * layer + 3)
                    .wrapping_add(layer + 1),
            })
    }

    pub(crate) const fn compute(self, word: u64) -> u64 {
        word.wrapping_mul(self.factor).wrapping_add(self.summand)
    }
}

impl Shard {
    /// The layers of a peer, by its number from 1.
    pub(crate) fn of_peer(number: u32) -> Self {
        let first_layer = (number - 1) * LAYERS_OF_EACH;
        Self {
            model: NAME.to_owned(),
            first_layer,
            last_layer: first_layer + LAYERS_OF_EACH - 1,
            layers_of_model: LAYERS,
        }
    }

    pub(crate) fn whole_model() -> Self {
        Self {
            model: NAME.to_owned(),
            first_layer: 0,
            last_layer: LAYERS - 1,
            layers_of_model: LAYERS,
        }
    }

    /// That with the layers after these, unless these are the last.
    pub(crate) fn next(&self) -> Option<Self> {
        let first_layer = self.last_layer + 1;
        (first_layer < self.layers_of_model).then(|| Self {
            first_layer,
            last_layer: self.last_layer + LAYERS_OF_EACH,
            ..self.clone()
        })
    }

    pub(crate) fn layers(&self) -> Layers {
        Layers::of(self)
    }
}

/// What the first layers make of a prompt.
pub(crate) fn embed(prompt: &Prompt, layers: Layers) -> Tensor {
    let words = words_of(prompt).map(|word| layers.compute(word));
    Tensor::new(prompt.tensor_mebibytes, words)
}

/// The words of the tensor that the first layer begins with, without an end.
fn words_of(prompt: &Prompt) -> impl Iterator<Item = u64> + use<> {
    let InferenceState { position, token } = prompt.state.unwrap_or_default();
    let text = prompt.prompt.bytes().map(u64::from);
    let seed = text.fold(token ^ u64::from(position), |seed, byte| {
        seed.wrapping_mul(257).wrapping_add(byte)
    });
    (0..).map(move |place: u64| seed.wrapping_add(place.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
}

/// What the model has to answer, computed by one process and without a tensor.
pub(crate) fn expected(prompt: &Prompt) -> Vec<u64> {
    let layers = Shard::whole_model().layers();
    let mut prompt = prompt.clone();
    (0..prompt.tokens)
        .map(|position| {
            let mut token = Checksum::default();
            words_of(&prompt)
                .take(Tensor::words(prompt.tensor_mebibytes))
                .for_each(|word| token.add(layers.compute(word)));
            let token = token.value();
            let position = position + 1;
            prompt.state = Some(InferenceState { position, token });
            token
        })
        .collect()
}
