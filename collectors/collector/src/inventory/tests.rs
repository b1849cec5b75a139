//! The order of records and acknowledgements.

use super::*;
use crate::recorder::{Recorder, at, entity, inventory, listing, thing};
use records::Value;

async fn observe(inventory: &mut Inventory<Recorder>, observations: Vec<Observation>) {
    for observation in observations {
        inventory.observe(observation).await.unwrap();
    }
}

fn ids(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|i| format!("t{i}"))
}

#[tokio::test]
async fn a_listing_keeps_the_order_that_collectors_owe() {
    let (mut inventory, sent) = inventory(&[]);
    let changed = Observation::Changed(at(1), Change::Upsert(entity("b")));
    observe(&mut inventory, vec![changed]).await;
    observe(&mut inventory, listing(at(2), ["b".to_owned(), "a".to_owned()])).await;
    assert_eq!(
        sent.take(),
        [
            "inventory.live vc1/thing/b: 11 bytes, schema 1",
            "ack",
            "inventory.snapshot vc1/thing/b: 11 bytes, schema 1",
            "inventory.snapshot vc1/thing/a: 11 bytes, schema 1",
            "ack",
            "inventory.snapshot vc1/thing: [,None) [\"a\", \"b\"]",
            "ack",
            "checkpoints vc1/inventory: {\"thing\":2}",
            "ack",
        ]
    );
    assert_eq!(inventory.listing_ended(), at(2));
}

#[tokio::test]
async fn a_targeted_listing_goes_live_and_leaves_the_rest_alone() {
    let (mut inventory, sent) = inventory(&[]);
    let name = thing().name().clone();
    let observations = vec![
        Observation::Listed(at(1), entity("p/a")),
        Observation::Listed(at(1), entity("q")),
        Observation::Complete(at(1), name.clone(), Range::children("p")),
        Observation::Complete(at(1), name, Range { from: "p0".to_owned(), to: None }),
    ];
    observe(&mut inventory, observations).await;
    let extents: Vec<String> = sent.take().into_iter().filter(|line| line.contains('[')).collect();
    assert_eq!(
        extents,
        [
            "inventory.live vc1/thing: [p/,Some(\"p0\")) [\"p/a\"]",
            "inventory.live vc1/thing: [p0,None) [\"q\"]",
        ]
    );
}

#[tokio::test]
async fn a_listing_that_would_end_too_many_is_held_until_a_second_one_agrees() {
    let (mut inventory, sent) = inventory(&[]);
    observe(&mut inventory, listing(at(1), ids(300))).await;
    sent.take();
    observe(&mut inventory, listing(at(2), ids(0))).await;
    assert!(inventory.is_holding());
    assert_eq!(sent.take(), ["ack", "checkpoints vc1/inventory: {\"thing\":300}", "ack"]);
    observe(&mut inventory, listing(at(3), ids(0))).await;
    assert!(sent.take().contains(&"inventory.snapshot vc1/thing: [,None) []".to_owned()));
}

#[tokio::test]
async fn a_type_that_is_no_longer_collected_gets_a_last_empty_extent() {
    let (mut inventory, sent) = inventory(&[("host", 5), ("thing", 3)]);
    inventory.retire(at(1)).await.unwrap();
    assert_eq!(sent.take(), ["inventory.snapshot vc1/host: [,None) []"]);
    observe(&mut inventory, listing(at(2), ids(1))).await;
    assert!(sent.take().contains(&"checkpoints vc1/inventory: {\"thing\":1}".to_owned()));
}

#[tokio::test]
async fn changes_go_live() {
    let (mut inventory, sent) = inventory(&[]);
    let thing = thing().name().clone();
    let changes = [Change::Update(entity("a")), Change::Delete(thing, entity("a").native_id)];
    for change in changes {
        inventory.observe(Observation::Changed(at(1), change)).await.unwrap();
    }
    assert_eq!(
        sent.take(),
        [
            "inventory.live vc1/thing/a: 18 bytes, schema 1",
            "inventory.live vc1/thing/a: 13 bytes, schema 232",
        ]
    );
}

#[tokio::test]
async fn a_wrong_attribute_costs_itself_only() {
    let (mut inventory, sent) = inventory(&[]);
    let mut entity = entity("a");
    entity.attributes = vec![("name", Value::Long(1)), ("other", Value::Null)];
    inventory.observe(Observation::Changed(at(1), Change::Upsert(entity))).await.unwrap();
    assert_eq!(sent.take(), ["inventory.live vc1/thing/a: 9 bytes, schema 1"]);
}

#[tokio::test]
async fn an_unannounced_type_is_a_mistake_of_the_provider() {
    let (mut inventory, _) = inventory(&[]);
    let mut entity = entity("a");
    entity.entity_type = TypeName::new("other").unwrap();
    let result = inventory.observe(Observation::Listed(at(1), entity)).await;
    assert!(matches!(result, Err(CollectError::UnknownType(_))));
}

#[test]
fn a_token_of_another_form_says_nothing() {
    let position = |token: &str| Position {
        source: "vc1".to_owned(),
        stream: STREAM.to_owned(),
        version: 1,
        token: token.into(),
    };
    assert_eq!(counts(&position("[]")), Counts::new());
    assert_eq!(counts(&position(r#"{"host":3,"No":1}"#)).len(), 1);
}
