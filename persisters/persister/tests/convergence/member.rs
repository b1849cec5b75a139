//! One persister without Kafka: fetched bytes, decoded and applied over a connection of its own.

use chassis::ExitKind;
use harness::World;
use inventory::purge;
use oracle::history::{Object, Record};
use oracle::kinds::Kinds;
use oracle::replay::Done;
use persister::{Decoded, Licence, PersistError, SESSION, Types, Work, apply, decode};
use plan::{Spare, Statements};
use records::{TypeName, Version};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use wire::{Incoming, Registry};

/// What two members do at the same time.
#[derive(Default)]
pub struct Race {
    /// Transactions in the order of their commits. They are added before they are committed, while
    /// they hold their locks: whoever waited for these comes after.
    pub log: RefCell<Vec<Done>>,
    open: Cell<usize>,
    pub overlaps: Cell<u64>,
    pub failures: RefCell<BTreeMap<String, u64>>,
}

impl Race {
    fn begin(&self) {
        self.open.set(self.open.get() + 1);
        self.overlaps.set(self.overlaps.get() + u64::from(self.open.get() > 1));
    }

    fn end(&self) {
        self.open.set(self.open.get() - 1);
    }
}

/// How a transaction is held open before its commit: so many round trips.
pub type Hold = usize;

pub struct Member {
    pub connection: PgConnection,
    types: Types,
    spare: Spare,
    /// Whether the live lane is said to be caught up.
    pub licensed: bool,
}

impl Member {
    pub async fn start(world: &World, registry: &Registry) -> Self {
        let mut connection = PgConnection::connect(world.database_url()).await.unwrap();
        sqlx::raw_sql(SESSION).execute(&mut connection).await.unwrap();
        let types = Types::new(registry.clone());
        Self { connection, types, spare: Spare::default(), licensed: false }
    }

    pub fn forget(&mut self) {
        self.types.forget();
    }

    /// Applies records as a lane does: what fails is tried again from the last commit on.
    pub async fn records(
        &mut self,
        (race, hold): (&Race, Hold),
        (records, fetched): (&[Record], &[Incoming]),
    ) {
        let mut done = 0;
        while done < records.len() {
            let rest = (&records[done..], &fetched[done..]);
            let (committed, result) = self.try_records((race, hold), rest).await;
            done += committed;
            if let Err(error) = result {
                assert!(!error.is_final(), "{error}");
                let kind = error.to_string().replace(char::is_numeric, "");
                *race.failures.borrow_mut().entry(kind).or_default() += 1;
                self.forget();
            }
        }
    }

    /// How many records were committed, and what then stopped the rest.
    async fn try_records(
        &mut self,
        (race, hold): (&Race, Hold),
        (records, fetched): (&[Record], &[Incoming]),
    ) -> (usize, Result<(), PersistError>) {
        for incoming in fetched {
            let (id, _) = wire::unframe(incoming.payload.as_deref().unwrap()).unwrap();
            if let Err(error) = self.types.look_up(&mut self.connection, id).await {
                return (0, Err(error.into()));
            }
        }
        let mut decoded = decode(fetched, self.types.known(), &self.spare);
        match self.types.meet(&mut self.connection, &decoded.unmet).await {
            Ok(false) => {}
            Ok(true) => decoded = decode(fetched, self.types.known(), &self.spare),
            Err(error) => return (0, Err(error.into())),
        }
        let Decoded { steps, rejected, waiting, .. } = decoded;
        assert_eq!((rejected, waiting), (vec![], vec![]));
        let mut done = 0;
        for step in steps.iter().filter(|step| step.end > 0) {
            let records = &records[done..step.end.max(done)];
            if !records.is_empty() {
                if let Err(error) = self.step((race, hold), records, &step.work).await {
                    return (done, Err(error));
                }
                done = step.end;
            }
        }
        for step in steps {
            if let Work::Changes(batches) = step.work {
                batches.into_values().for_each(|batch| self.spare.keep(batch));
            }
        }
        (done, Ok(()))
    }

    async fn step(
        &mut self,
        (race, hold): (&Race, Hold),
        records: &[Record],
        work: &Work,
    ) -> Result<(), PersistError> {
        let (tables, licence) = (work.tables(self.types.known()), Licence::for_all(self.licensed));
        let mut transaction = self.connection.begin().await?;
        race.begin();
        let applied = apply(&mut transaction, work, &tables, &licence).await;
        if applied.is_ok() {
            linger(&mut transaction, hold).await;
            race.log.borrow_mut().push(match (work, records) {
                (Work::Extent(_), [Record::Delete { object, version }]) => {
                    Done::Nothing(*object, *version)
                }
                _ => Done::Records(records.to_vec()),
            });
            transaction.commit().await.unwrap();
        } else {
            transaction.rollback().await?;
        }
        race.end();
        applied.map(drop)
    }

    /// Purges a type's table, if there is one.
    pub async fn purge(
        &mut self,
        (race, hold): (&Race, Hold),
        (kinds, run): (&Kinds, &str),
        kind: usize,
    ) {
        let name = kinds.name(kind);
        if schemas::tables::columns(&mut self.connection, name).await.unwrap().is_none() {
            return;
        }
        let mut transaction = self.connection.begin().await.unwrap();
        race.begin();
        let purged = purge(&mut transaction, name.as_str(), Version::NEVER).await.unwrap();
        linger(&mut transaction, hold).await;
        let ours = purged.iter().filter(|(source, _)| source.starts_with(&format!("{run}.")));
        let objects = ours.map(|(source, id)| Object::of_row(kind, source, id));
        let objects: Vec<Object> = objects.collect();
        if !objects.is_empty() {
            race.log.borrow_mut().push(Done::Purged(objects));
        }
        transaction.commit().await.unwrap();
        race.end();
    }

    /// The plans of the statements that look rows of a type up.
    pub async fn plans(&mut self, name: &TypeName) -> Vec<String> {
        let statements = self.types.known().table(name).unwrap().statements.clone();
        let Statements { read, compare, same, update, overwrite, patch, .. } = &*statements;
        let mut plans = Vec::new();
        for statement in [read, compare, same, update, overwrite, patch] {
            let is_one = |number: &usize| statement.contains(&format!("${number}::"));
            let nulls = vec!["NULL"; (1..).take_while(is_one).count()].join(", ");
            let explained = format!("EXPLAIN EXECUTE explained({nulls})");
            let prepared = format!("PREPARE explained AS {statement}");
            sqlx::raw_sql(AssertSqlSafe(prepared)).execute(&mut self.connection).await.unwrap();
            let lines: Vec<String> = sqlx::query_scalar(AssertSqlSafe(explained))
                .fetch_all(&mut self.connection)
                .await
                .unwrap();
            sqlx::raw_sql("DEALLOCATE explained").execute(&mut self.connection).await.unwrap();
            plans.push(format!("{statement}\n{}", lines.join("\n")));
        }
        plans
    }
}

async fn linger(connection: &mut PgConnection, hold: Hold) {
    for _ in 0..hold {
        sqlx::query("SELECT 1").execute(&mut *connection).await.unwrap();
    }
}
