//! Where something is mounted.

use std::fs;
use std::io;

/// Every mount point this process sees.
pub(super) fn points() -> io::Result<Vec<Vec<u8>>> {
    Ok(parse(&fs::read("/proc/self/mountinfo")?))
}

/// The fifth field of each line.
fn parse(table: &[u8]) -> Vec<Vec<u8>> {
    let lines = table.split(|byte| *byte == b'\n');
    lines.filter_map(|line| line.split(|byte| *byte == b' ').nth(4)).map(unescape).collect()
}

/// The kernel writes blanks, newlines and backslashes as a backslash and three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        if let (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) = (first, tail) {
            plain.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
            rest = after;
        } else {
            plain.push(*first);
            rest = tail;
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_read_whatever_is_in_their_names() {
        let table = b"36 35 98:0 / /run rw shared:1 - tmpfs tmpfs rw\n37 36 0:5 /x /run/a\\040b\\134 ro - ext4 x ro\n";
        assert_eq!(parse(table), [b"/run".to_vec(), b"/run/a b\\".to_vec()]);
        assert!(!points().expect("this process has some").is_empty());
    }
}
