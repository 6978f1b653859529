//! What the file may say and this version does not do: nothing is silently ignored. A line goes when its behaviour comes.

use crate::{
    check::{Node, Section},
    complaint::{Complaint, Findings},
    path::FieldPath,
};

/// `[]` stands for every entry of a list.
pub(crate) const NOT_YET: &[(&str, When)] = &[
    ("telemetry", When::Written),
    ("admin.blocked_message", When::Written),
    ("admin.group_limit_mode", When::Written),
    ("admin.billing_group_tag", When::Written),
    ("pricing", When::Written),
    ("load_test_mode.enabled", When::True),
    ("upstreams[].provider", When::OneOf(&["bedrock", "mantle", "anthropicAws", "vertex", "foundry"])),
    ("upstreams[].region_prefix", When::Written),
];

#[derive(Clone, Copy)]
pub(crate) enum When {
    Written,
    True,
    OneOf(&'static [&'static str]),
}

impl When {
    fn holds(self, node: &Node) -> bool {
        match (self, node) {
            (Self::Written, _) | (Self::True, Node::Flag(true)) => true,
            (Self::OneOf(values), Node::Text(text)) => values.contains(&text.as_str()),
            _ => false,
        }
    }
}

pub(crate) fn refuse_all(root: &Section, findings: &Findings) {
    for (pattern, when) in NOT_YET {
        refuse(root, pattern, *when, &FieldPath::root(), findings);
    }
}

fn refuse(section: &Section, pattern: &str, when: When, path: &FieldPath, findings: &Findings) {
    let (step, rest) = pattern.split_once('.').map_or((pattern, None), |(step, rest)| (step, Some(rest)));
    let key = step.trim_end_matches("[]");
    let path = path.key(key);
    match (section.written(key), rest) {
        (Some(node), None) if when.holds(node) => {
            let complaint = Complaint::new("is understood, but this version does not do it yet", "remove it");
            findings.refuse(path, complaint);
        }
        (Some(Node::Section(inner)), Some(rest)) => refuse(inner, rest, when, &path, findings),
        (Some(Node::List(items)), Some(rest)) => {
            for (at, item) in items.iter().enumerate() {
                if let Node::Section(inner) = item {
                    refuse(inner, rest, when, &path.index(at), findings);
                }
            }
        }
        _ => {}
    }
}
