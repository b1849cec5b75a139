//! Readers and writers on a real Kafka that asks for a password.

mod elections;
mod reading;
mod secured;

use chassis::Fields;
use harness::SecuredKafka;
use serde_json::json;
use std::path::Path;
use wire::KafkaSettings;

fn settings(kafka: &SecuredKafka, password_file: &Path) -> KafkaSettings {
    let document = json!({"kafka": {
        "bootstrap_servers": kafka.address(),
        "topic_prefix": "test.",
        "security_protocol": "sasl_ssl",
        "ssl_ca_file": kafka.ca_file(),
        "sasl_mechanism": "PLAIN",
        "sasl_username": SecuredKafka::USER,
        "sasl_password_file": password_file,
    }});
    let settings = KafkaSettings::read(&mut Fields::of_document("test", document));
    settings.expect("the document is complete")
}
