"""Commits an offset of a group on partition 0, as a person's tool would: commit.py TOPIC GROUP OFFSET."""

import os
import sys
import time

from confluent_kafka import Consumer, KafkaException, TopicPartition

topic, group, offset = sys.argv[1], sys.argv[2], int(sys.argv[3])
servers = os.environ["KAFKA_BOOTSTRAP_SERVERS"]
consumer = Consumer({"bootstrap.servers": servers, "group.id": group})
for attempt in range(100):
    try:
        consumer.commit(offsets=[TopicPartition(topic, 0, offset)], asynchronous=False)
        print("after", attempt)
        break
    except KafkaException:
        # Kafka lets the last member go in the background.
        time.sleep(0.1)
else:
    sys.exit("the group still has members")
consumer.close()
