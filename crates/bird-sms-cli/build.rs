//! Leaves the index of the unwind tables out of the release build, a tenth of a megabyte: its profile aborts
//! on a panic, so that nobody unwinds, and is stripped, so that a backtrace would have no names.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name, value| std::env::var(name).is_ok_and(|found| found == value);
    // Cargo does not tell what the profile says of panics. It is the one that optimizes for size.
    if is("OPT_LEVEL", "z") && is("CARGO_CFG_TARGET_OS", "linux") {
        println!("cargo::rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
    }
}
