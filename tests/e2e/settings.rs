//! What the tests run: which plugin, which host, which AWS.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use vault_plugin_secrets_aws::environment::{Environment, ProcessEnvironment};

/// Paths of the programs under test and around it.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The plugin: `PLUGIN_BIN`, else the one cargo built beside these tests.
    pub(crate) plugin: PathBuf,
    /// The host: `HOST_BIN`, else the OpenBao of `scripts/environment`.
    pub(crate) host: PathBuf,
    /// The AWS: `MOTO_SERVER`, else the moto of `scripts/environment`.
    pub(crate) moto: PathBuf,
    /// A Python that has hvac: `PYTHON`, else the one of `scripts/environment`.
    pub(crate) python: PathBuf,
}

/// Read once, at the first test.
pub(crate) fn settings() -> &'static Settings {
    static SETTINGS: OnceLock<Settings> = OnceLock::new();
    SETTINGS.get_or_init(|| {
        let given = |name| ProcessEnvironment.var(name).map(PathBuf::from);
        let mut made = None;
        let mut from_environment = |name| {
            made.get_or_insert_with(run_environment_script)
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
                .map_or_else(
                    || panic!("scripts/environment printed no {name}"),
                    PathBuf::from,
                )
        };
        let settings = Settings {
            plugin: given("PLUGIN_BIN")
                .unwrap_or_else(|| env!("CARGO_BIN_EXE_vault-plugin-secrets-aws").into()),
            host: given("HOST_BIN").unwrap_or_else(|| from_environment("BAO")),
            moto: given("MOTO_SERVER").unwrap_or_else(|| from_environment("MOTO_SERVER")),
            python: given("PYTHON").unwrap_or_else(|| from_environment("PYTHON")),
        };
        for path in [
            &settings.plugin,
            &settings.host,
            &settings.moto,
            &settings.python,
        ] {
            assert!(path.is_file(), "{} is not a file", path.display());
        }
        settings
    })
}

/// A directory of the checkout.
pub(crate) fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn run_environment_script() -> String {
    let output = Command::new(checkout("scripts/environment"))
        .stderr(Stdio::inherit())
        .output()
        .expect("scripts/environment needs Python 3 as `python3`");
    assert!(
        output.status.success(),
        "scripts/environment failed: its last lines say why. \
         `scripts/test` runs these tests with all they need"
    );
    String::from_utf8(output.stdout).expect("paths are text")
}
