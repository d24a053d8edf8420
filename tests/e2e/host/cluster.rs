//! Several hosts that are one: integrated storage, one active node and standbys.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::{Host, PLUGIN, START, free_port};
use crate::process::{kill, wait_for};
use crate::settings::settings;

impl Host {
    /// The first node of a cluster, which is the active one.
    pub(crate) fn first_of_cluster(directory: &Path) -> Self {
        let mut host = Self::node(directory, "");
        host.initialize();
        // New nodes get a vote after some time that is meant for larger clusters.
        host.write(
            "sys/storage/raft/autopilot/configuration",
            &json!({ "server_stabilization_time": "1s" }),
        )
        .succeeded();
        host
    }

    /// Another node of this host's cluster.
    pub(crate) fn join(&self, directory: &Path) -> Self {
        fs::create_dir_all(directory).expect("the directory can be made");
        let join = format!(
            "  retry_join {{\n    leader_api_addr = \"{}\"\n  }}\n",
            self.address
        );
        let mut node = Self::node(directory, &join);
        node.token.clone_from(&self.token);
        node.unseal_key.clone_from(&self.unseal_key);
        node.install(&settings().plugin, PLUGIN);
        let key = node.unseal_key.as_ref().expect("it can be unsealed");
        wait_for("the node to be unsealed", START, || {
            // It takes the key as soon as it has found the others.
            node.write("sys/unseal", &json!({ "key": key }));
            let status = node.read("sys/seal-status").body();
            (status["sealed"] == false).then_some(())
        });
        node
    }

    /// Whether this is the active node.
    pub(crate) fn is_active(&self) -> bool {
        self.read("sys/leader").body()["is_self"] == true
    }

    /// Waits until so many nodes of the cluster have a vote.
    pub(crate) fn wait_for_votes(&self, count: usize) {
        wait_for("all nodes to have a vote", START, || {
            let answer = self.read("sys/storage/raft/configuration").succeeded();
            let servers = answer["config"]["servers"].as_array()?;
            let voters = servers.iter().filter(|server| server["voter"] == true);
            (voters.count() == count).then_some(())
        });
    }

    /// Makes another node of a cluster of two the active one, once it may be.
    pub(crate) fn step_down(&self) {
        self.wait_for_votes(2);
        self.write("sys/step-down", &json!({})).succeeded();
    }

    /// Ends the node at once, as the kernel does when memory is short. Its plugins are left, until they
    /// find that out.
    pub(crate) fn kill(&self) {
        kill(self.server.pid());
    }

    fn node(directory: &Path, join: &str) -> Self {
        let storage = directory.join("raft");
        fs::create_dir_all(&storage).expect("the directory can be made");
        Self::start(directory, |port| {
            let configuration = directory.join("node.hcl");
            let cluster = free_port();
            fs::write(
                &configuration,
                format!(
                    "storage \"raft\" {{\n  path = \"{}\"\n  node_id = \"{port}\"\n{join}}}\n\
                     listener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  \
                     cluster_address = \"127.0.0.1:{cluster}\"\n  tls_disable = true\n}}\n\
                     api_addr = \"http://127.0.0.1:{port}\"\n\
                     cluster_addr = \"https://127.0.0.1:{cluster}\"\n",
                    storage.display(),
                ),
            )
            .expect("the configuration can be written");
            vec![format!("-config={}", configuration.display())]
        })
    }
}
