//! Prints the number of allocations of an install, without those of the start.

use bird_bench::Args;
use clap::Parser;

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let count = |installs| {
        let args = Args { installs, ..args.clone() };
        let mut result = Ok(());
        let counted = allocation_counter::measure(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            result = runtime.map_err(Into::into).and_then(|rt| rt.block_on(bird_bench::run(&args)));
        });
        result.map(|()| counted.count_total)
    };
    // Both include the start.
    let (few, many) = (count(args.installs)?, count(args.installs * 2)?);
    println!("{}", (many - few) / args.installs as u64);
    Ok(())
}
