//! Bugs that the simulator (`sim` in the repository) has to find. They exist with `--cfg planted_bug` alone.

#[cfg(planted_bug)]
static PLANTED: std::sync::RwLock<&str> = std::sync::RwLock::new("");

/// Plants the bug with this name, instead of the one before.
#[cfg(planted_bug)]
pub fn plant(name: &'static str) {
    *PLANTED.write().expect("nothing panics with the lock") = name;
}

/// Returns whether this bug is planted.
#[cfg(planted_bug)]
pub(crate) fn planted(name: &str) -> bool {
    *PLANTED.read().expect("nothing panics with the lock") == name
}

/// Returns `false`.
#[cfg(not(planted_bug))]
pub(crate) const fn planted(_name: &str) -> bool {
    false
}
