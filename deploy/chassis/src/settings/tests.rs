//! Settings as people write them, and what they are told.

use super::*;
use crate::{AdminSettings, LogSettings, Secret};
use std::io::Write;
use std::num::NonZeroU32;
use std::time::Duration;
use tempfile::NamedTempFile;

const DEFAULTS: &str = "
# Where this program's records come from.
source: null
kafka:
  bootstrap_servers: null
  topic_prefix: tributary.
  options: {}
persister:
  batch_records: 5000
  wait: 200ms
  password_file: null
log: {format: text, level: info}
admin: {listen: '127.0.0.1:0', address_file: null}
";

#[derive(Debug, PartialEq)]
struct Settings {
    source: String,
    servers: String,
    prefix: String,
    options: Map<String, Value>,
    batch_records: NonZeroU32,
    wait: Duration,
    password: Option<String>,
}

fn read(root: &mut Fields) -> Option<Settings> {
    let source = root.parsed("source", |text| match text.as_str() {
        "Bad" => Err("expected lower case, found \"Bad\""),
        _ => Ok(text),
    });
    let mut kafka = root.section("kafka");
    let servers = kafka.required("bootstrap_servers");
    let prefix = kafka.required("topic_prefix");
    let options = kafka.required("options");
    let mut persister = root.section("persister");
    let batch_records = persister.required("batch_records");
    let wait = persister.duration("wait");
    let password = persister.secret_file("password_file");
    let common = (LogSettings::read(root), AdminSettings::read(root));
    let (Some(_), Some(_)) = common else { return None };
    Some(Settings {
        source: source?,
        servers: servers?,
        prefix: prefix?,
        options: options?,
        batch_records: batch_records?,
        wait: wait?,
        password: password?.map(|secret| secret.expose().to_owned()),
    })
}

fn settings(file: Option<&str>, environment: &[[&str; 2]]) -> Result<Settings, String> {
    let written = file.map(|text| {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    });
    let path = written.as_ref().map(NamedTempFile::path);
    let environment = environment.iter().map(|pair| pair.map(str::to_owned)).collect();
    let result = layered(DEFAULTS, path, environment).and_then(|mut root| {
        let settings = read(&mut root);
        root.finish().map(|()| settings.unwrap())
    });
    let place = path.map(|path| path.display().to_string());
    result.map_err(|mistakes| mistakes.to_string().replace(&place.unwrap_or_default(), "FILE"))
}

#[test]
fn the_environment_overrides_the_file_which_overrides_the_defaults() {
    let file = "
source: vc1
kafka: {bootstrap_servers: file:9092, topic_prefix: mine., options: {a.b: c}}
persister:
  # everything commented out
";
    let environment = [
        ["KAFKA_BOOTSTRAP_SERVERS", "known:9092"],
        ["TRIBUTARY_KAFKA__BOOTSTRAP_SERVERS", "own:9092"],
        ["TRIBUTARY_PERSISTER__BATCH_RECORDS", "7"],
        ["TRIBUTARY_PERSISTER__WAIT", "3s"],
        ["TRIBUTARY_TOPIC_PREFIX", ""],
        ["DATABASE_URL", "of other programs"],
        ["PATH", "/bin"],
    ];
    let expected = Settings {
        source: "vc1".to_owned(),
        servers: "own:9092".to_owned(),
        prefix: "mine.".to_owned(),
        options: Map::from_iter([("a.b".to_owned(), "c".into())]),
        batch_records: NonZeroU32::new(7).unwrap(),
        wait: Duration::from_secs(3),
        password: None,
    };
    assert_eq!(settings(Some(file), &environment), Ok(expected));
}

#[test]
fn the_environment_is_text_where_text_is_wanted() {
    let environment = [["TRIBUTARY_SOURCE", "0123"], ["KAFKA_BOOTSTRAP_SERVERS", "yes"]];
    let settings = settings(None, &environment).unwrap();
    assert_eq!((settings.source.as_str(), settings.servers.as_str()), ("0123", "yes"));
}

