//! Crashes and limits: each ends as a fault with a code, and the binding goes on.

use std::time::{Duration, Instant};

use forebay_model::Class;
use forebay_transform::{Limits, codes};

use crate::support::{bind, config, hostile, inserts, notes, once, place, texts};

const THREE: [Option<&str>; 3] = [Some("a"), None, Some("c")];

#[tokio::test]
async fn a_panic_is_poison_with_the_plugins_words() {
    let fault = once("trap", THREE).await.unwrap_err();
    assert_eq!(fault.code(), codes::TRAP);
    assert_eq!(fault.class(), Class::Poison);
    let message = fault.message();
    assert!(message.contains("plugin `hostile` on a batch of shop.orders"), "{message}");
    assert!(message.contains("apply goes wrong"), "{message}");
    assert!(message.contains("`unreachable`"), "{message}");
    assert!(message.len() < 700, "{message}");
    println!("{fault}");
}

#[tokio::test]
async fn only_the_batch_at_fault_fails() {
    let table = notes();
    let mut binding = bind("trap_on_poison", &table).await.unwrap();
    for _ in 0..2 {
        let fault =
            binding.apply(&inserts(&table, &[Some("a"), Some("poison")]), &place()).await.unwrap_err();
        assert_eq!(fault.code(), codes::TRAP);
        let fine = binding.apply(&inserts(&table, &[Some("a"), Some("b")]), &place()).await.unwrap();
        assert_eq!(texts(&fine.batch.columns[1]), [Some("a"), Some("b")]);
    }
}

#[tokio::test]
async fn a_crash_that_a_new_instance_does_not_repeat_is_not_seen() {
    let table = notes();
    let mut binding = bind("trap_once", &table).await.unwrap();
    for _ in 0..5 {
        assert_eq!(binding.apply(&inserts(&table, &THREE), &place()).await.unwrap().batch.rows(), 3);
    }
}

#[tokio::test]
async fn a_leak_is_mended_by_a_new_instance() {
    let table = notes();
    let mut binding = bind("lose_memory", &table).await.unwrap();
    for _ in 0..150 {
        binding.apply(&inserts(&table, &THREE), &place()).await.unwrap();
        assert!(binding.memory_bytes() <= Limits::default().memory_bytes, "{}", binding.memory_bytes());
    }
}

#[tokio::test]
async fn a_loop_ends_and_others_have_the_thread_meanwhile() {
    // one thread: if the guest kept it, the counter would stand still
    let mut turns = 0;
    let counting = async {
        loop {
            turns += 1;
            tokio::task::yield_now().await;
        }
    };
    let started = Instant::now();
    let fault = tokio::select! {
        result = once("loop", THREE) => result.unwrap_err(),
        () = counting => unreachable!("it counts for ever"),
    };
    assert_eq!(fault.code(), codes::TIMEOUT);
    assert!(
        started.elapsed() < Duration::from_secs(30),
        "two attempts of 300 ms took {:?}",
        started.elapsed()
    );
    assert!(turns > 20, "{turns} turns");
}

#[tokio::test]
async fn memory_is_limited() {
    for does in ["grow", "grow_on_poison"] {
        let fault = once(does, [Some("poison"), None, None]).await.unwrap_err();
        assert_eq!(fault.code(), codes::MEMORY, "{fault}");
        assert!(fault.message().contains("67108864"), "{fault}");
    }
    let tiny = Limits { memory_bytes: 64 << 10, ..Limits::default() };
    let fault = hostile().bind("test", &notes(), &config("unchanged"), &tiny).await.unwrap_err().fault;
    assert_eq!(fault.code(), codes::BIND, "{fault}");
}

#[tokio::test]
async fn recursion_and_output_are_limited() {
    let fault = once("recurse", THREE).await.unwrap_err();
    assert_eq!(fault.code(), codes::TRAP, "{fault}");
    assert!(fault.message().ends_with("out of bounds memory access in hostile::recurse"), "{fault}");
    let table = notes();
    let limits = Limits { memory_bytes: 256 << 20, ..Limits::default() };
    let mut binding = hostile().bind("test", &table, &config("giant_output"), &limits).await.unwrap();
    let fault = binding.apply(&inserts(&table, &THREE), &place()).await.unwrap_err();
    assert_eq!(fault.code(), codes::OUTPUT_TOO_LARGE, "{fault}");
}

#[tokio::test]
async fn output_is_limited_over_all_pieces_of_a_batch() {
    let table = notes();
    let long = vec![Some("twenty bytes of text"); 20_000];
    let limits = Limits { output_bytes: 400_000, ..Limits::default() };
    // it gives back what it got
    let mut binding = hostile().bind("test", &table, &config("echo"), &limits).await.unwrap();
    let fault = binding.apply(&inserts(&table, &long), &place()).await.unwrap_err();
    assert_eq!(fault.code(), codes::OUTPUT_TOO_LARGE, "{fault}");
    binding.apply(&inserts(&table, &long[..1000]), &place()).await.unwrap();
}

#[tokio::test]
async fn what_goes_wrong_while_binding_is_fatal() {
    for (does, code, words) in [
        ("trap_in_open", codes::BIND, "open goes wrong"),
        ("trap_in_plan", codes::BIND, "plan goes wrong"),
        ("loop_in_open", codes::BIND, "it ran for 300ms without an end"),
        ("error_config", codes::CONFIG, "plugin `hostile` on shop.orders: do: no such thing"),
        ("error_schema", codes::SCHEMA, "not this table"),
        ("no_such_behaviour", codes::CONFIG, "unknown variant, expected"),
        ("plan_out_of_range", codes::BAD_PLAN, "no column number 99"),
        ("plan_twice", codes::BAD_PLAN, "column `note` has two edits"),
    ] {
        let fault = bind(does, &notes()).await.unwrap_err();
        assert_eq!(fault.code(), code, "{does}: {fault}");
        assert_eq!(fault.class(), Class::Fatal);
        assert!(fault.message().contains(words), "{does}: {fault}");
        assert!(!fault.remedy().is_empty(), "{does}");
    }
}

#[tokio::test]
async fn a_cancelled_call_leaves_the_binding_usable() {
    let table = notes();
    let limits = Limits { batch_time: Duration::from_secs(3600), ..Limits::default() };
    let mut binding = hostile().bind("test", &table, &config("loop"), &limits).await.unwrap();
    let batch = inserts(&table, &THREE);
    for _ in 0..3 {
        let cancelled =
            tokio::time::timeout(Duration::from_millis(50), binding.apply(&batch, &place())).await;
        assert!(cancelled.is_err());
    }
}

/// The engine runs bindings on any thread of its runtime.
#[test]
fn bindings_and_their_calls_are_send() {
    fn send<T: Send>(_: &T) {}
    fn check(binding: &mut forebay_transform::Binding, batch: &forebay_model::Batch) {
        send(binding);
        send(&binding.apply(batch, &place()));
    }
    let _ = check;
    let table = notes();
    let limits = Limits::default();
    send(&hostile().bind("test", &table, "", &limits));
}
