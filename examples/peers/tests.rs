//! The peers, all in one process.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::STOP_WITHIN;
use crate::answers::Answers;
use crate::handle::Handle;
use crate::model::{embed, expected};
use crate::neighbours::Pulse;
use crate::peer::Peer;
use crate::prompts::ask;
use crate::proto::{Prompt, Shard, TokenResult, TopologyRequest};
use crate::ring::{PEERS, after, before, id_of};
use crate::tensor::{Computing, Tensor};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s17_peers_answer_prompts_and_survive_the_restart_of_one() {
    let mut peers = Vec::new();
    for number in 1..=PEERS {
        peers.push(Peer::begin(number, None).await.expect("it serves"));
    }
    let addresses: Vec<SocketAddr> = peers.iter().map(|(_, address)| *address).collect();
    let at = |number: u32| addresses[number as usize - 1];
    let mut handles = Vec::new();
    for ((peer, address), number) in peers.iter().zip(1..) {
        let met = peer.meet(at(after(number)), at(before(number))).await;
        met.expect("addresses");
        let handle = Handle::new(&id_of(number), *address, "tested", Arc::<Pulse>::default());
        handles.push(handle.expect("an address"));
    }
    are_asked(&handles, "before").await;

    let third = peers.remove(2);
    third.0.stop().await.expect("it stops well");
    drop(third);
    let (third, address) = Peer::begin(3, Some(at(3).port()))
        .await
        .expect("it serves again");
    assert_eq!(address, at(3));
    third.meet(at(4), at(2)).await.expect("addresses");
    are_asked(&handles, "after").await;

    for handle in &handles {
        let topology = handle.collect_topology(TopologyRequest::of_all()).await;
        assert!(topology.expect("it tells").is_complete());
        assert!(handle.health_check().await.expect("it tells").is_healthy);
        let (stats, is_third) = (handle.stats(), handle.id == id_of(3));
        assert_eq!(stats.connects.reconnects, u64::from(is_third), "{stats}");
        let report = handle.channel.shutdown(STOP_WITHIN).await;
        assert!(report.is_clean() && stats.is_balanced(), "{report}");
    }
    third.stop().await.expect("it stops well");
    for (peer, _) in peers {
        peer.stop().await.expect("it stops well");
    }
}

/// One prompt of each.
async fn are_asked(handles: &[Handle], when: &str) {
    for handle in handles {
        let tally = ask(handle, &format!("{when}-{}", handle.id), 2, 1).await;
        assert!(tally.is_complete(), "{:?}", tally.complaints);
    }
}

fn prompt() -> Prompt {
    Prompt {
        prompt: "what is a ring?".to_owned(),
        tokens: 1,
        tensor_mebibytes: 2,
        ..Prompt::default()
    }
}

#[test]
fn s17_shard_after_shard_computes_what_the_whole_model_does() {
    let mut shard = Shard::of_peer(1);
    let mut tensor = embed(&prompt(), shard.layers());
    while let Some(next) = shard.next() {
        let mut computing = Computing::new(next.layers(), tensor.shape());
        let checksum = tensor.checksum();
        for chunk in tensor.into_chunks() {
            computing.take(&chunk).expect("the next chunk");
        }
        let (computed, received) = computing.finish().expect("all of it");
        assert_eq!(received, checksum);
        (shard, tensor) = (next, computed);
    }
    assert_eq!(vec![tensor.checksum()], expected(&prompt()));
}

#[test]
fn s17_a_tensor_of_which_a_part_is_missing_is_refused() {
    let layers = Shard::of_peer(1).layers();
    let tensor = Tensor::new(2, 0..);
    let [first, second] = &tensor.clone().into_chunks().collect::<Vec<_>>()[..] else {
        panic!("two chunks");
    };
    let mut computing = Computing::new(layers, tensor.shape());
    computing.take(second).expect_err("it is not the first");
    computing.take(first).expect("it is");
    computing.take(first).expect_err("it has come");
    let ended = computing.finish().map(|(_, checksum)| checksum);
    ended.expect_err("one is missing");
}

#[test]
fn s17_a_token_that_comes_twice_is_one() {
    let answers = Answers::default();
    let token = TokenResult {
        request_id: "first".to_owned(),
        token: 7,
        ..TokenResult::default()
    };
    assert!(answers.accept(token.clone()));
    assert!(!answers.accept(token));
    assert_eq!(answers.counts(), (1, 1));
    let found = answers.find("first", 0).map(|found| found.token);
    assert_eq!(found, Some(7));
    assert!(answers.find("first", 1).is_none());
}
