//! How tokens are signed.

/// A signature algorithm, by its name in JOSE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::engine) enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    #[default]
    Es256,
    /// RSA of 2048 bits, PKCS #1 v1.5, with SHA-256.
    Rs256,
}

impl Algorithm {
    pub(in crate::engine) const ALL: [Self; 2] = [Self::Es256, Self::Rs256];

    /// The name.
    pub(in crate::engine) fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }

    /// The algorithm of that name; the default without a name.
    pub(in crate::engine) fn parse(name: &str) -> Option<Self> {
        if name.is_empty() {
            return Some(Self::default());
        }
        Self::ALL.into_iter().find(|one| one.as_str() == name)
    }
}
