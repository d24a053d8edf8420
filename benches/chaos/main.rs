//! The chaos: a real host runs the plugin while processes are killed, nodes fall over, AWS fails and
//! clients hang up; and then everything that ever was is accounted for.
//!
//! `scripts/chaos` builds what this needs, starts it and shows what it wrote: one JSON document, at
//! the path that is the first argument.

mod account;
mod api;
mod clients;
mod cluster;
mod crowd;
#[path = "../driver/mod.rs"]
mod driver;
mod hand;
mod incident;
mod ledger;
mod life;
mod node;
mod operator;
mod report;
mod run;
mod scene;
mod sessions;
mod settings;
mod stored;
mod weather;

use std::fs;
use std::process::ExitCode;

use driver::{Fallible, interrupted, progress};
use settings::Settings;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            progress::say(&format!("failed: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Fallible {
    let settings = Settings::read()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(async {
        tokio::select! {
            report = run::run(&settings) => report,
            interrupted = interrupted() => Err(interrupted?.into()),
        }
    })?;
    // Whatever runs ends with it, the nodes too.
    drop(runtime);
    let directory = settings.directory();
    if report.failures.is_empty() {
        fs::remove_dir_all(directory)?;
    } else {
        progress::say(&format!(
            "what the nodes logged is in {}",
            directory.display()
        ));
    }
    let text = serde_json::to_string_pretty(&report)?;
    fs::write(&settings.output, text + "\n")?;
    Ok(())
}
