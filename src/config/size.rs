use parse_size::{ByteSuffix, Config};

const UNITS: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// A size in bytes: `512MiB`, `64KB`, `4096`. A bare `512M` is refused, since people disagree what it means.
pub(super) fn parse(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if plain {
        return text.parse().ok();
    }
    // The parser also takes exponents and digits in groups; nobody writes a size so.
    let digits = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let unit = digits.trim_start_matches(' ');
    if !unit.starts_with(|c: char| c.is_ascii_alphabetic()) || !unit.bytes().all(|b| b.is_ascii_alphabetic())
    {
        return None;
    }
    Config::new().with_byte_suffix(ByteSuffix::Require).parse_size(text).ok()
}

/// In the largest unit that shows it exactly.
pub(super) fn show(bytes: u64) -> String {
    UNITS
        .iter()
        .find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit))
        .map_or_else(|| format!("{bytes}B"), |(name, unit)| format!("{}{name}", bytes / unit))
}

#[cfg(test)]
mod tests {
    use super::{parse, show};

    #[test]
    fn sizes_are_read_strictly() {
        let good = [
            ("0", 0),
            ("4096", 4096),
            ("1B", 1),
            ("64KiB", 65536),
            ("1.5 MiB", 3 << 19),
            ("2gib", 2 << 30),
            ("1MB", 1_000_000),
            ("18446744073709551615", u64::MAX),
        ];
        for (text, bytes) in good {
            assert_eq!(parse(text), Some(bytes), "{text}");
        }
        for text in [
            "",
            "MiB",
            ".",
            "512M",
            "1e3B",
            "1_0B",
            "-1",
            "1 KiB ",
            "1 2B",
            "99999999EiB",
            "18446744073709551616",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        for bytes in [0, 1, 1023, 1024, 1 << 20, (1 << 20) + 1, 3 << 29, 1 << 40, u64::MAX] {
            assert_eq!(parse(&show(bytes)), Some(bytes));
        }
    }
}
