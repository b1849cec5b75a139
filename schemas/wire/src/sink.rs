//! The thread's end of its channels: which event goes to whom, and how much of it.

use crate::KafkaProblem;
use crate::events::{Event, Incoming, PartitionStart};
use crate::reader::KeyFilter;
use crate::room::Room;
use rdkafka::message::{BorrowedMessage, Message};
use records::{Offset, Partition};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_util::sync::CancellationToken;

/// Events that wait in a channel.
const EVENTS_MAX: usize = 20_000;
/// How long a full channel or room is left alone before the next try.
pub(crate) const FULL_PAUSE: Duration = Duration::from_millis(1);

/// A partition that is assigned.
#[derive(Clone, Copy)]
struct Route {
    channel: usize,
    /// The offset after the last record that has arrived.
    next: Option<Offset>,
}

/// The thread's end of its channels. The events of a partition go through one of them.
pub(crate) struct EventSink {
    senders: Vec<Sender<Event>>,
    /// For the records of each channel.
    rooms: Vec<Room>,
    /// The partitions that are assigned. Only the thread itself locks it: it is
    /// what the client's callbacks share with their thread.
    routes: Mutex<BTreeMap<Partition, Route>>,
    filter: Option<KeyFilter>,
    stop: CancellationToken,
}

impl EventSink {
    /// So many channels, which share the room for records.
    pub(crate) fn new(
        (channels, bytes_max): (usize, usize),
        filter: Option<KeyFilter>,
        stop: CancellationToken,
    ) -> (Self, Vec<Receiver<Event>>) {
        let (senders, receivers) = (0..channels).map(|_| channel(EVENTS_MAX)).unzip();
        let rooms = (0..channels).map(|_| Room::new(bytes_max / channels)).collect();
        (Self { senders, rooms, routes: Mutex::default(), filter, stop }, receivers)
    }

    /// Whether a partition's channel takes a record without delay. The others need not wait for one
    /// that does not.
    pub(crate) fn has_room(&self, partition: Partition) -> bool {
        let channel = self.with_routes(|routes| routes.get(&partition).map(|route| route.channel));
        channel.is_none_or(|channel| {
            self.senders[channel].capacity() > 0 && !self.rooms[channel].is_full()
        })
    }

    /// A record of a partition that is not assigned any more is its next owner's.
    pub(crate) fn tell_record(&self, message: &BorrowedMessage<'_>) {
        let partition = Partition(message.partition());
        let next = Some(Offset(message.offset()).next());
        let arrived = |route: &mut Route| {
            route.next = next;
            route.channel
        };
        let Some(channel) = self.with_routes(|routes| routes.get_mut(&partition).map(arrived))
        else {
            return;
        };
        let is_wanted = |filter: &KeyFilter| message.key().is_some_and(|key| filter(key));
        if !self.filter.as_ref().is_none_or(is_wanted) {
            return;
        }
        let record = Incoming::copy(message, &self.rooms[channel]);
        self.tell(channel, Event::Record(record));
    }

    /// The partition has been read up to this offset; told unless its last record says so.
    pub(crate) fn tell_at_end(&self, partition: Partition, next: Offset) {
        let pass = |route: &mut Route| {
            let is_news = route.next != Some(next);
            route.next = Some(next);
            is_news.then_some(route.channel)
        };
        let passed = self.with_routes(|routes| routes.get_mut(&partition).and_then(pass));
        if let Some(channel) = passed {
            self.tell(channel, Event::AtEnd { partition, next });
        }
    }

    /// What only a person can mend, or may be of any partition, is everybody's problem; the others
    /// are told once.
    pub(crate) fn tell_problem(&self, problem: &KafkaProblem) {
        let channels = if problem.is_final() { self.senders.len() } else { 1 };
        for channel in 0..channels {
            self.tell(channel, Event::Problem(problem.clone()));
        }
    }

