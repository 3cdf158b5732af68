#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| parca_agent_fuzz::extract_debug_file(bytes));
