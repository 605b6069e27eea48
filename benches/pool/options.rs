//! What the command line asks for.

use std::path::PathBuf;

const USAGE: &str = "usage: cargo bench -p tenure-benches --bench pool -- [--rounds N] [--only NAME] [--json FILE]

  --rounds N   rounds of each workload, 15 by default, more where they are short; fewer are for a quick look
  --only NAME  only workloads whose name contains NAME
  --json FILE  writes all rounds and verdicts there, beside printing them; a relative path counts from benches/";

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) rounds: usize,
    pub(crate) only: Option<String>,
    pub(crate) json: Option<PathBuf>,
}

impl Options {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            rounds: 15,
            only: None,
            json: None,
        };
        while let Some(word) = words.next() {
            let mut argument = || words.next().ok_or_else(|| USAGE.to_string());
            match word.as_str() {
                "--rounds" => {
                    options.rounds = match argument()?.parse() {
                        Ok(rounds) if rounds > 0 => rounds,
                        _ => return Err(USAGE.to_string()),
                    }
                }
                "--only" => options.only = Some(argument()?),
                "--json" => options.json = Some(argument()?.into()),
                // Cargo says this to every benchmark.
                "--bench" => {}
                _ => return Err(USAGE.to_string()),
            }
        }
        Ok(options)
    }

    pub(crate) fn includes(&self, workload: &str) -> bool {
        self.only
            .as_ref()
            .is_none_or(|part| workload.contains(part))
    }
}
