//! Turns `proto/` into Rust: protox parses, tonic-prost-build writes; no `protoc` needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=proto");

    let files = protox::compile(
        [
            "go_plugin/broker.proto",
            "go_plugin/controller.proto",
            "go_plugin/stdio.proto",
            "vault/backend.proto",
            "vault/logical.proto",
            "vault/multiplexing.proto",
        ],
        ["proto"],
    )?;

    tonic_prost_build::configure()
        // Both sides of each service: one is ours, the other is the host's part in the tests.
        .build_client(true)
        .build_server(true)
        .emit_rerun_if_changed(false)
        // Requests, responses and storage entries carry secrets, and most messages of this package
        // carry one of them: none of it can be printed.
        .skip_debug([".pb"])
        .compile_fds(files)?;
    Ok(())
}
