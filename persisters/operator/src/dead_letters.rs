//! `persister dead-letters`: the side door, seen and gone back through.

mod letter;
mod list;
mod replay;
mod show;

use crate::{Common, OperatorError, Output, Servers, print, time};
use clap::Subcommand;
use letter::Filter;
use records::Version;
use records::rejection::{Class, Origin};
use std::collections::BTreeMap;

pub(crate) use letter::full_name;

/// What can be done with dead letters. An id is TOPIC/PARTITION/OFFSET of the record that was
/// rejected.
#[derive(Debug, Subcommand)]
pub enum DeadLettersCommand {
    /// List them, the newest last, and count all by class.
    List {
        /// Where everything is.
        #[command(flatten)]
        common: Common,
        /// Only of this class.
        #[arg(long)]
        class: Option<Class>,
        /// Only of records of this topic, with or without its prefix.
        #[arg(long, value_name = "TOPIC")]
        source_topic: Option<String>,
        /// Only those since a time such as 2026-01-31T12:00:00Z.
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        /// The most lines; the newest are shown. All are counted.
        #[arg(long, default_value_t = 100)]
        limit: usize,
        /// How to print them.
        #[arg(long, value_enum, default_value_t = Output::Text)]
        output: Output,
    },
    /// Show one: its headers, and the record decoded by its schema.
    Show {
        /// Where everything is.
        #[command(flatten)]
        common: Common,
        /// The id.
        id: Origin,
    },
    /// Send rejected records again to where they were, each once.
    ///
    /// Key and bytes are those of the rejected record, so it keeps its version: where a newer
    /// record of the object has been applied since, the late one changes nothing. A record that is
    /// refused again becomes a new dead letter, whose id is its new place. The old one stays until
    /// the topic's retention ends; replaying it once more sends it once more, which changes nothing
    /// either.
    Replay {
        /// Where everything is.
        #[command(flatten)]
        common: Common,
        /// All of this class.
        #[arg(long, required_unless_present = "ids")]
        class: Option<Class>,
        /// These, of any class or of that one.
        #[arg(value_name = "ID")]
        ids: Vec<Origin>,
        /// Don't ask, however many there are.
        #[arg(long)]
        yes: bool,
    },
}

/// How many there are of each class since a time.
pub(crate) async fn counts_since(
    servers: &Servers,
    since: &str,
) -> Result<BTreeMap<String, u64>, OperatorError> {
    Ok(list::list(servers, &Filter::default(), (Some(since), 0)).await?.counts)
}

/// The moment 24 hours ago.
pub(crate) fn day_ago() -> String {
    const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;
    time::text(Version::from_micros(Version::now().micros() - DAY_MICROS))
}

impl DeadLettersCommand {
    /// The arguments that all of them take.
    pub(crate) const fn common(&self) -> &Common {
        match self {
            Self::List { common, .. } | Self::Show { common, .. } | Self::Replay { common, .. } => {
                common
            }
        }
    }

    /// Does it, and prints what was found or done.
    ///
    /// # Errors
    /// [`OperatorError`].
    pub(crate) async fn run(self, servers: &Servers) -> Result<(), OperatorError> {
        match self {
            Self::List { class, source_topic, since, limit, output, .. } => {
                let topic = source_topic.map(|topic| full_name(servers, topic));
                let filter = Filter { class, topic, ids: None };
                let found = list::list(servers, &filter, (since.as_deref(), limit)).await?;
                print(&match output {
                    Output::Text => found.table(),
                    Output::Json => format!("{:#}\n", found.json()),
                });
            }
            Self::Show { id, .. } => print(&show::show(servers, &id).await?),
            Self::Replay { class, ids, yes, .. } => {
                let ids = (!ids.is_empty()).then(|| ids.into_iter().collect());
                let filter = Filter { class, topic: None, ids };
                print(&replay::replay(servers, &filter, yes).await?);
            }
        }
        Ok(())
    }
}
