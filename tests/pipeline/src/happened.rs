//! A source's events and samples.

use crate::{Outcome, Source};
use records::contract::ContractRecord;
use records::history::{Event, Object, Samples, Series, Severity};
use records::{Topic, Version};
use wire::{Outgoing, frame};

impl Source {
    /// Sends events of one object: ids and moments.
    ///
    /// # Errors
    /// What Kafka or the registry said.
    pub async fn events(&self, events: &[(&str, Version)]) -> Outcome<()> {
        let event = |(id, occurred_at): &(&str, Version)| Event {
            source: "test".to_owned(),
            event_id: (*id).to_owned(),
            event_type: "Moved".to_owned(),
            occurred_at: occurred_at.micros(),
            severity: Severity::Warning,
            subject: Some(object("a")),
            related: vec![object("b")],
            message: format!("event {id}"),
            details: [("by".to_owned(), "a person".to_owned())].into(),
        };
        let events: Vec<Event> = events.iter().map(event).collect();
        self.happened(Topic::Events, &events).await
    }

    /// Sends samples of one object's counter, one each 20 seconds.
    ///
    /// # Errors
    /// What Kafka or the registry said.
    pub async fn samples(&self, start: Version, values: &[Option<f64>]) -> Outcome<()> {
        let cpu =
            Series { name: "cpu".to_owned(), unit: "percent".to_owned(), values: values.to_vec() };
        let Object { entity_type, native_id } = object("a");
        let samples = Samples {
            source: "test".to_owned(),
            entity_type,
            native_id,
            version: Version::now().micros(),
            start: start.micros(),
            step_ms: 20_000,
            series: vec![cpu],
        };
        self.happened(Topic::Metrics, &[samples]).await
    }

    /// Sends records of the contract, all to the partition of one object.
    ///
    /// # Errors
    /// What Kafka or the registry said.
    pub async fn happened<R: ContractRecord>(&self, topic: Topic, records: &[R]) -> Outcome<()> {
        let id = self.registry.register(R::SUBJECT, R::json()).await?;
        for record in records {
            let outgoing = Outgoing {
                topic: self.kafka.topic(topic),
                key: Some(b"test/widget/a".to_vec()),
                payload: Some(frame(id, &record.encode())),
                headers: Vec::new(),
            };
            self.publisher.send(outgoing).await?;
        }
        Ok(self.publisher.acknowledged().await?)
    }
}

fn object(id: &str) -> Object {
    Object { entity_type: "widget".to_owned(), native_id: id.to_owned() }
}
