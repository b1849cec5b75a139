"""A collector in another language: lists racks, then changes one and deletes one.

Usage: outside.py SCHEMA-FILE. It needs what the orchestrator gives to every collector:
KAFKA_BOOTSTRAP_SERVERS, SCHEMA_REGISTRY_URL and TRIBUTARY_TOPIC_PREFIX.
"""

import io
import json
import os
import struct
import sys
import time
import urllib.request

import fastavro
from confluent_kafka import Producer

SOURCE = "outside"
TYPE = "rack"

registry = os.environ["SCHEMA_REGISTRY_URL"]
prefix = os.environ["TRIBUTARY_TOPIC_PREFIX"]
producer = Producer(
    {
        "bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"],
        "acks": "all",
        "enable.idempotence": True,
        "partitioner": "murmur2_random",  # the same partition as every other client chooses
    }
)


def call(path, body=None):
    request = urllib.request.Request(registry + path)
    request.add_header("content-type", "application/vnd.schemaregistry.v1+json")
    data = json.dumps(body).encode() if body else None
    with urllib.request.urlopen(request, data) as answer:
        return json.load(answer)


class Writer:
    """Writes records of one schema in Confluent's framing."""

    def __init__(self, schema):
        self.schema = fastavro.parse_schema(json.loads(schema))
        subject = self.schema["name"]
        self.id = call(f"/subjects/{subject}/versions", {"schema": schema})["id"]

    def send(self, topic, key, record):
        out = io.BytesIO()
        out.write(struct.pack(">bI", 0, self.id))
        fastavro.schemaless_writer(out, self.schema, record)
        producer.produce(prefix + topic, out.getvalue(), key)

    @classmethod
    def of_contract(cls, subject):
        return cls(call(f"/subjects/{subject}/versions/latest")["schema"])


def now():
    return time.time_ns() // 1000


def flush():
    if producer.flush(30):
        sys.exit("Kafka did not acknowledge everything")


def key(native_id):
    return f"{SOURCE}/{TYPE}/{native_id}"


with open(sys.argv[1]) as file:
    racks = Writer(file.read())
extents = Writer.of_contract("tributary.inventory.Extent")
deletes = Writer.of_contract("tributary.inventory.Delete")

# A listing: one version, the objects, and then the extent that says that these are all.
version = now()
for native_id, units in [("r1", 42), ("r2", 48), ("r3", 24)]:
    racks.send(
        "inventory.snapshot",
        key(native_id),
        {
            "source": SOURCE,
            "native_id": native_id,
            "version": version,
            "name": f"rack {native_id}",
            "units": units,
            "labels": {"row": "A"},
        },
    )
flush()
extents.send(
    "inventory.snapshot",
    f"{SOURCE}/{TYPE}",
    {
        "source": SOURCE,
        "type": TYPE,
        "from": "",
        "to": None,
        "version": version,
        "keys": ["r1", "r2", "r3"],
    },
)

# Changes: a partial update touches only what its mask names, and a delete ends an object.
racks.send(
    "inventory.live",
    key("r2"),
    {
        "source": SOURCE,
        "native_id": "r2",
        "version": now(),
        "update_mask": ["units"],
        "units": 47,
    },
)
deletes.send(
    "inventory.live",
    key("r3"),
    {"source": SOURCE, "type": TYPE, "native_id": "r3", "version": now()},
)
flush()
print("sent")
