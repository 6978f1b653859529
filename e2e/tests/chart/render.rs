//! F3: the same values are the same objects, wherever and whenever they are rendered, and every name fits.

use std::{collections::BTreeSet, fs};

use e2e::chart::{folder, helm::Release};
use serde_json::Value;

use crate::stage::{helm, installations, name};

#[test]
fn two_renders_are_equal_to_the_byte() {
    for (name, values) in installations() {
        let release = Release::with(&values);
        assert_eq!(helm().render(&release).unwrap(), helm().render(&release).unwrap(), "{name}");
    }
}

#[test]
fn no_cluster_is_asked_what_it_can() {
    for (name, values) in installations() {
        let bare = helm().objects(&Release::with(&values)).unwrap();
        let options =
            ["--kube-version", "1.31.0", "--api-versions", "monitoring.coreos.com/v1"].map(String::from).into();
        let old = helm().objects(&Release { options, ..Release::with(&values) }).unwrap();
        assert_eq!(bare, old, "{name}");
    }
    for file in fs::read_dir(folder().join("templates")).unwrap() {
        let path = file.unwrap().path();
        let text = fs::read_to_string(&path).unwrap_or_default();
        for drifting in
            ["lookup", "rand", "uuidv4", "genCA", "genSigned", "genPrivateKey", "now", "Capabilities", "htpasswd"]
        {
            let called = text.split(|c: char| !c.is_alphanumeric()).any(|word| word == drifting);
            assert!(!called || path.ends_with("NOTES.txt"), "{} calls {drifting}", path.display());
        }
    }
}

#[test]
fn a_cluster_that_cuts_streams_is_refused() {
    let options = ["--kube-version", "1.30.9"].map(String::from).into();
    let said = helm().render(&Release { options, ..Release::with("") }).unwrap_err().to_string();
    assert!(said.contains("1.31"), "{said}");
}

#[test]
fn names_and_labels_fit_for_the_longest_release() {
    let longest = "a-release-whose-name-is-as-long-as-helm-lets-one-be-5";
    assert_eq!(longest.len(), 53);
    for (installation, values) in installations() {
        let mut seen = BTreeSet::new();
        for object in helm().objects(&Release::named(longest, &values)).unwrap() {
            let called = object["metadata"]["name"].as_str().unwrap();
            assert!(called.len() <= 63 && !called.ends_with('-'), "{installation}: {called}");
            let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default().to_owned();
            assert!(seen.insert((name(&object), namespace)), "{installation}: {} stands twice", name(&object));
            for (label, value) in labels(&object) {
                assert!(value.len() <= 63, "{installation}: {label}={value}");
            }
        }
    }
}

#[test]
fn two_releases_share_nothing_but_the_definitions() {
    let ours: BTreeSet<_> = helm().objects(&Release::named("one", "")).unwrap().iter().map(name).collect();
    let theirs: BTreeSet<_> = helm().objects(&Release::named("two", "")).unwrap().iter().map(name).collect();
    let both: Vec<_> =
        ours.intersection(&theirs).filter(|name| !name.starts_with("CustomResourceDefinition")).collect();
    assert!(both.is_empty(), "{both:?}");
}

#[test]
fn every_object_says_whose_it_is() {
    for (installation, values) in installations() {
        for object in helm().objects(&Release::with(&values)).unwrap() {
            let part = &object["metadata"]["labels"]["app.kubernetes.io/part-of"];
            assert_eq!(part, "claude-gateway", "{installation}: {}", name(&object));
        }
    }
}

fn labels(object: &Value) -> Vec<(&str, &str)> {
    let own = object["metadata"]["labels"].as_object().into_iter();
    let pods = object["spec"]["template"]["metadata"]["labels"].as_object().into_iter();
    own.chain(pods).flatten().map(|(label, value)| (label.as_str(), value.as_str().unwrap())).collect()
}
