#![no_main]

#[path = "../targets/mod.rs"]
#[allow(dead_code, reason = "each binary is one of the targets")]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::mux::run(data));
