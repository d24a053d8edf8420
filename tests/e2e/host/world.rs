//! Where a host runs: in a directory of this machine, or in a root of its own that holds nothing else
//! of it; and the plugins that its configuration declares.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Host, free_port};

/// The host's program, in a root of its own.
const PROGRAM: &str = "/host";

/// What a host finds around itself.
#[derive(Clone, Debug)]
pub(crate) struct World {
    directory: PathBuf,
    is_root: bool,
    /// The configuration that declares plugins.
    declared: String,
    /// Where the nodes of its cluster of one speak to each other.
    cluster: u16,
}

impl World {
    /// This machine, with the host's files in that directory.
    pub(crate) fn of(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            is_root: false,
            declared: String::new(),
            cluster: free_port(),
        }
    }

    /// A root with what nobody can do without: a place for temporary files. The host's program is the
    /// only one.
    pub(crate) fn bare(directory: &Path, program: &Path) -> Self {
        let world = Self {
            directory: directory.join("root"),
            is_root: true,
            declared: String::new(),
            cluster: free_port(),
        };
        for folder in ["/tmp", "/etc"] {
            fs::create_dir_all(world.outside(folder)).expect("the root can be made");
        }
        copy(program, &world.outside(PROGRAM));
        world
    }

    /// The same with plugins declared.
    pub(crate) fn declaring(mut self, declared: &str) -> Self {
        self.declare(declared);
        self
    }

    /// Declares other plugins than before, for the next start.
    pub(crate) fn declare(&mut self, declared: &str) {
        declared.clone_into(&mut self.declared);
    }

    /// Puts a program into the plugin directory before the host is there.
    pub(crate) fn install(&self, binary: &Path, name: &str) {
        fs::create_dir_all(self.outside("/plugins")).expect("it can be made");
        copy(binary, &self.outside("/plugins").join(name));
    }

    /// Where something lies for the tests.
    pub(crate) fn outside(&self, path: &str) -> PathBuf {
        self.directory.join(path.trim_start_matches('/'))
    }

    /// Where it lies for the host.
    pub(crate) fn inside(&self, path: &str) -> String {
        if self.is_root {
            path.to_owned()
        } else {
            self.outside(path).display().to_string()
        }
    }

    /// All files in it, for a root of its own.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![self.directory.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("it can be read") {
                let path = entry.expect("it stays").path();
                if path.is_dir() && !path.is_symlink() {
                    folders.push(path);
                } else {
                    let inside = path.strip_prefix(&self.directory).expect("it is in it");
                    found.push(format!("/{}", inside.display()));
                }
            }
        }
        found.sort();
        found
    }

    pub(super) fn command(&self, program: &Path) -> Command {
        if !self.is_root {
            return Command::new(program);
        }
        let mut command = Command::new("unshare");
        // A user namespace, so that nobody has to be root for this.
        command.args(["--map-root-user", "--wd=/"]);
        command
            .arg(format!("--root={}", self.directory.display()))
            .arg(PROGRAM);
        command
    }

    /// Where it logs to, which is not for the host to see.
    pub(super) fn log(&self) -> PathBuf {
        let directory = if self.is_root {
            self.directory.parent().expect("it is in one")
        } else {
            &self.directory
        };
        directory.join("host.log")
    }
}

impl Host {
    /// A host with integrated storage whose configuration declares plugins, with keys and unsealed; or what
    /// it logged, if it does not start.
    pub(crate) fn declared(world: &World) -> Result<Self, String> {
        let mut host = Self::with_files(world)?;
        host.initialize();
        Ok(host)
    }

    /// The same before it has keys.
    fn with_files(world: &World) -> Result<Self, String> {
        fs::create_dir_all(world.outside("/storage")).expect("it can be made");
        Self::start_in(world, |port| {
            let configuration = format!(
                "storage \"raft\" {{\n  path = \"{}\"\n  node_id = \"node\"\n}}\n\
                 listener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  \
                 cluster_address = \"127.0.0.1:{cluster}\"\n  tls_disable = true\n}}\n\
                 api_addr = \"http://127.0.0.1:{port}\"\n\
                 cluster_addr = \"https://127.0.0.1:{cluster}\"\n{}",
                world.inside("/storage"),
                world.declared,
                cluster = world.cluster,
            );
            fs::write(world.outside("/declared.hcl"), configuration).expect("it can be written");
            vec![format!("-config={}", world.inside("/declared.hcl"))]
        })
    }

    /// Ends it and starts it again with what its world has become; it is unsealed as before. Or says
    /// what it has logged, if it does not start.
    pub(crate) fn restart(&mut self, world: &World) -> Result<(), String> {
        self.server.end();
        let mut host = Self::with_files(world)?;
        host.token.clone_from(&self.token);
        host.unseal_key.clone_from(&self.unseal_key);
        *self = host;
        self.unseal();
        Ok(())
    }
}

/// By another process, for the reason that `Host::install` has.
pub(crate) fn copy(from: &Path, to: &Path) {
    let copied = Command::new("/bin/sh")
        .args(["-ec", r#"ln "$1" "$2" || cp "$1" "$2""#, "copy"])
        .args([from, to])
        .output()
        .expect("/bin/sh starts");
    assert!(copied.status.success(), "{copied:?}");
}
