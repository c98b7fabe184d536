/// The variables of a file of `NAME=value` lines, in its order. Blank lines and those that begin with `#` don't
/// count; nothing is quoted or expanded, and a value goes to the end of its line.
///
/// # Errors
///
/// The line that is not so, by its number; never what is in it.
pub fn parse_env_file(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    for (nth, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match line.split_once('=') {
            Some((name, value))
                if !name.is_empty() && !name.contains(char::is_whitespace) && !line.contains('\0') =>
            {
                pairs.push((name.to_owned(), value.to_owned()));
            }
            _ => return Err(format!("line {} is not NAME=value", nth + 1)),
        }
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::parse_env_file;

    #[test]
    fn lines_are_taken_as_they_are() {
        let pairs = parse_env_file("# the team's\nA=1\n\n  B=a b=\"c\" #d\r\nC=\n").expect("sound");
        let expected = [("A", "1"), ("B", "a b=\"c\" #d"), ("C", "")];
        assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_slip_is_told_without_its_text() {
        for text in ["A=1\nsecret\n", "\nA B=secret", "\n=secret", "\nA=\0secret"] {
            assert_eq!(parse_env_file(text), Err("line 2 is not NAME=value".to_owned()));
        }
    }
}
