"""Sends a topic's records to another topic in a transaction, and again in one that it aborts.

Usage: transactions.py FROM TO. Both are told as a whole, with prefix.
"""

import os
import sys

from confluent_kafka import Consumer, Producer, TopicPartition

source, target = sys.argv[1], sys.argv[2]
servers = {"bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"]}
consumer = Consumer({**servers, "group.id": "transactions", "enable.auto.commit": False})
records = []
for partition in consumer.list_topics(source).topics[source].partitions:
    place = TopicPartition(source, partition, 0)
    _, end = consumer.get_watermark_offsets(place)
    consumer.assign([place])
    while consumer.position([place])[0].offset < end:
        record = consumer.poll(30)
        if record is None or record.error():
            sys.exit(f"{source} can't be read: {record and record.error()}")
        records.append((record.key(), record.value()))
consumer.close()

producer = Producer({**servers, "transactional.id": target, "partitioner": "murmur2_random"})
producer.init_transactions()
for end in (producer.commit_transaction, producer.abort_transaction):
    producer.begin_transaction()
    for key, value in records:
        producer.produce(target, value, key)
    producer.flush()
    end()
print(f"sent {len(records)} records twice")
