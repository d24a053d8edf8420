//! Random numbers. The system may have none to give, as under a filter of system calls that lacks
//! `getrandom`: whoever needs them then gets an error, and nothing panics.

use rand::SeedableRng as _;
use rand::rngs::{StdRng, SysRng};

/// The system gives no random numbers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random numbers ({reason}): allow the system call getrandom")]
pub struct NoChance {
    reason: String,
}

/// A generator with a fresh seed of the system's, fit for names that nobody may guess.
pub fn generator() -> Result<StdRng, NoChance> {
    seeded(&mut SysRng)
}

fn seeded<S: rand::TryRng>(source: &mut S) -> Result<StdRng, NoChance> {
    StdRng::try_from_rng(source).map_err(|error| NoChance {
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use rand::{RngExt as _, TryRng};

    use super::*;

    struct Dry;

    impl TryRng for Dry {
        type Error = std::io::Error;

        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            Err(std::io::Error::from(std::io::ErrorKind::Unsupported))
        }

        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            Err(std::io::Error::from(std::io::ErrorKind::Unsupported))
        }

        fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Self::Error> {
            Err(std::io::Error::from(std::io::ErrorKind::Unsupported))
        }
    }

    #[test]
    fn a_system_without_random_numbers_is_an_error_that_says_so() {
        let error = seeded(&mut Dry).map(drop).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the system gives no random numbers (unsupported): allow the system call getrandom"
        );
    }

    #[test]
    fn no_two_generators_agree() {
        let mut drawn = [generator().unwrap(), generator().unwrap()].map(|mut one| one.random());
        drawn.sort_unstable();
        let [first, second]: [u64; 2] = drawn;
        assert_ne!(first, second);
    }
}
