"""Deletes a topic and makes it anew: anew.py TOPIC PARTITIONS. It is told as a whole, with prefix."""

import os
import sys
import time

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

topic, partitions = sys.argv[1], int(sys.argv[2])
admin = AdminClient({"bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"]})
admin.delete_topics([topic])[topic].result()
for attempt in range(100):
    try:
        admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result()
        break
    except KafkaException:
        # Kafka deletes in the background.
        time.sleep(0.1)
else:
    sys.exit("the topic was not made anew")
