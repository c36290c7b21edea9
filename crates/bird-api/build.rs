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

    // In the workspace the contracts are those at the top. A packaged crate has only its own copies, and
    // what lies two folders above it is somebody else's: cargo leaves `Cargo.toml.orig` in a package.
    let here = env::var("CARGO_MANIFEST_DIR")?;
    let here = Path::new(&here);
    let is_packaged = here.join("Cargo.toml.orig").exists() || !here.ends_with("crates/bird-api");
    let out = env::var("OUT_DIR")?;
    let generate =
        |top: &str, copy: &str, client: &str| -> Result<(), Box<dyn std::error::Error>> {
            let contract = if is_packaged { here.join(copy) } else { here.join("../..").join(top) };
            println!("cargo::rerun-if-changed={}", contract.display());
            let yaml = fs::read_to_string(&contract)
                .map_err(|error| format!("cannot read {}: {error}", contract.display()))?;
            Ok(fs::write(Path::new(&out).join(client), bird_codegen::generate(top, &yaml)?)?)
        };
    generate("openapi.yaml", "openapi.yaml", "client.rs")?;
    #[cfg(feature = "list-connectors")]
    generate("contract/list-connectors.yaml", "list-connectors.yaml", "list_connectors.rs")?;
    Ok(())
}
