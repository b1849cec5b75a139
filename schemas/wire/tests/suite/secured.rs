//! Over TLS, with a password: what works with the right one, and what is told with a wrong one.

use crate::settings;
use harness::SecuredKafka;
use records::Topic;
use wire::{
    Admin, Event, GroupOptions, KafkaProblem, KafkaSettings, Outgoing, PartitionStart, Publisher,
    Reader, Table, TopicSpec,
};

const KEY: &str = "vc1";

fn options() -> GroupOptions {
    let group = "g".to_owned();
    GroupOptions { group, instance_id: None, queue_kibibytes_max: 1024, channels: 1, filter: None }
}

async fn publish(settings: &KafkaSettings) -> Result<(), KafkaProblem> {
    let publisher = Publisher::new(settings)?;
    let (topic, key) = (settings.topic(Topic::Control), Some(KEY.into()));
    let outgoing = Outgoing { topic, key, payload: Some(b"value".to_vec()), headers: Vec::new() };
    publisher.send(outgoing).await?;
    publisher.acknowledged().await
}

/// The first record or problem of the topic's only partition.
async fn read(settings: &KafkaSettings) -> Event {
    let (reader, mut channels) =
        Reader::of_partitions(settings, &settings.topic(Topic::Control), &options())
            .expect("the settings are valid");
    reader.handle().assign(vec![(records::Partition(0), PartitionStart::Beginning)]);
    loop {
        match channels[0].recv().await.expect("the reader runs") {
            Event::Assigned { .. } | Event::Revoked { .. } => {}
            event => return event,
        }
    }
}

#[tokio::test]
async fn with_the_right_password_everything_works_and_a_wrong_one_is_final() {
    let kafka = SecuredKafka::start().await.unwrap();
    let right = settings(&kafka, &kafka.password_file());
    let name = right.topic(Topic::Control);
    let spec = TopicSpec { name, partitions: 1, replication: 1, config: Vec::new() };
    Admin::new(&right, "g").unwrap().ensure_topic(&spec).await.unwrap();
    publish(&right).await.unwrap();
    let mut table = Table::follow(&right, &spec.name, KEY).await.unwrap();
    assert_eq!(table.history().await.unwrap().unwrap().payload.unwrap(), b"value");
    let Event::Record(record) = read(&right).await else { panic!("no record") };
    assert_eq!(record.payload.unwrap(), b"value".as_slice());

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "hush").unwrap();
    let wrong = settings(&kafka, file.path());
    let admin = Admin::new(&wrong, "g").unwrap();
    let (read, asked, published, followed) = tokio::join!(
        read(&wrong),
        admin.brokers(),
        publish(&wrong),
        Table::follow(&wrong, &spec.name, KEY),
    );
    let Event::Problem(read) = read else { panic!("no problem") };
    let (asked, published) = (asked.unwrap_err(), published.unwrap_err());
    for problem in [read, asked, published, followed.err().unwrap()] {
        let text = problem.to_string();
        assert!(problem.is_final() && text.contains("refuses the account"), "{text}");
        assert!(text.contains("check sasl_mechanism, sasl_username and sasl_password_file"));
        assert!(!text.contains("hush"), "{text}");
    }
}
