//! Simulates the first 2,000 seeds. `cargo xtask sim` simulates more.

use bird_sim::{first_failure, run};

#[test]
fn two_thousand_seeds_break_no_invariant() {
    let failed = first_failure(0..2_000, |_| {});
    assert!(failed.is_none(), "repeat it with `cargo xtask sim --seed N`: {failed:?}");
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..100 {
        let first = run(seed, true);
        let second = run(seed, true);
        assert!(first.trace.lines().count() > 10);
        assert!(first.trace == second.trace, "seed {seed}");
    }
}
