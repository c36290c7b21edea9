//! Generates the client from the contract into `OUT_DIR`, unless the prebuilt copy is wanted.

#[cfg(not(feature = "codegen"))]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}

#[cfg(feature = "codegen")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use std::path::Path;
    use std::{env, fs};

    println!("cargo::rerun-if-changed=build.rs");
    let here = env::var("CARGO_MANIFEST_DIR")?;
    // In the workspace the contract is the one at the top. A packaged crate has only its own copy, and
    // what lies two folders above it is somebody else's: cargo leaves `Cargo.toml.orig` in a package.
    let top = Path::new(&here).join("../../openapi.yaml");
    let packaged = Path::new(&here).join("Cargo.toml.orig").exists();
    let contract =
        if !packaged && top.exists() { top } else { Path::new(&here).join("openapi.yaml") };
    println!("cargo::rerun-if-changed={}", contract.display());

    let yaml = fs::read_to_string(&contract)
        .map_err(|error| format!("cannot read {}: {error}", contract.display()))?;
    let client = bird_codegen::generate(&yaml).map_err(|error| format!("openapi.yaml: {error}"))?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("client.rs"), client)?;
    Ok(())
}
