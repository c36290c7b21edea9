#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bird_sms::fuzzing::connector(bytes));
