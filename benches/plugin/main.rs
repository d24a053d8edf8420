//! The benchmark: a real host runs the plugin, and maybe another one beside it, against a simulated
//! AWS whose answers take as long as they are told to.
//!
//! `scripts/bench` builds what this needs, starts it and shows what it wrote: one JSON document, at
//! the path that is the first argument.

#[path = "../driver/mod.rs"]
mod driver;
mod host;
mod load;
mod memory;
mod overload;
mod process;
mod progress;
mod register;
mod report;
mod requests;
mod settings;
mod start;
mod storms;
mod subject;
mod world;

use std::fs;
use std::process::ExitCode;

use driver::{Fallible, interrupted, machine, server};
use report::{PluginReport, Report};
use settings::{Phase, Settings};
use world::World;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            driver::progress::say(&format!("failed: {error}"));
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
            report = measure(&settings) => report,
            interrupted = interrupted() => Err(interrupted?.into()),
        }
    })?;
    let text = serde_json::to_string_pretty(&report)?;
    fs::write(&settings.output, text + "\n")?;
    Ok(())
}

/// Every phase takes the plugins turn and turn about, so that a noisy moment of the machine meets
/// all of them.
async fn measure(settings: &Settings) -> Fallible<Report> {
    let world = World::start(&settings.plugins)?;
    let mut report = Report {
        quick: settings.quick,
        host: server::version(&settings.host)?,
        machine: machine::machine()?,
        stand_in: Vec::new(),
        plugins: settings
            .plugins
            .iter()
            .map(PluginReport::of)
            .collect::<Fallible<_>>()?,
    };
    if settings.runs(Phase::Start) {
        start::measure(settings, &mut report).await?;
    }
    if settings.runs(Phase::Memory) {
        memory::measure(settings, &world, &mut report).await?;
    }
    if settings.runs(Phase::Requests) {
        requests::measure(settings, &world, &mut report).await?;
    }
    if settings.runs(Phase::Storms) {
        storms::measure(settings, &world, &mut report).await?;
        overload::measure(settings, &world, &mut report).await?;
    }
    if settings.runs(Phase::Register) {
        register::measure(settings, &world, &mut report).await?;
    }
    Ok(report)
}
