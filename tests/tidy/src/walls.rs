//! The walls: which crate may use which.

use crate::{Crate, File, Finding, Use};

/// What one crate may use of ours. A pattern is a name, `name-*`, or `folder/*`.
struct Wall {
    of: &'static str,
    may_use: &'static [&'static str],
    /// What its tests may use, too.
    in_tests: &'static [&'static str],
    /// Libraries that it must not use, also not in tests.
    never: &'static [&'static str],
    why: &'static str,
}

/// A library that only some crates may use.
struct Library {
    name: &'static str,
    only: &'static [&'static str],
    why: &'static str,
}

const IO: &[&str] = &["tokio", "tokio-util", "rdkafka", "reqwest", "sqlx", "axum", "nix", "kube"];

/// Imports point one way: records, chassis <- wire, provider, plan <- providers, programs <- tests.
const WALLS: &[Wall] = &[
    Wall {
        of: "records",
        may_use: &[],
        in_tests: &[],
        never: IO,
        why: "the model is pure and stands under everything",
    },
    Wall {
        of: "chassis",
        may_use: &[],
        in_tests: &[],
        never: &[],
        why: "everything may stand on it, so it knows none of ours",
    },
    Wall {
        of: "wire",
        may_use: &["records", "chassis"],
        in_tests: &["harness"],
        never: &[],
        why: "it carries records, whoever sends and reads them",
    },
    Wall {
        of: "plan",
        may_use: &["records"],
        in_tests: &[],
        never: IO,
        why: "decode, fold and statements are pure, so that they can be proven without servers",
    },
    Wall {
        of: "provider",
        may_use: &["records", "chassis"],
        in_tests: &[],
        never: &[],
        why: "it is the seam between providers and the engine, and knows neither",
    },
    Wall {
        of: "provider-*",
        may_use: &["provider", "records", "chassis"],
        in_tests: &["harness"],
        never: &[],
        why: "a provider never sees Kafka, PostgreSQL or another provider",
    },
    Wall {
        of: "collector",
        may_use: &["provider", "provider-*", "wire", "records", "chassis"],
        in_tests: &["harness"],
        never: &[],
        why: "the engine publishes, and does not know who reads",
    },
    Wall {
        of: "positions",
        may_use: &["schemas", "wire", "records", "chassis"],
        in_tests: &["harness"],
        never: &[],
        why: "it knows where partitions are, and not what is in a record",
    },
    Wall {
        of: "inventory",
        may_use: &["plan", "positions", "records"],
        in_tests: &[],
        never: &["rdkafka"],
        why: "it knows what records do to rows, and not where they come from",
    },
    Wall {
        of: "history",
        may_use: &["schemas", "records", "chassis"],
        in_tests: &[],
        never: &["rdkafka"],
        why: "it knows what events and samples become, and not where they come from",
    },
    Wall {
        of: "catalog",
        may_use: &["history", "inventory", "plan", "schemas", "wire", "records"],
        in_tests: &[],
        never: &["rdkafka"],
        why: "it knows what schema ids mean, and not who asks",
    },
    Wall {
        of: "operator",
        may_use: &["plan", "positions", "schemas", "wire", "records", "chassis"],
        in_tests: &["harness"],
        never: &[],
        why: "it looks and sends again, and applies nothing",
    },
    Wall {
        of: "persister",
        may_use: &[
            "catalog",
            "history",
            "inventory",
            "operator",
            "plan",
            "positions",
            "schemas",
            "wire",
            "records",
            "chassis",
        ],
        in_tests: &["harness", "oracle"],
        never: &[],
        why: "it folds records of any provider, so it names none",
    },
    Wall {
        of: "schemas",
        may_use: &["wire", "records", "chassis"],
        in_tests: &["harness"],
        never: &[],
        why: "it knows Avro, topics and tables, but no provider and no program",
    },
    Wall {
        of: "orchestrator",
        may_use: &["wire", "records", "chassis"],
        in_tests: &["harness"],
        never: &[],
        why: "it runs programs by their command lines, and does not know what is in a record",
    },
    Wall {
        of: "tests/*",
        may_use: &["*"],
        in_tests: &[],
        never: &[],
        why: "tests stand above everything",
    },
];

