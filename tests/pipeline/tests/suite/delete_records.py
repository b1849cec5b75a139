"""Deletes all records of a topic: delete_records.py TOPIC. It is told as a whole, with prefix."""

import os
import sys

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

topic = sys.argv[1]
servers = {"bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"]}
consumer = Consumer({**servers, "group.id": "delete-records"})
ends = []
for partition in consumer.list_topics(topic).topics[topic].partitions:
    _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition))
    ends.append(TopicPartition(topic, partition, end))
consumer.close()
admin = AdminClient(servers)
for deleted in admin.delete_records(ends).values():
    deleted.result()
