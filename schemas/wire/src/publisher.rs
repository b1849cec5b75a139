//! An idempotent producer: records are acknowledged by all replicas, in order, once.

use crate::problem::is_refusal;
use crate::quiet::note;
use crate::{KafkaProblem, KafkaSettings};
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{
    BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext, PurgeConfig,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How long a full queue is left alone before the next try.
const FULL_QUEUE_PAUSE: Duration = Duration::from_millis(5);

/// How long the thread that hears of deliveries waits at a time. The client spins through the last
/// millisecond, so with its own `ThreadedProducer`, which waits for 100 ms, each idle program would
/// take a hundredth of a core.
const WAIT: Duration = Duration::from_secs(2);

/// A record to be sent.
#[derive(Debug, Clone, Default)]
pub struct Outgoing {
    /// The topic.
    pub topic: String,
    /// The key, which also chooses the partition.
    pub key: Option<Vec<u8>>,
    /// The value; `None` is a tombstone.
    pub payload: Option<Vec<u8>>,
    /// Names and values.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// Sends records. Clones share one connection and one queue of bounded memory.
#[derive(Clone)]
pub struct Publisher {
    queue: Arc<Queue>,
    deliveries: Arc<Shared>,
}

/// The client's queue. The thread that hears of deliveries may hold it for a while longer than
/// those who send: with the last of them goes what has not been sent.
struct Queue(Arc<BaseProducer<Deliveries>>);

impl Drop for Queue {
    fn drop(&mut self) {
        self.0.purge(PurgeConfig::default().queue().inflight());
    }
}

/// What has been sent and not yet acknowledged, by epoch: an epoch ends at each question whether
/// everything has been acknowledged.
struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    epoch: usize,
    outstanding: BTreeMap<usize, u64>,
    failure: Option<KafkaProblem>,
}

impl State {
    /// One more record, of the epoch that is returned.
    fn count(&mut self) -> usize {
        *self.outstanding.entry(self.epoch).or_default() += 1;
        self.epoch
    }
}

type Record<'a> = BaseRecord<'a, [u8], [u8], usize>;

struct Deliveries {
    shared: Arc<Shared>,
    brokers: String,
}

/// Records of a refused client would wait for their whole time, and then nobody knew why.
impl ClientContext for Deliveries {
    fn error(&self, source: KafkaError, reason: &str) {
        note(&source, reason);
        if is_refusal(&source) {
            self.shared.fail(KafkaProblem::of("publishing".to_owned(), &self.brokers, source));
        }
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, epoch: usize) {
        let failure = result.as_ref().err().map(|(source, record)| KafkaProblem::NotAcknowledged {
            topic: record.topic().to_owned(),
            source: Box::new(source.clone()),
        });
        self.shared.settle(epoch, failure);
    }
}

impl Shared {
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn fail(&self, failure: KafkaProblem) {
        self.with(|state| state.failure.get_or_insert(failure).clone());
        self.changed.send_replace(());
    }

    fn settle(&self, epoch: usize, failure: Option<KafkaProblem>) {
        let settled = self.with(|state| {
            if state.failure.is_none() {
                state.failure = failure;
            }
            let left = state.outstanding.get_mut(&epoch).map(|count| {
                *count -= 1;
                *count
            });
            if left == Some(0) {
                state.outstanding.remove(&epoch);
            }
            left == Some(0) || state.failure.is_some()
        });
        if settled {
            self.changed.send_replace(());
        }
    }
}

impl Publisher {
    /// Connects in the background: an unreachable broker shows at the first acknowledgement.
    ///
    /// # Errors
    /// [`KafkaProblem::Settings`], [`KafkaProblem::Thread`].
    pub fn new(settings: &KafkaSettings) -> Result<Self, KafkaProblem> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State::default()),
            changed: watch::Sender::new(()),
        });
        let producer: BaseProducer<Deliveries> = settings
            .client()
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", "lz4")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "5")
            .set("queue.buffering.max.kbytes", "32768")
            .set("message.max.bytes", "8388608")
            .create_with_context(Deliveries {
                shared: Arc::clone(&shared),
                brokers: settings.bootstrap_servers.clone(),
            })
            .map_err(KafkaProblem::Settings)?;
        let producer = Arc::new(producer);
        let heard = Arc::downgrade(&producer);
        std::thread::Builder::new()
            .name("kafka-deliveries".to_owned())
            .spawn(move || {
                while let Some(producer) = heard.upgrade() {
                    producer.poll(WAIT);
                }
            })
            .map_err(|error| KafkaProblem::Thread(error.to_string()))?;
        Ok(Self { queue: Arc::new(Queue(producer)), deliveries: shared })
    }

    /// Puts a record into the queue, waiting while that is full.
    ///
    /// # Errors
    /// An earlier record's failure, or why this one can't be sent at all.
    pub async fn send(&self, outgoing: Outgoing) -> Result<(), KafkaProblem> {
        let mut headers = OwnedHeaders::new_with_capacity(outgoing.headers.len());
        for (key, value) in &outgoing.headers {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        let mut record: Record<'_> =
            BaseRecord::with_opaque_to(&outgoing.topic, 0).headers(headers);
        record.key = outgoing.key.as_deref();
        record.payload = outgoing.payload.as_deref();
        loop {
            // Counted before it is sent, because it may be delivered before `send` returns; and
            // not while it waits, so that a caller that gives up leaves nothing to be waited for.
            record.delivery_opaque = self.deliveries.with(State::count);
            let Err((source, returned)) = self.queue.0.send(record) else {
                return self.failure();
            };
            self.deliveries.settle(returned.delivery_opaque, None);
            if source.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                let (topic, source) = (outgoing.topic, Box::new(source));
                return Err(KafkaProblem::NotAcknowledged { topic, source });
            }
            record = returned;
            tokio::time::sleep(FULL_QUEUE_PAUSE).await;
        }
    }

    /// Waits until every record that was sent before this call has been acknowledged.
    ///
    /// # Errors
    /// The first record that was not; the order of acknowledgements can't be kept after that, so
    /// every later call fails too.
    pub async fn acknowledged(&self) -> Result<(), KafkaProblem> {
        let mut changed = self.deliveries.changed.subscribe();
        let asked = self.deliveries.with(|state| {
            state.epoch += 1;
            state.epoch
        });
        loop {
            self.failure()?;
            if self.deliveries.with(|state| state.outstanding.range(..asked).next().is_none()) {
                return self.failure();
            }
            changed.changed().await.map_err(|_| KafkaProblem::Stopped)?;
        }
    }

    /// Sends what is queued and waits for it, at most `timeout`, blocking; for a clean stop.
    pub fn flush(&self, timeout: Duration) {
        // What is not written by then shows as not acknowledged to who waits for it.
        let _ = self.queue.0.flush(timeout);
    }

    fn failure(&self) -> Result<(), KafkaProblem> {
        self.deliveries.with(|state| state.failure.clone()).map_or(Ok(()), Err)
    }
}
