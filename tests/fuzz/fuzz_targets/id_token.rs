#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::id_token::check(bytes));
