//! The files that are derived from `openapi.yaml`: one list, so that none is forgotten.

use anyhow::Context;

/// A file that is derived from the contract.
pub(crate) struct Derived {
    /// Where it is, from the root of the workspace.
    pub(crate) path: &'static str,
    make: fn(&str) -> anyhow::Result<String>,
}

/// All of them.
pub(crate) const DERIVED: [Derived; 3] = [
    // Reviewed as a change of Rust code, and built without the feature `codegen`.
    Derived { path: "crates/bird-api/generated/client.rs", make: client },
    // A package has nothing from above its own folder.
    Derived { path: "crates/bird-api/openapi.yaml", make: copy },
    Derived { path: "crates/bird-sandbox/openapi.yaml", make: copy },
];

impl Derived {
    /// What the file has to hold, for the text of the contract.
    pub(crate) fn content(&self, contract: &str) -> anyhow::Result<String> {
        (self.make)(contract).with_context(|| format!("cannot derive {}", self.path))
    }
}

fn client(contract: &str) -> anyhow::Result<String> {
    Ok(bird_codegen::generate(contract)?)
}

#[expect(clippy::unnecessary_wraps, reason = "others can fail")]
fn copy(contract: &str) -> anyhow::Result<String> {
    Ok(contract.to_owned())
}
