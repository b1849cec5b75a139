//! `persister dead-letters replay`: rejected records go again to where they were.
//!
//! The topic is read twice up to the same ends: first to count what would be sent, then to send it.
//! So no record is held in memory, and a record that is refused again meanwhile is not sent again.

use super::letter::{Filter, Letter, Letters, ranges};
use crate::{OperatorError, Servers};
use records::Topic;
use records::rejection::{Origin, header};
use std::collections::HashSet;
use std::fmt::Write as _;
use wire::{Outgoing, Publisher};

/// More than that are only replayed when it was said that this is wanted.
const UNASKED_MAX: usize = 100;

/// Sends what is meant, and tells what was sent and what was not.
pub(crate) async fn replay(
    servers: &Servers,
    filter: &Filter,
    yes: bool,
) -> Result<String, OperatorError> {
    let ranges = ranges(servers, None).await?;
    let mut letters = Letters::read(servers, ranges.clone(), filter)?;
    let mut found = HashSet::new();
    while let Some(letter) = letters.next().await? {
        found.insert(letter.origin);
    }
    check(filter, &found, yes)?;
    let publisher = Publisher::new(&servers.access.kafka)?;
    let mut letters = Letters::read(servers, ranges, filter)?;
    let mut text = String::new();
    let mut sent = 0;
    while let Some(letter) = letters.next().await? {
        let (origin, class) = (letter.origin.clone(), letter.class.clone());
        match outgoing(servers, letter) {
            Ok(outgoing) => {
                publisher.send(outgoing).await?;
                sent += 1;
                writeln!(text, "sent      {origin}  {class}")
            }
            Err(why) => writeln!(text, "not sent  {origin}  {class}: {why}"),
        }
        .expect("a String takes all");
    }
    publisher.acknowledged().await?;
    Ok(format!("{text}{sent} of {} sent\n", found.len()))
}

fn check(filter: &Filter, found: &HashSet<Origin>, yes: bool) -> Result<(), OperatorError> {
    let missing = filter.ids.iter().flatten().find(|id| !found.contains(id));
    if let Some(id) = missing {
        let message = format!("there is no dead letter {id}; `persister dead-letters list`");
        return Err(OperatorError::Request(message));
    }
    if found.len() > UNASKED_MAX && !yes {
        let message = format!("{} records would be sent again; say --yes", found.len());
        return Err(OperatorError::Request(message));
    }
    Ok(())
}

/// The record as it was; its partition is chosen by its key, as ever.
///
/// # Errors
/// Why it can't be sent.
fn outgoing(servers: &Servers, letter: Letter) -> Result<Outgoing, &'static str> {
    let kafka = &servers.access.kafka;
    let is_ours = |topic: &Topic| kafka.topic(*topic) == letter.origin.topic;
    if !Topic::ALL.iter().any(|topic| *topic != Topic::DeadLetters && is_ours(topic)) {
        return Err("its topic is none of this prefix");
    }
    if letter.record.header(header::LEFT_OUT_BYTES).is_some() {
        return Err(
            "it was too large for a dead letter; its value is at its origin only: give the \
                    topic dead-letters more room, then `persister positions rewind`",
        );
    }
    let (key, payload) = (letter.record.key, letter.record.payload);
    Ok(Outgoing { topic: letter.origin.topic, key, payload, headers: Vec::new() })
}
