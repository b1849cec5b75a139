//! What can end a collector, and what to do about it.

use provider::ProviderError;

/// Why collecting ended.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// Kafka failed.
    #[error(transparent)]
    Kafka(#[from] wire::KafkaProblem),
    /// The registry failed, or refuses a schema.
    #[error(transparent)]
    Registry(#[from] wire::RegistryError),
    /// The provider failed.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// A lease, position or directive can't be read.
    #[error("{topic}, source {source_name}: {reason}; whoever wrote it does not keep the contract")]
    Contract {
        /// The topic.
        topic: String,
        /// The source.
        source_name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The provider sent a type that it had not announced.
    #[error("the provider sent a {0}, which it does not announce; this is a mistake of its code")]
    UnknownType(records::TypeName),
    /// The provider sent what can't be written even without the attribute that is wrong.
    #[error("{0}; this is a mistake of the provider's code")]
    Encode(#[from] records::EncodeError),
    /// Another writer has the source now.
    #[error(
        "another collector of source {source_name} (writer {writer}, term {term}) has taken over"
    )]
    TakenOver {
        /// The source.
        source_name: String,
        /// Who writes now.
        writer: String,
        /// Its term.
        term: i64,
    },
    /// A task of the engine has died.
    #[error("a task of the engine has died: {0}; this is a mistake of the program")]
    Task(#[from] tokio::task::JoinError),
    /// The admin port failed.
    #[error(transparent)]
    Admin(#[from] chassis::AdminError),
    /// The settings or the manifest are not complete or not right.
    #[error(transparent)]
    Settings(#[from] chassis::Mistakes),
    /// The file holds no such provider.
    #[error("{file}: {problem}")]
    Manifest {
        /// The file.
        file: String,
        /// What is missing, and what to do.
        problem: String,
    },
    /// Nobody reads the answer.
    #[error("can't print: {0}")]
    Print(#[from] std::io::Error),
}

impl chassis::ExitKind for CollectError {
    fn is_final(&self) -> bool {
        match self {
            Self::Settings(_) | Self::Manifest { .. } | Self::UnknownType(_) | Self::Encode(_) => {
                true
            }
            Self::Kafka(problem) => problem.is_final(),
            Self::Registry(error) => error.is_final(),
            Self::Provider(error) => error.is_final(),
            _ => false,
        }
    }
}

impl CollectError {
    /// Both values, or the mistakes of both together.
    ///
    /// # Errors
    /// All mistakes, or the first other error.
    pub fn both<A, B>(a: Result<A, Self>, b: Result<B, Self>) -> Result<(A, B), Self> {
        match (a, b) {
            (Err(Self::Settings(mut a)), Err(Self::Settings(b))) => {
                a.0.extend(b.0);
                Err(Self::Settings(a))
            }
            (a, b) => Ok((a?, b?)),
        }
    }
}
