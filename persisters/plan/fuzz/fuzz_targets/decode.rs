//! The compiled decoder beside apache-avro, on bytes that libFuzzer makes.
#![no_main]

#[path = "../../tests/reference/expected.rs"]
mod expected;
#[path = "../../tests/reference/input.rs"]
mod input;
#[path = "../../tests/reference/subject.rs"]
mod subject;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| input::check(bytes));
