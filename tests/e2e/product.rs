//! OpenBao or HashiCorp Vault: every difference the tests have to know.

use std::path::Path;
use std::process::Command;

/// Which host it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Product {
    OpenBao,
    Vault,
}

impl Product {
    /// Asks the program itself.
    pub(crate) fn of(binary: &Path) -> Self {
        let output = Command::new(binary)
            .arg("version")
            .env_clear()
            .output()
            .expect("the host's program starts");
        let version = String::from_utf8_lossy(&output.stdout);
        match version.split_whitespace().next() {
            Some("OpenBao") => Self::OpenBao,
            Some("Vault") => Self::Vault,
            _ => panic!("`{} version` says {version:?}", binary.display()),
        }
    }

    /// Settings that both need but only one knows.
    pub(crate) fn configuration(self) -> &'static str {
        match self {
            // It locks no memory and refuses nothing for it.
            Self::OpenBao => "",
            Self::Vault => "disable_mlock = true\n",
        }
    }

    /// The prefix of the environment variables that its command line reads.
    pub(crate) fn variables(self) -> &'static str {
        match self {
            Self::OpenBao => "BAO",
            Self::Vault => "VAULT",
        }
    }
}
