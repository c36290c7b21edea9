//! With the feature `codegen`, generates the client from the contracts into `OUT_DIR`.

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

    // In the workspace, the contracts are two folders up. A published package contains copies, and must not read whatever
    // is two folders up there. `cargo package` adds `Cargo.toml.orig`, which marks such a package.
    let here = env::var("CARGO_MANIFEST_DIR")?;
    let here = Path::new(&here);
    let is_packaged = here.join("Cargo.toml.orig").exists() || !here.ends_with("crates/bird-api");
    let read = |copy: &str, original: &str| {
        let contract = here.join(if is_packaged { copy } else { original });
        println!("cargo::rerun-if-changed={}", contract.display());
        fs::read_to_string(&contract)
            .map_err(|error| format!("cannot read {}: {error}", contract.display()))
    };
    let out = env::var("OUT_DIR")?;
    let out = Path::new(&out);
    let client = read("openapi.yaml", "../../openapi.yaml")?;
    fs::write(out.join("client.rs"), bird_codegen::generate("openapi.yaml", &client)?)?;
    let numbers = read("numbers.yaml", "../../contract/numbers.yaml")?;
    Ok(fs::write(out.join("numbers.rs"), bird_codegen::extend("contract/numbers.yaml", &numbers)?)?)
}
