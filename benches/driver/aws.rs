//! The simulated AWS, on a thread of its own behind HTTP.

use std::net::{SocketAddr, TcpListener};
use std::thread;

use vault_plugin_secrets_aws::aws::fake::FakeAws;

use super::Fallible;

/// Serves it until this process ends, at the address that is returned.
pub(crate) fn serve(aws: &FakeAws) -> Fallible<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let served = aws.clone();
    thread::Builder::new()
        .name("aws".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                served.serve(listener).await
            })
        })?;
    Ok(address)
}
