//! Splitting a batch, to find the record that PostgreSQL refuses.

use crate::Batch;
use crate::batch::Records;

impl Batch {
    /// Two halves of a batch.
    ///
    /// # Errors
    /// The number of its only record, or none if it has none: it can't be split.
    pub fn halves(self) -> Result<(Self, Self), Option<usize>> {
        match self.records {
            Records::Events(events) => {
                let (a, b) = split(events).map_err(|one| one.map(|one| one.origin))?;
                Ok((Self { records: Records::Events(a) }, Self { records: Records::Events(b) }))
            }
            Records::Samples(polls) => {
                let (a, b) = split(polls).map_err(|one| one.map(|one| one.origin))?;
                Ok((Self { records: Records::Samples(a) }, Self { records: Records::Samples(b) }))
            }
        }
    }
}

fn split<T>(mut records: Vec<T>) -> Result<(Vec<T>, Vec<T>), Option<T>> {
    if records.len() < 2 {
        return Err(records.pop());
    }
    let second = records.split_off(records.len() / 2);
    Ok((records, second))
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn what_is_alone_is_not_split() {
        assert_eq!(split(vec![1, 2, 3]), Ok((vec![1], vec![2, 3])));
        assert_eq!(split(vec![1]), Err(Some(1)));
        assert_eq!(split::<i32>(vec![]), Err(None));
    }
}
