//! Questions while a partition has a new leader. A real broker can't be made to answer so on
//! demand: this one is an imitation by the client library.

use chassis::Fields;
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use records::{Offset, Partition};
use serde_json::json;
use wire::{Admin, KafkaSettings};

const TOPIC: &str = "moving";

#[tokio::test]
async fn what_passes_with_an_election_is_asked_again() {
    use RDKafkaRespErr::*;
    let passing = [
        RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
        RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE,
        RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE,
        RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH,
        RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH,
    ];
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, 1, 1).unwrap();
    let document = json!({"kafka": {"bootstrap_servers": cluster.bootstrap_servers()}});
    let settings = KafkaSettings::read(&mut Fields::of_document("test", document)).unwrap();
    let admin = Admin::new(&settings, "g").unwrap();
    for error in passing {
        cluster.request_errors(RDKafkaApiKey::ListOffsets, &[error; 5]);
        let ends = admin.end_offsets(TOPIC).await;
        assert_eq!(ends.unwrap(), [(Partition(0), Offset(0))], "{error:?}");
    }
    // Nor is a partition that has no answer left out.
    let denied = [RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED; 5];
    cluster.request_errors(RDKafkaApiKey::ListOffsets, &denied);
    let told = admin.end_offsets(TOPIC).await.unwrap_err().to_string();
    assert!(told.contains("ACL"), "{told}");
    cluster.clear_request_errors(RDKafkaApiKey::ListOffsets);
    cluster.topic_error(TOPIC, denied[0]).unwrap();
    let told = admin.partitions(TOPIC).await.unwrap_err().to_string();
    assert!(told.contains("ACL"), "{told}");
}
