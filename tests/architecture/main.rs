//! The shape of the sources: which layer may use which, where secrets are exposed, how long files
//! are. Separate crates would have enforced the first; one crate is simpler, so a test does.

mod scan;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use scan::scan;

/// Each layer and what it may use beside itself and the [`LEAVES`].
///
/// ```text
/// main ──▶ engine ──▶ framework ──▶ logical ◀── rpc ──▶ go_plugin
///             └─────▶ aws                        └─▶ pb ◀──┘
/// ```
const LAYERS: &[(&str, &[&str])] = &[
    ("pb", &[]),
    ("go_plugin", &["pb"]),
    ("rpc", &["pb", "go_plugin", "logical"]),
    ("logical", &[]),
    ("framework", &["logical"]),
    ("aws", &[]),
    ("engine", &["framework", "logical", "aws"]),
];

/// What every layer may use, and what these use themselves.
const LEAVES: &[(&str, &[&str])] = &[
    ("caller", &[]),
    ("chance", &[]),
    ("clock", &[]),
    ("environment", &[]),
    ("excerpt", &[]),
    ("secret", &[]),
    ("go_duration", &["excerpt"]),
    ("memory", &[]),
    ("template", &["chance", "clock", "excerpt"]),
];

/// Crates, by the beginning of their name, and the only places that may name them.
const CONFINED: &[(&str, &[&str])] = &[
    ("aws_sdk_", &["src/aws/sdk/"]),
    ("aws_config", &["src/aws/sdk/"]),
    ("aws_smithy_", &["src/aws/sdk/"]),
    ("libc", &["src/memory.rs"]),
    ("tonic", &["src/pb.rs", "src/go_plugin/", "src/rpc/"]),
    ("prost", &["src/pb.rs", "src/go_plugin/", "src/rpc/"]),
    ("vault_plugin_secrets_aws", &["src/main.rs"]),
];

/// The files that may read the text of a secret, each with what it does with it.
const EXPOSES_SECRETS: &[(&str, &str)] = &[
    ("src/secret.rs", "writes it to the mount's storage"),
    ("src/aws/client_config.rs", "compares configurations"),
    ("src/aws/sdk/credentials.rs", "hands it to the AWS SDK"),
    ("src/aws/sdk/sts.rs", "hands it to the AWS SDK"),
    (
        "src/aws/fake/client_credentials.rs",
        "signs for the simulated AWS",
    ),
    ("src/aws/fake/http/iam.rs", "answers for the simulated AWS"),
    ("src/aws/fake/http/sts.rs", "answers for the simulated AWS"),
    ("src/aws/fake/world.rs", "is the simulated AWS"),
    ("src/engine/config_root/merge.rs", "trims what was written"),
    ("src/engine/identity/key.rs", "signs with it"),
    (
        "src/engine/clients/root_config.rs",
        "sees whether there is one",
    ),
    (
        "src/engine/config_root/overwrite.rs",
        "sees whether it is another one",
    ),
    ("src/engine/creds/iam_user.rs", "answers a client"),
    ("src/engine/creds/session.rs", "answers a client"),
    ("src/engine/static_roles/creds.rs", "answers a client"),
];

const LONGEST: usize = 400;

/// The files that may be longer, each with its reason.
const LONG_FILES: &[(&str, &str)] = &[
    ("src/aws/fake/door.rs", "one method for each AWS call"),
    ("src/aws/sdk/iam.rs", "one method for each AWS call"),
];

