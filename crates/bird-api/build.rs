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
    let here = Path::new(&here);
    // In the workspace the contracts are those at the top. A packaged crate has only its own copies, and
    // what lies two folders above it is somebody else's: cargo leaves `Cargo.toml.orig` in a package.
    let packaged = here.join("Cargo.toml.orig").exists();
    let generate =
        |top: &str, copy: &str, client: &str| -> Result<(), Box<dyn std::error::Error>> {
            let top = here.join("../..").join(top);
            let contract = if !packaged && top.exists() { top } else { here.join(copy) };
            println!("cargo::rerun-if-changed={}", contract.display());
            let yaml = fs::read_to_string(&contract)
                .map_err(|error| format!("cannot read {}: {error}", contract.display()))?;
            let code = bird_codegen::generate(&yaml).map_err(|error| format!("{copy}: {error}"))?;
            Ok(fs::write(Path::new(&env::var("OUT_DIR")?).join(client), code)?)
        };
    generate("openapi.yaml", "openapi.yaml", "client.rs")?;
    #[cfg(feature = "list-connectors")]
    generate("contract/list-connectors.yaml", "list-connectors.yaml", "list_connectors.rs")?;
    Ok(())
}
