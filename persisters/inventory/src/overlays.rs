//! Writes what is newer than its row without a look at the row first.

use crate::error::InventoryError;
use crate::upserts::{Apply, bind, is_narrow};
use plan::{Group, Overlays, Writes};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

impl Apply<'_> {
    /// Writes the groups of which every record is newer than all that their rows have seen; gives
    /// the number of rows that were written, and the groups that are left.
    pub(crate) async fn overlay(
        &self,
        connection: &mut PgConnection,
        groups: Vec<Group>,
    ) -> Result<(u64, Vec<Group>), InventoryError> {
        let (mut wholes, mut partials) = (Overlays::default(), Overlays::default());
        let mut rest = Vec::new();
        for group in groups {
            if self.is_compared(&group) {
                rest.push(group);
                continue;
            }
            let cover = self.cover(&group);
            let overlays = if self.batch.is_partial(&group) { &mut partials } else { &mut wholes };
            rest.extend(overlays.add(self.batch, group, cover).err());
        }
        let mut written = 0;
        for (overlays, are_whole) in [(wholes, true), (partials, false)] {
            if !overlays.is_empty() {
                let numbers = if are_whole {
                    self.overwrite(connection, &overlays).await?
                } else {
                    self.patch(connection, &overlays).await?
                };
                written += numbers.len() as u64;
                rest.extend(overlays.rest(&numbers));
            }
        }
        Ok((written, rest))
    }

    async fn overwrite(
        &self,
        connection: &mut PgConnection,
        overlays: &Overlays,
    ) -> Result<Vec<i64>, InventoryError> {
        let parameters = overlays.overwrite(self.batch);
        numbers(&bind(&self.statements.overwrite, parameters).fetch_all(connection).await?)
    }

    async fn patch(
        &self,
        connection: &mut PgConnection,
        overlays: &Overlays,
    ) -> Result<Vec<i64>, InventoryError> {
        let layout = self.batch.layout();
        let touched = Writes::new(self.batch, &overlays.writes).touched();
        let rows = if is_narrow(layout, overlays.len(), &touched) {
            let parameters = overlays.patch(self.batch, &touched);
            bind(&plan::patch(layout, &touched), parameters).fetch_all(connection).await?
        } else {
            let all: Vec<usize> = (0..layout.attributes.len()).collect();
            let parameters = overlays.patch(self.batch, &all);
            bind(&self.statements.patch, parameters).fetch_all(connection).await?
        };
        numbers(&rows)
    }
}

fn numbers(rows: &[PgRow]) -> Result<Vec<i64>, InventoryError> {
    rows.iter().map(|row| Ok(row.try_get("ord")?)).collect()
}