#[test]
fn every_layer_uses_only_what_it_may() {
    let mut faults = Vec::new();
    for file in sources().unwrap() {
        let layer = file.layer();
        let Some(allowed) = allowed(&layer) else {
            faults.push(format!("{}: the layer {layer:?} is not drawn", file.path));
            continue;
        };
        for used in scan(&file.text, file.depth()).layers {
            if used != layer && !allowed.contains(used.as_str()) {
                faults.push(format!("{}: {layer} may not use {used}", file.path));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn within_the_engine_nothing_uses_what_uses_it() {
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in sources().unwrap() {
        if let ["engine", topic, ..] = file.modules()[..]
            && !file.is_test()
        {
            let used = scan(&file.text, file.depth()).parts("engine", file.depth());
            uses.entry(topic.to_owned()).or_default().extend(used);
        }
    }
    let topics: BTreeSet<_> = uses.keys().cloned().collect();
    for (topic, used) in &mut uses {
        used.retain(|used| topics.contains(used) && used != topic);
    }
    assert!(uses["creds"].contains("issued"), "{uses:?}");
    // What uses nothing that is left goes, until only circles are left.
    while let Some(free) = uses
        .iter()
        .find(|(_, used)| used.is_empty())
        .map(|(topic, _)| topic.clone())
    {
        uses.remove(&free);
        for used in uses.values_mut() {
            used.remove(&free);
        }
    }
    assert!(uses.is_empty(), "circles, or what leads to them: {uses:#?}");
}

#[test]
fn what_stands_behind_a_seam_is_named_only_there() {
    let mut faults = Vec::new();
    for file in sources().unwrap() {
        let words = scan(&file.text, file.depth()).words;
        for (prefix, places) in CONFINED {
            let named = words.iter().any(|word| word.starts_with(prefix));
            if named && !places.iter().any(|place| file.path.starts_with(place)) {
                faults.push(format!("{}: names {prefix}", file.path));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn secrets_are_exposed_only_where_it_is_known_what_for() {
    let exposing = files_where(|file| {
        scan(&file.text, file.depth())
            .words
            .contains("expose_secret")
    })
    .unwrap();
    assert_listed(&exposing, EXPOSES_SECRETS, "exposes a secret");
}

#[test]
fn a_long_file_has_a_reason() {
    let long = files_where(|file| file.text.lines().count() > LONGEST).unwrap();
    assert_listed(&long, LONG_FILES, "is too long");
}

#[test]
fn every_file_begins_by_saying_what_it_is() {
    let silent = files_where(|file| !file.text.starts_with("//! ")).unwrap();
    assert_listed(&silent, &[], "does not begin with //!");
}

#[test]
fn the_arrows_point_one_way() {
    assert!(allowed("engine").unwrap().contains("framework"));
    assert!(!allowed("framework").unwrap().contains("engine"));
    assert!(allowed("framework").unwrap().contains("secret"));
    assert!(!allowed("secret").unwrap().contains("clock"));
    assert!(allowed("main").unwrap().contains("engine"));
    assert!(allowed("fuzzing").unwrap().contains("rpc"));
    assert_eq!(allowed("attic"), None);
}

/// Fails when a file is not in the list, and when one is that need not be.
fn assert_listed(found: &BTreeSet<String>, listed: &[(&str, &str)], fault: &str) {
    let listed: BTreeSet<String> = listed.iter().map(|(path, _)| (*path).to_owned()).collect();
    let unlisted: Vec<_> = found.difference(&listed).collect();
    let stale: Vec<_> = listed.difference(found).collect();
    assert!(unlisted.is_empty(), "{fault}: {unlisted:?}");
    assert!(stale.is_empty(), "listed for nothing: {stale:?}");
}

/// The layers that `layer` may use; `None` when it is not drawn.
fn allowed(layer: &str) -> Option<BTreeSet<&'static str>> {
    let leaves = LEAVES.iter().map(|(leaf, _)| *leaf);
    if ["main", "lib", "fuzzing"].contains(&layer) {
        return Some(
            leaves
                .chain(LAYERS.iter().map(|(layer, _)| *layer))
                .collect(),
        );
    }
    let find = |drawn: &[(&str, &'static [&'static str])]| {
        drawn
            .iter()
            .find(|(name, _)| *name == layer)
            .map(|(_, uses)| uses.iter().copied().collect::<BTreeSet<_>>())
    };
    find(LEAVES).or_else(|| find(LAYERS).map(|uses| uses.into_iter().chain(leaves).collect()))
}

struct Source {
    /// From the root of the repository, with forward slashes.
    path: String,
    text: String,
}

impl Source {
    /// The names of the modules from the root of the crate to this file.
    fn modules(&self) -> Vec<&str> {
        let path = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        let mut modules: Vec<&str> = path.split('/').collect();
        modules.pop_if(|last| *last == "mod");
        modules
    }

    fn layer(&self) -> String {
        self.modules()[0].to_owned()
    }

    /// How many `super` lead from here to the root of the crate.
    fn depth(&self) -> usize {
        match self.layer().as_str() {
            "main" | "lib" => 0,
            _ => self.modules().len(),
        }
    }

    /// Whether the file is there for tests only.
    fn is_test(&self) -> bool {
        self.modules()
            .iter()
            .any(|module| ["tests", "testing", "fuzzing"].contains(module))
    }
}

fn sources() -> io::Result<Vec<Source>> {
    fn visit(root: &Path, folder: &str, found: &mut Vec<Source>) -> io::Result<()> {
        for entry in root.join(folder).read_dir()? {
            let entry = entry?;
            let path = format!("{folder}/{}", entry.file_name().display());
            if entry.file_type()?.is_dir() {
                visit(root, &path, found)?;
            } else if entry.path().extension().is_some_and(|kind| kind == "rs") {
                let text = std::fs::read_to_string(entry.path())?;
                found.push(Source { path, text });
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    visit(Path::new(env!("CARGO_MANIFEST_DIR")), "src", &mut found)?;
    found.sort_unstable_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

/// The paths of the files that are not tests and of which `applies` is true.
fn files_where(applies: impl Fn(&Source) -> bool) -> io::Result<BTreeSet<String>> {
    Ok(sources()?
        .into_iter()
        .filter(|file| !file.is_test() && applies(file))
        .map(|file| file.path)
        .collect())
}
