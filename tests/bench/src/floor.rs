//! The floor: the same rows by the best plain SQL that we know, from a local file by psql. It has
//! no Kafka, no Avro, no batches and no positions: whoever has them can hardly be faster.

use crate::error::Error;
use crate::rig::{Rig, Rows, attributes};
use crate::trial::{Contender, Meter, Trial};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;
use workloads::objects::PARTIAL;
use workloads::{Item, Workload, copy};

/// Writes the file that the workload's next runs read.
///
/// # Errors
/// [`Error::File`].
pub fn prepare(
    rig: &Rig,
    workload: Workload,
    items: impl Iterator<Item = Item>,
) -> Result<(), Error> {
    let path = file(rig, workload);
    copy::write(&path, workload, items).map_err(Error::at(&path))
}

/// Does the workload, of so many records, in `rows`.
///
/// # Errors
/// What psql said.
pub async fn run(
    rig: &Rig,
    workload: Workload,
    (records, rows): (u64, &mut Rows),
) -> Result<Trial, Error> {
    time(rig, &statements(workload, &file(rig, workload)), records, rows).await
}

/// Lets psql run a script, which writes so many rows.
///
/// # Errors
/// What psql said.
pub async fn time(rig: &Rig, script: &str, count: u64, rows: &mut Rows) -> Result<Trial, Error> {
    let path = rig.world.folder().join("floor.sql");
    std::fs::write(&path, script).map_err(Error::at(&path))?;
    let mut meter = Meter::new(rig, rows).await?;
    meter.begin(0)?;
    psql(&path, &rows.url).await?;
    meter.end(None)?;
    meter.trial(Contender::Floor, count, rows).await
}

fn file(rig: &Rig, workload: Workload) -> PathBuf {
    rig.world.folder().join(format!("{workload:?}.copy"))
}

async fn psql(script: &Path, url: &str) -> Result<(), Error> {
    let mut command = Command::from(harness::Postgres::psql()?);
    command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f"]).arg(script).arg(url);
    let output = command.stdin(Stdio::null()).output().await.map_err(Error::at("psql"))?;
    if output.status.success() {
        return Ok(());
    }
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(Error::Command { what: "the floor's psql", printed })
}

/// One transaction: the file into a table without WAL, and from there, in the order of keys, to
/// where it belongs.
fn statements(workload: Workload, file: &Path) -> String {
    let file = file.display();
    let sent: Vec<String> = if workload.is_partial() {
        PARTIAL.iter().map(|name| (*name).to_owned()).collect()
    } else {
        attributes()
    };
    let columns = format!("source, native_id, version, {}", sent.join(", "));
    let sets = |from: &str| {
        let sets: Vec<_> = sent.iter().map(|name| format!("{name} = {from}.{name}")).collect();
        format!("version = {from}.version, {}", sets.join(", "))
    };
    let row = |from: &str| {
        let names: Vec<_> = sent.iter().map(|name| format!("{from}.{name}")).collect();
        format!("({})", names.join(", "))
    };
    let apply = match workload {
        Workload::Load => upsert(&columns, &sets("excluded"), "SELECT * FROM staging"),
        Workload::Unchanged | Workload::Changed => {
            let changed = format!(
                "SELECT s.* FROM staging AS s LEFT JOIN vm USING (source, native_id) \
                 WHERE {} IS DISTINCT FROM {}",
                row("s"),
                row("vm")
            );
            upsert(&columns, &sets("excluded"), &changed)
        }
        Workload::Partial => format!(
            "UPDATE vm SET {} FROM staging AS s WHERE vm.source = s.source \
             AND vm.native_id = s.native_id AND s.version > vm.version",
            sets("s")
        ),
        Workload::Hot => {
            let newest = "SELECT DISTINCT ON (source, native_id) * FROM staging \
                          ORDER BY source, native_id, version DESC";
            upsert(&columns, &sets("excluded"), &format!("SELECT * FROM ({newest}) AS newest"))
        }
    };
    format!(
        "BEGIN;\nCREATE TEMP TABLE staging ON COMMIT DROP AS \
         SELECT {columns} FROM vm WITH NO DATA;\n\
         \\copy staging FROM '{file}' (FORMAT binary)\n\
         ANALYZE staging;\n{apply};\nCOMMIT;\n"
    )
}

fn upsert(columns: &str, sets: &str, rows: &str) -> String {
    format!(
        "INSERT INTO vm ({columns}) {rows} ORDER BY source, native_id\n\
         ON CONFLICT (source, native_id) DO UPDATE SET {sets} WHERE excluded.version > vm.version"
    )
}
