//! The plugin process: puts the parts together, and maps what may fail to an exit code.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use vault_plugin_secrets_aws::aws::SdkConnector;
use vault_plugin_secrets_aws::clock::SystemClock;
use vault_plugin_secrets_aws::engine::EngineFactory;
use vault_plugin_secrets_aws::environment::ProcessEnvironment;
use vault_plugin_secrets_aws::go_plugin::{self, HostEnv, Shutdown, hclog};
use vault_plugin_secrets_aws::logical::Factory;
use vault_plugin_secrets_aws::memory;
use vault_plugin_secrets_aws::rpc::{self, VaultEnv};

const VERSION: &str = concat!(
    env!("CARGO_PKG_NAME"),
    " v",
    env!("CARGO_PKG_VERSION"),
    "\n"
);

const NOT_A_COMMAND: &str = "\
This is the AWS secrets engine as a plugin of HashiCorp Vault or OpenBao. The server starts it; \
run by hand it does nothing. Try --help for how to register it.
";

const HELP: &str = "\
The AWS secrets engine of HashiCorp Vault and OpenBao, as an external plugin.

The server starts this program; there is nothing to run by hand. To use it:

  1. Put the file into the directory that plugin_directory names in the server's configuration.
     Neither the file nor the directory may be behind a symbolic link.
  2. Register it, with vault or with bao:
       vault plugin register -sha256=$(sha256sum DIRECTORY/FILE | cut -d' ' -f1) \\
         -command=FILE secret aws
  3. Enable it:
       vault secrets enable aws

Options:
  --help       print this
  --version    print name and version

Environment, as the server passes it on:
  VAULT_LOG_LEVEL, BAO_LOG_LEVEL   the least severe messages to send: trace, debug, info, warn or
                                   error; info unless set. The server filters by its own level too
  TMPDIR                           where the socket is made; /tmp unless set
  AWS_*                            credentials, region and the like, as in every AWS SDK, where the
                                   mount's own configuration leaves them open
";

fn main() -> ExitCode {
    let host = HostEnv::read(&rpc::PROTOCOL, &ProcessEnvironment);
    if !host.started_by_host() {
        return started_by_hand(std::env::args().skip(1));
    }
    let vault = VaultEnv::read(&ProcessEnvironment);
    memory::give_back_what_is_large();
    // Until the end: it waits for what is still to be written.
    let _logs = match hclog::install(vault.log_level, SystemClock) {
        Ok(logs) => logs,
        Err(error) => {
            // Nobody is left to tell if stderr is closed.
            let _ = writeln!(io::stderr(), "no thread for the logs: {error}");
            return ExitCode::FAILURE;
        }
    };
    match run(&host, vault) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error, "cannot run");
            ExitCode::FAILURE
        }
    }
}

/// Serves the host that started us. Arguments are ignored: operators may have registered some that
/// another plugin of the same name took.
fn run(host: &HostEnv, vault: VaultEnv) -> Result<(), Box<dyn Error>> {
    if vault.metadata_mode {
        return Err(
            "the host starts the plugin only to learn its metadata, as before protocol \
                    version 5; this plugin has nothing to tell in that mode"
                .into(),
        );
    }
    // A server in Go raises this limit for itself and not for what it starts.
    if let Err(error) = rlimit::increase_nofile_limit(rlimit::INFINITY) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
    let runtime = runtime()?;
    let served = runtime.block_on(serve(host));
    // Does not wait for what has not ended in the time that the host gives.
    runtime.shutdown_background();
    served
}

async fn serve(host: &HostEnv) -> Result<(), Box<dyn Error>> {
    let shutdown = Shutdown::default();
    shutdown.on_signals()?;
    let mut stdout = io::stdout();
    let services = |broker| rpc::services(factory(), broker, &shutdown);
    let protocol = &rpc::PROTOCOL;
    go_plugin::serve(
        protocol,
        host,
        &SystemClock,
        &shutdown,
        &mut stdout,
        services,
    )
    .await?;
    Ok(())
}

/// Requests wait for AWS and for the host far more than they compute, and the host takes several times
/// as long for each: one thread serves every mount faster than several that wake each other, and with
/// less memory.
fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
}

fn started_by_hand(arguments: impl Iterator<Item = String>) -> ExitCode {
    let mut arguments = arguments;
    let answer = match arguments.next().as_deref() {
        Some("--version" | "-V") => VERSION,
        Some("--help" | "-h") => HELP,
        _ => {
            // Nobody is left to tell if stderr is closed.
            let _ = io::stderr().write_all(NOT_A_COMMAND.as_bytes());
            return ExitCode::FAILURE;
        }
    };
    match io::stdout().write_all(answer.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// What serves each mount.
fn factory() -> Arc<dyn Factory> {
    let connector = SdkConnector::new(Arc::new(ProcessEnvironment));
    Arc::new(EngineFactory::new(
        Arc::new(connector),
        Arc::new(SystemClock),
    ))
}