const LIBRARIES: &[Library] = &[
    Library { name: "rdkafka", only: &["wire"], why: "one crate alone speaks Kafka's protocol" },
    Library {
        name: "sqlx",
        only: &[
            "persister",
            "inventory",
            "history",
            "catalog",
            "operator",
            "positions",
            "schemas",
            "tests/*",
        ],
        why: "PostgreSQL is written by persisters and changed by schemas, by nobody else",
    },
    Library {
        name: "kube",
        only: &["orchestrator", "provider-kubernetes", "tests/*"],
        why: "Kubernetes is a runtime of the orchestrator and one of the providers",
    },
    Library {
        name: "k8s-openapi",
        only: &["orchestrator", "provider-kubernetes", "tests/*"],
        why: "Kubernetes is a runtime of the orchestrator and one of the providers",
    },
];

/// The crates whose sources name no provider, and the names.
const AGNOSTIC: [&str; 7] =
    ["plan", "positions", "inventory", "history", "catalog", "operator", "persister"];
const PROVIDERS: [&str; 6] = ["vsphere", "vcenter", "vmware", "kubernetes", "openstack", "ec2"];

/// Every dependency that goes through a wall.
#[must_use]
pub fn check(crates: &[Crate]) -> Vec<Finding> {
    let found = |member| {
        let Some(wall) = WALLS.iter().find(|wall| matches(wall.of, member)) else {
            let remedy = "add a line to WALLS in tests/tidy/src/walls.rs";
            return vec![Finding::new(
                &member.name,
                "no wall says what this crate may use",
                remedy,
            )];
        };
        let judge = |used: &Use| {
            let ours = crates.iter().find(|other| other.name == used.package);
            match ours {
                Some(other) => wall.judge(member, used, other),
                None => wall.judge_library(member, used),
            }
        };
        member.uses.iter().filter_map(judge).collect()
    };
    crates.iter().flat_map(found).collect()
}

/// A provider's name in a source of a crate that serves all providers.
#[must_use]
pub fn check_agnostic(member: &Crate, file: &File) -> Vec<Finding> {
    let is_source = file.path.starts_with(&format!("{}/src/", member.folder));
    if !is_source || !AGNOSTIC.contains(&member.name.as_str()) {
        return Vec::new();
    }
    let named = |line: &str| {
        let line = line.to_lowercase();
        PROVIDERS.into_iter().find(|name| line.contains(name))
    };
    let numbered = (1..).zip(file.text.lines());
    let findings = numbered.filter_map(|(number, line)| {
        let problem = format!("{} names the provider {:?}", member.name, named(line)?);
        let remedy = "say it by what a record or schema tells: it serves all providers";
        Some(Finding::new(format!("{}:{number}", file.path), problem, remedy))
    });
    findings.collect()
}

impl Wall {
    fn judge(&self, member: &Crate, used: &Use, other: &Crate) -> Option<Finding> {
        let in_tests = self.in_tests.iter().filter(|_| used.in_tests);
        if self.may_use.iter().chain(in_tests).any(|pattern| matches(pattern, other)) {
            return None;
        }
        let problem = format!("{} uses {}, but {}", member.name, used.package, self.why);
        let remedy = match self.may_use {
            [] => "pass in what it needs as an argument".to_owned(),
            allowed => format!(
                "move what it needs to a crate that it may use ({}), or pass it in as an argument",
                allowed.join(", ")
            ),
        };
        Some(Finding::new(&member.name, problem, remedy))
    }

    fn judge_library(&self, member: &Crate, used: &Use) -> Option<Finding> {
        let package = used.package.as_str();
        if self.never.contains(&package) {
            let problem = format!("{} uses {package}, but {}", member.name, self.why);
            let remedy = "do input and output in the crate that calls it";
            return Some(Finding::new(&member.name, problem, remedy));
        }
        let library = LIBRARIES.iter().find(|library| library.name == package)?;
        if library.only.iter().any(|pattern| matches(pattern, member)) {
            return None;
        }
        let only = library.only.join(", ");
        let problem = format!("{} uses {package}, but {}", member.name, library.why);
        Some(Finding::new(&member.name, problem, format!("move what needs it to one of: {only}")))
    }
}

