//! What is made from the chart and committed is what the chart makes now.

use std::fs;

use e2e::chart::{helm::objects, plain, root, values};

use crate::stage::{helm, name};

#[test]
fn the_plain_manifest_is_the_chart_s() {
    let committed = fs::read_to_string(root().join(plain::FILE)).unwrap();
    assert!(committed == plain::manifest(helm()).unwrap(), "{} is old: run `make chart`", plain::FILE);
}

#[test]
fn the_plain_manifest_can_be_applied_from_its_top_to_its_end() {
    let objects = objects(&fs::read_to_string(root().join(plain::FILE)).unwrap()).unwrap();
    assert_eq!(name(&objects[0]), "Namespace claude-gateway-system");
    let inside = objects.iter().filter_map(|object| object["metadata"]["namespace"].as_str());
    assert!(inside.into_iter().all(|namespace| namespace == "claude-gateway-system"));
    let hooks = objects.iter().filter(|object| object["metadata"]["annotations"].get("helm.sh/hook").is_some());
    assert_eq!(hooks.count(), 0, "kubectl would run a test");
}

#[test]
fn the_reference_of_the_values_is_the_file_s() {
    let committed = fs::read_to_string(root().join(values::FILE)).unwrap();
    assert!(committed == values::reference().unwrap(), "{} is old: run `make chart`", values::FILE);
}
