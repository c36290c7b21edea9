//! Generates the client from the contract into `OUT_DIR`, unless the prebuilt copy is wanted.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "codegen")]
    if let Err(error) = generate() {
        println!("cargo::error={error}");
    }
}

#[cfg(feature = "codegen")]
fn generate() -> Result<(), Box<dyn std::error::Error>> {
    use std::path::Path;
    use std::{env, fs};

    // In the workspace the contract is the one at the top. A packaged crate has only its own copy, and
    // what lies two folders above it is somebody else's: cargo leaves `Cargo.toml.orig` in a package.
    let here = env::var("CARGO_MANIFEST_DIR")?;
    let here = Path::new(&here);
    let is_packaged = here.join("Cargo.toml.orig").exists() || !here.ends_with("crates/bird-api");
    let contract = here.join(if is_packaged { "openapi.yaml" } else { "../../openapi.yaml" });
    println!("cargo::rerun-if-changed={}", contract.display());
    let yaml = fs::read_to_string(&contract)
        .map_err(|error| format!("cannot read {}: {error}", contract.display()))?;
    let client = Path::new(&env::var("OUT_DIR")?).join("client.rs");
    Ok(fs::write(client, bird_codegen::generate("openapi.yaml", &yaml)?)?)
}