    /// A partition that was assigned before keeps its channel; a new one gets the channel with the
    /// fewest.
    pub(crate) fn tell_assigned(&self, starts: &[(Partition, PartitionStart)]) {
        for (partition, start) in starts {
            let channel = self.with_routes(|routes| {
                let load = |channel: &usize| {
                    routes.values().filter(|route| route.channel == *channel).count()
                };
                let least = (0..self.senders.len()).min_by_key(load).unwrap_or_default();
                let channel = routes.get(partition).map_or(least, |route| route.channel);
                routes.insert(*partition, Route { channel, next: start.next() });
                channel
            });
            self.tell(channel, Event::Assigned { partition: *partition, start: *start });
        }
    }

    pub(crate) fn tell_revoked(&self, partitions: &[Partition]) {
        for partition in partitions {
            if let Some(route) = self.with_routes(|routes| routes.remove(partition)) {
                self.tell(route.channel, Event::Revoked { partition: *partition });
            }
        }
    }

    pub(crate) fn is_assigned(&self, partition: Partition) -> bool {
        self.with_routes(|routes| routes.contains_key(&partition))
    }

    fn with_routes<T>(&self, work: impl FnOnce(&mut BTreeMap<Partition, Route>) -> T) -> T {
        work(&mut self.routes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits while the channel is full; gives up when the reader is stopped or the lane has gone.
    fn tell(&self, channel: usize, mut event: Event) {
        while let Err(TrySendError::Full(back)) = self.senders[channel].try_send(event) {
            if self.stop.is_cancelled() {
                return;
            }
            event = back;
            std::thread::sleep(FULL_PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assigned(sink: &EventSink, partitions: &[i32]) {
        let start = |number: &i32| (Partition(*number), PartitionStart::Beginning);
        sink.tell_assigned(&partitions.iter().map(start).collect::<Vec<_>>());
    }

    fn told(receiver: &mut Receiver<Event>) -> Vec<String> {
        let events = std::iter::from_fn(|| receiver.try_recv().ok());
        let text = |event| match event {
            Event::Assigned { partition, .. } => format!("+{}", partition.0),
            Event::Revoked { partition } => format!("-{}", partition.0),
            Event::AtEnd { partition, next } => format!("{}.{}", partition.0, next.0),
            Event::Record(_) | Event::Problem(_) => String::new(),
        };
        events.map(text).collect()
    }

    #[test]
    fn a_partition_keeps_its_channel_and_channels_have_about_as_many() {
        let (sink, mut receivers) = EventSink::new((2, 1), None, CancellationToken::new());
        assigned(&sink, &[0, 1, 2, 3]);
        sink.tell_revoked(&[Partition(0), Partition(2), Partition(9)]);
        assigned(&sink, &[1, 4, 5, 6]);
        assert_eq!(told(&mut receivers[0]), ["+0", "+2", "-0", "-2", "+4", "+5", "+6"]);
        assert_eq!(told(&mut receivers[1]), ["+1", "+3", "+1"]);
    }

    #[test]
    fn the_end_of_a_partition_is_told_when_no_record_tells_it() {
        let (sink, mut receivers) = EventSink::new((1, 1), None, CancellationToken::new());
        let at_end = |next| sink.tell_at_end(Partition(0), Offset(next));
        at_end(4);
        sink.tell_assigned(&[(Partition(0), PartitionStart::At(Offset(4)))]);
        [4, 6, 6].into_iter().for_each(at_end);
        assert_eq!(told(&mut receivers[0]), ["+0", "0.6"]);
        sink.tell_assigned(&[(Partition(0), PartitionStart::At(Offset(4)))]);
        at_end(6);
        assert_eq!(told(&mut receivers[0]), ["+0", "0.6"], "it is read again");
    }

    /// Nobody drains the channel: a thread that waited for ever could not be joined.
    #[test]
    fn a_full_channel_does_not_outlast_the_stop() {
        let stop = CancellationToken::new();
        let (sink, receivers) = EventSink::new((1, 1), None, stop.clone());
        stop.cancel();
        (0..=EVENTS_MAX).for_each(|_| assigned(&sink, &[0]));
        assert_eq!(receivers[0].len(), EVENTS_MAX);
    }
}
