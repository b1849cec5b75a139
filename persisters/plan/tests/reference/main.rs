//! The compiled decoder is equal to apache-avro, whatever the schema and the bytes are.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod expected;
mod input;
mod subject;

use plan::DecodeError;
use proptest::prelude::{ProptestConfig, any, prop, proptest};
use subject::Subject;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn both_decoders_say_the_same(
        choice in any::<u8>(),
        rest in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        input::check(&[&[choice], rest.as_slice()].concat());
    }
}

/// Lets both read a datum of one attribute of this type.
fn check(of: &str, attribute: &[u8]) -> Result<(), DecodeError> {
    subject(of).check(&[&input::envelope(), attribute].concat())
}

fn subject(of: &str) -> Subject {
    let schema = format!(
        r#"{{"type":"record","name":"Made","fields":[{{"name":"source","type":"string"}},
        {{"name":"native_id","type":"string"}},{{"name":"version","type":"long"}},
        {{"name":"update_mask","type":["null",{{"type":"array","items":"string"}}]}},
        {{"name":"a","type":{of}}}]}}"#
    );
    Subject::parse(&schema).unwrap()
}

#[test]
fn a_union_of_one_branch_has_its_index() {
    assert_eq!(check(r#"["string"]"#, b"\0\x02x"), Ok(()));
    assert_eq!(check(r#"["null"]"#, b"\0"), Ok(()));
}

#[test]
fn nulls_of_no_bytes_fill_no_memory() {
    let nulls = r#"{"type":"array","items":"null"}"#;
    // A block of 10,000, and three of a million.
    assert_eq!(check(nulls, b"\xa0\x9c\x01\0"), Ok(()));
    let million = b"\x80\x89\x7a";
    let refused = check(nulls, &[million, million, million, b"\0".as_slice()].concat());
    assert!(refused.unwrap_err().to_string().contains("10,000 values without bytes"));
}

#[test]
fn records_of_records_of_no_bytes_fill_no_memory() {
    let level = |inner: String, level| {
        let second = format!(r#""r{level}""#);
        let first = format!(r#"{{"type":"record","name":"r{level}","fields":[{inner}]}}"#);
        format!(r#"{{"name":"a","type":{first}}},{{"name":"b","type":{second}}}"#)
    };
    let fields = (0..40).fold(String::new(), level);
    let bomb = format!(r#"{{"type":"record","name":"top","fields":[{fields}]}}"#);
    let refused = subject(&bomb).decode(&input::envelope()).0;
    assert!(refused.unwrap_err().to_string().contains("10,000 values without bytes"));
}

#[test]
fn of_a_key_that_is_there_twice_the_last_counts() {
    let map = r#"{"type":"map","values":"string"}"#;
    assert_eq!(check(map, b"\x06\x02b\x021\x02a\x022\x02b\x023\0"), Ok(()));
}

#[test]
fn a_text_is_looked_at_to_its_last_byte() {
    // Behind it there are bytes enough to read 16 at once.
    let text = r#""string"},{"name":"z","type":{"type":"fixed","name":"z","size":16}"#;
    let subject = subject(text);
    for (length, wrong) in (1..=40).flat_map(|length| [0, 0x80, 0xff].map(|byte| (length, byte))) {
        for place in 0..length {
            let mut text = vec![b'a'; length];
            let datum = |text: &[u8]| {
                [input::envelope().as_slice(), &[length as u8 * 2], text, &[0; 16]].concat()
            };
            assert_eq!(subject.check(&datum(&text)), Ok(()));
            text[place] = wrong;
            assert!(subject.check(&datum(&text)).is_err(), "{wrong} at {place} of {length}");
        }
    }
}
