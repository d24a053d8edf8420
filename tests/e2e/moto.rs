//! The AWS of all tests: one moto server per run of the test binary, with two accounts that are
//! seeded with an administrator each.

use std::fs;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::aws::{self, KeyPair};
use crate::process::{Server, wait_for};
use crate::settings::{checkout, settings};

/// The calls that seed it; moto lets just as many pass unchecked.
const SEEDING_CALLS: &str = "6";

/// A running moto.
pub(crate) struct Moto {
    /// As `127.0.0.1:port`.
    pub(crate) address: String,
    /// Keys of a user that may do everything in the account of the tests.
    pub(crate) administrator: KeyPair,
    /// Keys of a user that may do everything in another account.
    pub(crate) administrator_abroad: KeyPair,
    _server: Server,
}

/// Started at the first call.
pub(crate) fn moto() -> &'static Moto {
    static MOTO: OnceLock<Moto> = OnceLock::new();
    MOTO.get_or_init(|| {
        let directory = checkout("target/e2e");
        fs::create_dir_all(&directory).expect("target/e2e can be made");
        let log = directory.join("moto.log");
        fs::write(&log, "").expect("the log can be written");

        let mut command = Command::new(&settings().moto);
        command
            .args(["-H", "127.0.0.1", "-p", "0"])
            .env("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
            .env("INITIAL_NO_AUTH_ACTION_COUNT", SEEDING_CALLS);
        let server = Server::start(&command, &log);
        let address = wait_for("moto's address", Duration::from_mins(1), || {
            assert!(server.is_running(), "moto ended: {}", server.log());
            let log = server.log();
            let (_, after) = log.split_once("Running on http://")?;
            Some(after.split_once('\n')?.0.trim().to_owned())
        });
        Moto {
            administrator: aws::seed(&address, aws::ACCOUNT),
            administrator_abroad: aws::seed(&address, aws::ACCOUNT_ABROAD),
            address,
            _server: server,
        }
    })
}