fn matches(pattern: &str, member: &Crate) -> bool {
    let subject = if pattern.contains('/') { &member.folder } else { &member.name };
    match pattern.strip_suffix('*') {
        Some(start) => subject.starts_with(start),
        None => subject == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(folder: &str, uses: &[&str], in_tests: &[&str]) -> Crate {
        let of = |package: &&str, in_tests| Use { package: (*package).to_owned(), in_tests };
        let uses = uses.iter().map(|name| of(name, false));
        let uses = uses.chain(in_tests.iter().map(|name| of(name, true))).collect();
        let name = folder.rsplit('/').next().unwrap_or_default().to_owned();
        Crate { name, folder: folder.to_owned(), uses }
    }

    fn findings(folder: &str, uses: &[&str], in_tests: &[&str]) -> Vec<String> {
        let others = ["schemas/records", "schemas/wire", "deploy/chassis", "tests/harness"];
        let others = others.iter().map(|folder| member(folder, &[], &[]));
        let providers = ["collectors/provider-a", "collectors/provider-b"];
        let providers = providers.iter().map(|folder| member(folder, &["records"], &[]));
        let all: Vec<_> =
            [member(folder, uses, in_tests)].into_iter().chain(others).chain(providers).collect();
        check(&all).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_the_tables_allow_is_allowed() {
        let none: [&str; 0] = [];
        assert_eq!(findings("collectors/collector", &["wire", "provider-a"], &["harness"]), none);
        assert_eq!(findings("tests/pipeline", &["wire", "sqlx", "kube", "harness"], &[]), none);
        assert_eq!(findings("persisters/plan", &["records", "serde_json"], &["proptest"]), none);
    }

    #[test]
    fn a_breach_names_crate_dependency_rule_and_remedy() {
        let expected = "provider-c uses wire, but a provider never sees Kafka, PostgreSQL or \
            another provider; move what it needs to a crate that it may use (provider, records, \
            chassis), or pass it in as an argument";
        assert_eq!(
            findings("collectors/provider-c", &["wire"], &[]),
            [format!("provider-c: {expected}")]
        );
    }

    #[test]
    fn every_wall_stops_somebody() {
        for (folder, package) in [
            ("deploy/chassis2/chassis", "records"),
            ("persisters/plan", "chassis"),
            ("persisters/plan", "tokio"),
            ("collectors/provider-c", "provider-a"),
            ("collectors/provider-c", "rdkafka"),
            ("collectors/provider-c", "sqlx"),
            ("collectors/provider", "wire"),
            ("collectors/collector", "sqlx"),
            ("persisters/persister", "provider-a"),
            ("persisters/persister", "kube"),
            ("persisters/persister", "rdkafka"),
            ("schemas/schemas", "provider-a"),
            ("orchestrator", "provider-a"),
            ("orchestrator", "harness"),
            ("tests/pipeline", "rdkafka"),
            ("tests/bench", "rdkafka"),
            ("somewhere/new", "serde"),
        ] {
            assert_eq!(findings(folder, &[package], &[]).len(), 1, "{folder} {package}");
        }
        assert_eq!(findings("persisters/plan", &[], &["harness", "sqlx"]).len(), 2);
    }

    #[test]
    fn an_agnostic_crate_names_no_provider() {
        let text = "//! For all.\nconst KIND: &str = \"VSphere\";\n".to_owned();
        let file = File { path: "persisters/plan/src/lib.rs".to_owned(), text };
        let found = check_agnostic(&member("persisters/plan", &[], &[]), &file);
        assert_eq!(found[0].place, "persisters/plan/src/lib.rs:2");
        assert_eq!(check_agnostic(&member("collectors/plan", &[], &[]), &file), []);
    }
}
