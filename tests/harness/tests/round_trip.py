"""Sends one record through Kafka and back, as any program in another language would."""

import os
import sys

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

servers = os.environ["KAFKA_BOOTSTRAP_SERVERS"]
topic = os.environ["TRIBUTARY_TOPIC_PREFIX"] + "round-trip"
sent = sys.argv[1]

admin = AdminClient({"bootstrap.servers": servers})
admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(30)

producer = Producer({"bootstrap.servers": servers, "acks": "all"})
producer.produce(topic, sent)
producer.flush(30)

consumer = Consumer(
    {"bootstrap.servers": servers, "group.id": topic, "auto.offset.reset": "earliest"}
)
consumer.subscribe([topic])
message = consumer.poll(30)
print("received", message.value().decode())
consumer.close()