#[test]
fn all_mistakes_are_told_together_with_place_and_remedy() {
    let file = "
source: Bad
kafca: {}
kafka: {topic_prefix: 5, retries: 3}
persister: {batch_records: many, wait: 5, password_file: /nowhere}
log: {format: xml, level: inof}
";
    let environment = [
        ["TRIBUTARY_ADMIN__LISTEN", "localhost"],
        ["TRIBUTARY_PERSISTER__SPEED", "11"],
        ["TRIBUTARY_PERSISTER__WAIT", "soon"],
    ];
    let expected = [
        "12 mistakes:",
        "FILE: source: expected lower case, found \"Bad\"",
        "FILE: kafka.bootstrap_servers: has no value; set it in the file of --config \
         or by KAFKA_BOOTSTRAP_SERVERS",
        "FILE: kafka.topic_prefix: expected a text, found 5",
        "FILE: persister.batch_records: expected a positive number, found \"many\"",
        "environment variable TRIBUTARY_PERSISTER__WAIT: persister.wait: expected a duration \
         such as 250ms, 3s, 5m, 24h or 7d, found \"soon\"",
        "FILE: persister.password_file: can't read the file /nowhere (No such file or directory \
         (os error 2)); create it readable for this program",
        "FILE: log.format: expected `text` or `json`, found \"xml\"",
        "FILE: log.level: expected a level such as \"info\" or \"info,wire=debug\", found \"inof\"",
        "environment variable TRIBUTARY_ADMIN__LISTEN: admin.listen: expected an IP address \
         and port such as 127.0.0.1:0, found \"localhost\"",
        "FILE: kafka.retries: unknown key; correct its name or remove it",
        "environment variable TRIBUTARY_PERSISTER__SPEED: persister.speed: unknown key; \
         correct its name or remove it",
        "FILE: kafca: unknown key; correct its name or remove it",
    ];
    assert_eq!(settings(Some(file), &environment).unwrap_err(), expected.join("\n  "));
}

#[test]
fn a_section_that_is_no_mapping_is_one_mistake() {
    let mistakes = settings(Some("source: a\nkafka: x"), &[]).unwrap_err();
    assert_eq!(mistakes, r#"FILE: kafka: expected a mapping of keys, found "x""#);
    let mistakes = settings(Some("- a"), &[]).unwrap_err();
    assert_eq!(mistakes, r#"FILE: expected a mapping of keys, found ["a"]"#);
}

#[test]
fn a_file_that_is_no_yaml_or_missing_is_named() {
    let mistakes = settings(Some("a: [1"), &[]).unwrap_err();
    assert!(mistakes.starts_with("FILE: not valid YAML: "), "{mistakes}");
    assert_eq!(mistakes.lines().count(), 1, "{mistakes}");
    let mistakes = load(DEFAULTS, Some(Path::new("/nowhere.yaml"))).unwrap_err().to_string();
    assert!(mistakes.starts_with("/nowhere.yaml: can't read it"), "{mistakes}");
}

#[test]
fn the_default_file_must_name_what_is_read_and_nothing_else() {
    let mut root = layered("a: 1\nb: 2", None, Vec::new()).unwrap();
    assert_eq!((root.required("a"), root.optional::<u8>("c")), (Some(1), None));
    let mistakes = root.finish().unwrap_err().to_string();
    assert_eq!(
        mistakes,
        "2 mistakes:
  default settings: b: unknown key; correct its name or remove it
  default settings: c: the program reads it, so its default file must name it"
    );
}

#[test]
fn words_of_old_yaml_are_texts_and_secrets_hide_in_settings() {
    let mut root = layered("level: off\nanswer: no\nurl: x://y:z@h", None, Vec::new()).unwrap();
    assert_eq!(root.required("level"), Some("off".to_owned()));
    assert_eq!(root.required("answer"), Some("no".to_owned()));
    assert_eq!(format!("{:?}", root.required::<Secret>("url")), "Some([secret])");
    assert_eq!(root.finish(), Ok(()));
}

#[test]
fn every_document_of_a_file_is_read_by_itself() {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(b"kind: A\n---\nkind: B\nkin: C\n").unwrap();
    let documents = documents(file.path()).unwrap();
    let told = documents.into_iter().map(|mut fields| {
        let kind = fields.required::<String>("kind").unwrap();
        fields.mistake("kind", "is not known here");
        (kind, fields.finish().unwrap_err().0.len())
    });
    assert_eq!(told.collect::<Vec<_>>(), [("A".to_owned(), 1), ("B".to_owned(), 2)]);
}
