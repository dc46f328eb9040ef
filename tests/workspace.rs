//! What the workspace promises about itself: the arrows between crates, the weight of the client, one version number.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};
use metlog_tests::root;

fn metadata() -> Metadata {
    MetadataCommand::new().manifest_path(root().join("Cargo.toml")).exec().unwrap()
}

/// Which of our crates each of our crates builds upon.
fn arrows(metadata: &Metadata) -> BTreeMap<String, BTreeSet<String>> {
    let ours: BTreeSet<String> =
        metadata.workspace_packages().iter().map(|package| package.name.to_string()).collect();
    let used = |package: &Package| {
        let normal =
            package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
        normal.map(|dependency| dependency.name.clone()).filter(|name| ours.contains(name)).collect()
    };
    metadata.workspace_packages().iter().map(|package| (package.name.to_string(), used(package))).collect()
}

#[test]
fn arrows_between_crates_are_those_of_the_architecture() {
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let expected = [
        ("metlog-core", set(&[])),
        ("metlog-py", set(&["metlog-core"])),
        ("metlog-node", set(&["metlog-core"])),
        ("metlog-pipeline", set(&["metlog-core"])),
        ("metlog-sidecar", set(&["metlog-core", "metlog-pipeline"])),
        ("metlog-grater", set(&["metlog-core", "metlog-pipeline"])),
    ];
    let arrows = arrows(&metadata());
    for (name, used) in expected {
        assert_eq!(arrows.get(name), Some(&used), "{name}");
    }
    // Tests and examples may use all of them; nothing uses tests and examples.
    let outside =
        arrows.values().flatten().filter(|name| *name == "metlog-tests" || *name == "bookmarks-rust");
    assert_eq!(outside.count(), 0);
}

/// Every package that ends up in a build of `name`, features and platforms of this build.
fn tree(metadata: &Metadata, name: &str) -> BTreeSet<String> {
    let resolve = metadata.resolve.as_ref().unwrap();
    let root = metadata.packages.iter().find(|package| package.name.as_str() == name).unwrap().id.clone();
    let mut open: Vec<PackageId> = vec![root];
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        if seen.insert(id.clone()) {
            let node = resolve.nodes.iter().find(|node| node.id == id).unwrap();
            let normal = |kinds: &[cargo_metadata::DepKindInfo]| {
                kinds
                    .iter()
                    .any(|kind| kind.kind == DependencyKind::Normal || kind.kind == DependencyKind::Build)
            };
            open.extend(node.deps.iter().filter(|dep| normal(&dep.dep_kinds)).map(|dep| dep.pkg.clone()));
        }
    }
    let named = |id: &PackageId| {
        metadata.packages.iter().find(|package| package.id == *id).map(|package| package.name.to_string())
    };
    seen.iter().filter_map(named).collect()
}

#[test]
fn the_client_brings_no_runtime_into_an_application() {
    let tree = tree(&metadata(), "metlog-core");
    assert!(tree.contains("zmq") && tree.contains("rmp"), "{tree:?}");
    for heavy in ["tokio", "hyper", "arrow", "clap", "axum", "regex", "tracing"] {
        assert!(!tree.contains(heavy), "{heavy} is in the tree of metlog-core");
    }
}

#[test]
fn crates_wheel_and_npm_package_have_one_version() {
    let metadata = metadata();
    let versions: BTreeSet<String> =
        metadata.workspace_packages().iter().map(|p| p.version.to_string()).collect();
    let npm: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(root().join("metlog-node/package.json")).unwrap()).unwrap();
    assert_eq!(versions, BTreeSet::from([npm["version"].as_str().unwrap().to_owned()]));
    let pyproject = fs::read_to_string(root().join("metlog-py/pyproject.toml")).unwrap();
    assert!(pyproject.contains("dynamic = [\"version\"]"), "the wheel takes its version from Cargo");
}

#[test]
fn every_crate_is_under_the_same_licence() {
    for package in metadata().workspace_packages() {
        assert_eq!(package.license.as_deref(), Some("MPL-2.0"), "{}", package.name);
    }
}
