//! Classic BPF, as far as a filter over system calls needs it.

use crate::sys::raw::halves;
use crate::sys::seccomp::Instruction;

/// Looks at one half of one argument.
#[derive(Clone, Copy)]
pub(super) struct Test {
    offset: u32,
    comparison: Comparison,
    value: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Differs,
    AnyBit,
}

/// Bytes in front of the arguments in the kernel's `seccomp_data`: number, architecture, instruction pointer.
pub(super) const ARGUMENTS: u32 = 16;

const fn low(argument: u8) -> u32 {
    ARGUMENTS + 8 * argument as u32 + if cfg!(target_endian = "big") { 4 } else { 0 }
}

const fn high(argument: u8) -> u32 {
    low(argument) ^ 4
}

pub(super) const fn equal(argument: u8, value: u32) -> Test {
    Test { offset: low(argument), comparison: Comparison::Equal, value }
}

pub(super) const fn differs(argument: u8, value: u32) -> Test {
    Test { offset: low(argument), comparison: Comparison::Differs, value }
}

pub(super) const fn any_bit(argument: u8, value: u32) -> Test {
    Test { offset: low(argument), comparison: Comparison::AnyBit, value }
}

pub(super) const fn any_bit_high(argument: u8, value: u32) -> Test {
    Test { offset: high(argument), comparison: Comparison::AnyBit, value }
}

pub(super) const LOAD: u16 = 0x20;
pub(super) const JUMP_EQUAL: u16 = 0x15;
pub(super) const JUMP_ANY_BIT: u16 = 0x45;
pub(super) const JUMP_AT_LEAST: u16 = 0x35;
pub(super) const RETURN: u16 = 0x06;
pub(super) const ALLOW: u32 = 0x7fff_0000;
pub(super) const ERRNO: u32 = 0x0005_0000;
pub(super) const KILL_PROCESS: u32 = 0x8000_0000;
pub(super) const NUMBER: u32 = 0;
pub(super) const ARCHITECTURE: u32 = 4;

#[cfg(target_arch = "x86_64")]
pub(super) const THIS_ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
pub(super) const THIS_ARCHITECTURE: u32 = 0xc000_00b7;
/// From here on x86-64 numbers are the x32 interface's, which no rule below would meet.
pub(super) const X32: u32 = 0x4000_0000;

/// Writes the program, one block per system call. The number stays loaded from one block to the next,
/// because a block that is entered always returns.
pub(super) struct Assembler(Vec<Instruction>);

impl Assembler {
    pub(super) fn new() -> Self {
        let mut this = Self(Vec::new());
        this.push(LOAD, 0, 0, ARCHITECTURE);
        this.push(JUMP_EQUAL, 1, 0, THIS_ARCHITECTURE);
        this.push(RETURN, 0, 0, KILL_PROCESS);
        this.push(LOAD, 0, 0, NUMBER);
        this.push(JUMP_AT_LEAST, 0, 1, X32);
        this.push(RETURN, 0, 0, KILL_PROCESS);
        this
    }

    fn push(&mut self, code: u16, jump_true: u8, jump_false: u8, value: u32) {
        self.0.push(Instruction { code, jump_true, jump_false, value });
    }

    /// Refuses `number` when all tests of any of `cases` hold. An empty case always holds.
    pub(super) fn refuse(&mut self, number: u32, errno: u32, cases: &[&[Test]]) {
        self.block(number, None, errno, cases);
    }

    /// As [`refuse`](Self::refuse), unless the sixth argument is `gate`.
    pub(super) fn gated(&mut self, number: u32, gate: u64, errno: u32, cases: &[&[Test]]) {
        self.block(number, Some(gate), errno, cases);
    }

    fn block(&mut self, number: u32, gate: Option<u64>, errno: u32, cases: &[&[Test]]) {
        let mut block = Self(Vec::new());
        if let Some(gate) = gate {
            let [lower, upper] = halves(gate);
            let halves = [equal(5, lower), Test { offset: high(5), ..equal(5, upper) }];
            block.case(&halves, ALLOW);
        }
        for case in cases {
            block.case(case, ERRNO | errno);
        }
        if !cases.iter().any(|case| case.is_empty()) {
            block.push(RETURN, 0, 0, ALLOW);
        }
        // No block comes near 255 instructions; the longest has a dozen.
        self.push(JUMP_EQUAL, 0, u8::try_from(block.0.len()).unwrap_or(u8::MAX), number);
        self.0.append(&mut block.0);
    }

    /// Returns `verdict` when all tests hold, else goes on behind the case.
    fn case(&mut self, tests: &[Test], verdict: u32) {
        for (done, test) in tests.iter().enumerate() {
            // Over the two instructions of each test that is left, and the return.
            let out = u8::try_from(2 * (tests.len() - done) - 1).unwrap_or(u8::MAX);
            self.push(LOAD, 0, 0, test.offset);
            match test.comparison {
                Comparison::Equal => self.push(JUMP_EQUAL, 0, out, test.value),
                Comparison::Differs => self.push(JUMP_EQUAL, out, 0, test.value),
                Comparison::AnyBit => self.push(JUMP_ANY_BIT, 0, out, test.value),
            }
        }
        self.push(RETURN, 0, 0, verdict);
    }

    pub(super) fn finish(mut self) -> Vec<Instruction> {
        self.push(RETURN, 0, 0, ALLOW);
        self.0
    }
}
