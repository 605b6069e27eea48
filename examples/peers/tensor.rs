//! A tensor, in the pieces that it is sent in.

use prost::bytes::Bytes;

use crate::model::Layers;
use crate::proto::TensorChunk;

pub(crate) const DTYPE: &str = "u64";

const WORD: usize = size_of::<u64>();
const WORDS_OF_CHUNK: usize = (1 << 20) / WORD;

/// Cloning it is cheap: all clones have the same bytes.
#[derive(Clone, Default)]
pub(crate) struct Tensor {
    chunks: Vec<Bytes>,
    checksum: Checksum,
}

/// Of words, in their order.
#[derive(Clone, Copy, Default)]
pub(crate) struct Checksum(u64);

impl Checksum {
    pub(crate) const fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x2545_F491_4F6C_DD1D);
    }

    pub(crate) const fn value(self) -> u64 {
        self.0
    }
}

impl Tensor {
    pub(crate) fn new(mebibytes: u32, words: impl Iterator<Item = u64>) -> Self {
        let mut words = words.take(Self::words(mebibytes));
        let mut tensor = Self::default();
        for _ in 0..mebibytes {
            tensor.push(words.by_ref().take(WORDS_OF_CHUNK));
        }
        tensor
    }

    /// How many are in one of this size.
    pub(crate) const fn words(mebibytes: u32) -> usize {
        mebibytes as usize * WORDS_OF_CHUNK
    }

    pub(crate) fn shape(&self) -> Vec<u64> {
        vec![self.chunks.len() as u64, WORDS_OF_CHUNK as u64]
    }

    pub(crate) const fn checksum(&self) -> u64 {
        self.checksum.value()
    }

    fn push(&mut self, words: impl Iterator<Item = u64>) {
        let mut bytes = Vec::with_capacity(WORDS_OF_CHUNK * WORD);
        for word in words {
            self.checksum.add(word);
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        self.chunks.push(bytes.into());
    }

    /// As it is sent, again for each attempt.
    pub(crate) fn into_chunks(self) -> impl Iterator<Item = TensorChunk> + Send + 'static {
        (0..)
            .zip(self.chunks)
            .map(|(number, data)| TensorChunk { number, data })
    }
}

/// A tensor that comes in, and is computed as it comes.
pub(crate) struct Computing {
    layers: Layers,
    shape: Vec<u64>,
    received: Checksum,
    computed: Tensor,
}

impl Computing {
    pub(crate) fn new(layers: Layers, shape: Vec<u64>) -> Self {
        Self {
            layers,
            shape,
            received: Checksum::default(),
            computed: Tensor::default(),
        }
    }

    /// Takes the next chunk. Any other is refused.
    pub(crate) fn take(&mut self, chunk: &TensorChunk) -> Result<(), String> {
        let (number, bytes) = (chunk.number as usize, chunk.data.len());
        if number != self.computed.chunks.len() || bytes != WORDS_OF_CHUNK * WORD {
            return Err(format!("chunk {number} of {bytes} bytes does not fit"));
        }
        let words = chunk.data.chunks_exact(WORD).map(|word| {
            let word = u64::from_le_bytes(word.try_into().unwrap_or_default());
            self.received.add(word);
            self.layers.compute(word)
        });
        self.computed.push(words);
        Ok(())
    }

    /// What was computed, and the checksum of what came.
    pub(crate) fn finish(self) -> Result<(Tensor, u64), String> {
        if self.computed.shape() != self.shape {
            return Err(format!("only {} chunks came", self.computed.chunks.len()));
        }
        Ok((self.computed, self.received.value()))
    }
}
