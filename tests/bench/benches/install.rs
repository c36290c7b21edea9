//! Measures how long an install takes.

use bird_bench::server;
use divan::{Bencher, Divan};

fn main() {
    Divan::from_args().sample_count(1000).main();
}

#[divan::bench]
fn raw_tcp(bencher: Bencher) {
    bencher.bench_local(bird_bench::raw_tcp(server::start()));
}

#[divan::bench]
fn hand_written(bencher: Bencher) {
    bencher.bench_local(bird_bench::hand_written(server::start()));
}

#[divan::bench]
fn generated(bencher: Bencher) {
    bencher.bench_local(bird_bench::generated(server::start()));
}

#[divan::bench]
fn bird_sms(bencher: Bencher) {
    bencher.bench_local(bird_bench::bird_sms(server::start()));
}
