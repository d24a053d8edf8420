//! Names that no two sessions have.

use rand::RngExt as _;

use crate::chance;
use crate::logical::Error;

/// Fifty bits, so that no two of the sessions that live meet.
const CHARS: usize = 10;
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// A name of at most `limit` characters that begins as `name` does and that no other session has.
pub(in crate::engine) fn alone(name: &str, limit: usize) -> Result<String, Error> {
    let mut random = chance::generator().map_err(|error| Error::internal(error.to_string()))?;
    let mut alone: String = name.chars().take(limit.saturating_sub(CHARS + 1)).collect();
    alone.push('-');
    alone.extend((0..CHARS).map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())])));
    Ok(alone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_beginning_and_is_like_no_other() {
        let long = "x".repeat(64);
        for (name, limit, beginning) in [
            ("alice", 64, "alice-"),
            (long.as_str(), 64, &long[..53]),
            (long.as_str(), 32, &long[..21]),
        ] {
            let (one, other) = (alone(name, limit).unwrap(), alone(name, limit).unwrap());

            assert!(one.starts_with(beginning), "{one}");
            assert!(one.len() <= limit, "{one}");
            assert_ne!(one, other);
        }
    }
}
