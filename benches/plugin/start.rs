//! From the start of the process to its handshake line, as a host starts it.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P521_SHA512};
use tokio::task::yield_now;
use tokio::time::Instant;
use vault_plugin_secrets_aws::rpc::PROTOCOL;

use crate::Fallible;
use crate::driver::progress::say;
use crate::progress::Progress;
use crate::report::{Latency, Report};
use crate::settings::{Plugin, Settings};

pub(crate) async fn measure(settings: &Settings, report: &mut Report) -> Fallible {
    say(&format!("start: each plugin {} times", settings.starts()));
    let certificate = certificate()?;
    let sockets = tempfile::tempdir()?;
    let mut times = vec![Vec::new(); settings.plugins.len()];
    for _ in 0..settings.starts() {
        for (plugin, times) in settings.plugins.iter().zip(&mut times) {
            let mut command = Command::new(&plugin.binary);
            command
                .env_clear()
                .env("TMPDIR", sockets.path())
                .env("PLUGIN_CLIENT_CERT", &certificate);
            times.push(start(plugin, &mut command)?);
            // To notice that somebody wants this to end.
            yield_now().await;
        }
    }
    let mut progress = Progress::new("start", settings.plugins.len());
    for (times, plugin) in times.iter().zip(&mut report.plugins) {
        let latency = Latency::of(times);
        progress.step(&format!("{}: {:.1} ms", plugin.name, latency.p50_ms));
        plugin.start = Some(latency);
    }
    Ok(())
}

fn start(plugin: &Plugin, command: &mut Command) -> Fallible<Duration> {
    command
        .env(PROTOCOL.cookie_key, PROTOCOL.cookie_value)
        .env("PLUGIN_PROTOCOL_VERSIONS", PROTOCOL.version.to_string())
        .env("PLUGIN_MIN_PORT", "10000")
        .env("PLUGIN_MAX_PORT", "25000")
        .env("VAULT_VERSION", "1.21.1")
        .env("VAULT_PLUGIN_AUTOMTLS_ENABLED", "true")
        .env("VAULT_PLUGIN_METADATA_MODE", "false")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let began = Instant::now();
    let mut process = command.spawn()?;
    let mut line = String::new();
    if let Some(stdout) = process.stdout.take() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    let took = began.elapsed();
    process.kill()?;
    process.wait()?;
    if !line.contains("|grpc|") {
        return Err(format!("{} prints no handshake line: {line:?}", plugin.name).into());
    }
    Ok(took)
}

/// A certificate such as go-plugin makes for a host, as PEM.
fn certificate() -> Fallible<String> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512)?;
    let certificate = CertificateParams::new(["localhost".to_owned()])?.self_signed(&key)?;
    let text = STANDARD.encode(certificate.der());
    let lines = text.as_bytes().chunks(64).map(String::from_utf8_lossy);
    let lines = lines.collect::<Vec<_>>().join("\n");
    Ok(format!(
        "-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n"
    ))
}
