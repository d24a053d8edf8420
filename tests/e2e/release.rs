//! What `scripts/release` makes: what is in `dist/`, or the same of the build under test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;
use vault_plugin_secrets_aws::environment::{Environment as _, ProcessEnvironment};

use crate::host::{sha256, text};
use crate::registry::Registry;
use crate::settings::{checkout, settings};

/// A release, as a folder.
#[derive(Clone, Debug)]
pub(crate) struct Release {
    /// Where it is.
    pub(crate) directory: PathBuf,
    /// The registration, as the API takes it.
    registration: Value,
    /// The image's own digest.
    pub(crate) image: String,
}

/// The one of the build under test.
pub(crate) fn release() -> &'static Release {
    static RELEASE: OnceLock<Release> = OnceLock::new();
    RELEASE.get_or_init(|| {
        let release = match ProcessEnvironment.var("RELEASE") {
            Some(directory) => Release::read(directory.into()),
            None => Release::of(&settings().plugin, &checkout("target/e2e/release")),
        };
        let built = sha256(&settings().plugin);
        assert_eq!(
            release.checksum(),
            built,
            "another build is under test than RELEASE holds"
        );
        release
    })
}

impl Release {
    /// Has the script make one of a build that is there already.
    pub(crate) fn of(binary: &Path, directory: &Path) -> Self {
        let output = Command::new(checkout("scripts/release"))
            .arg("--binary")
            .arg(binary)
            .arg("--output")
            .arg(directory)
            .output()
            .expect("scripts/release needs Python 3 as `python3`");
        assert!(output.status.success(), "{output:?}");
        Self::read(directory.to_owned())
    }

    fn read(directory: PathBuf) -> Self {
        let json = |path: &str| -> Value {
            let content = fs::read(directory.join(path)).expect("scripts/release has written it");
            serde_json::from_slice(&content).expect("JSON")
        };
        Self {
            registration: json("plugin-catalog/aws.json"),
            image: text(&json("image/index.json")["manifests"][0]["digest"]),
            directory,
        }
    }

    /// The binary's SHA-256.
    pub(crate) fn checksum(&self) -> String {
        text(&self.registration["sha256"])
    }

    /// Its version.
    pub(crate) fn version(&self) -> String {
        text(&self.registration["version"])
    }

    /// The binary's file name.
    pub(crate) fn command(&self) -> String {
        text(&self.registration["command"])
    }

    /// The binary.
    pub(crate) fn binary(&self) -> PathBuf {
        self.directory.join(self.command())
    }

    /// A file of its folder `plugin-catalog`.
    pub(crate) fn catalog(&self, name: &str) -> String {
        fs::read_to_string(self.directory.join("plugin-catalog").join(name))
            .expect("scripts/release has written it")
    }

    /// The stanza that pulls its image, from that registry and into that plugin directory.
    pub(crate) fn by_image(&self, registry: &Registry) -> String {
        let stanza = self.catalog("openbao-image.hcl");
        let placed = stanza.replace("registry.example.com", &registry.address);
        assert_ne!(placed, stanza);
        without_plugin_directory(&placed)
    }

    /// The stanza that runs a file that is there.
    pub(crate) fn by_command(&self) -> String {
        without_plugin_directory(&self.catalog("openbao-command.hcl"))
    }
}

/// The host under test has one already.
fn without_plugin_directory(stanza: &str) -> String {
    let kept: Vec<_> = stanza
        .lines()
        .filter(|line| !line.starts_with("plugin_directory "))
        .collect();
    assert_ne!(kept.len(), stanza.lines().count());
    kept.join("\n") + "\n"
}
