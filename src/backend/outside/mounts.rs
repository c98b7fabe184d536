use super::found;
use crate::backend::Residue;

/// Fields of a mount that a new one of the same kind does not share: its ids and its device.
const PASSING: usize = 3;

/// A table of mounts, as it should be. Read after each lease, so that what has not changed is compared and no more.
#[derive(Debug)]
pub(in crate::backend) struct Mounts(Vec<String>);

impl Mounts {
    /// From a `mountinfo`.
    pub(super) fn parse(table: &str) -> Self {
        Self(table.lines().map(|line| lasting_part(line).to_owned()).collect())
    }

    /// Looks for a difference between this and the `mountinfo` of now.
    pub(super) fn compare(&self, table: &str) -> Result<(), Residue> {
        let mut known: &[String] = &self.0;
        let (mut new, mut missing) = (Vec::new(), Vec::new());
        // What was mounted again has another place in the table; all else has kept its order.
        for mount in table.lines().map(lasting_part) {
            match known {
                [next, rest @ ..] if next == mount => known = rest,
                [other, next, rest @ ..] if next == mount => {
                    missing.push(other.as_str());
                    known = rest;
                }
                _ => new.push(mount),
            }
        }
        missing.extend(known.iter().map(String::as_str));
        for mount in new {
            match missing.iter().position(|other| *other == mount) {
                Some(same) => drop(missing.swap_remove(same)),
                None if self.0.iter().any(|known| known == mount) => {
                    return Err(found(format!("mount {} upon another", in_words(mount))));
                }
                None => return Err(found(format!("mount {}", in_words(mount)))),
            }
        }
        match missing.first() {
            Some(gone) => Err(found(format!("mount missing: {}", in_words(gone)))),
            None => Ok(()),
        }
    }
}

/// Root, point, options and type.
fn lasting_part(line: &str) -> &str {
    line.splitn(PASSING + 1, ' ').nth(PASSING).unwrap_or(line)
}

/// Where it is first.
fn in_words(lasting_part: &str) -> String {
    match lasting_part.splitn(3, ' ').collect::<Vec<_>>()[..] {
        [root, point, rest] => format!("{point} {root} {rest}"),
        _ => lasting_part.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table with such mounts, numbered anew.
    fn table(first: usize, points: &[&str]) -> String {
        let line = |(i, point): (usize, &&str)| {
            let id = first + i;
            format!("{id} 83 0:{id} / {point} rw,nosuid - tmpfs tmpfs rw,size=1k\n")
        };
        points.iter().enumerate().map(line).collect()
    }

    fn difference(before: &[&str], now: &[&str]) -> Option<String> {
        Mounts::parse(&table(10, before)).compare(&table(500, now)).err().map(|residue| residue.what)
    }

    #[test]
    fn mounts_of_the_same_kind_are_the_same_in_any_order() {
        for now in [["/a", "/b", "/c"], ["/a", "/c", "/b"], ["/b", "/c", "/a"], ["/c", "/b", "/a"]] {
            assert_eq!(difference(&["/a", "/b", "/c"], &now), None, "{now:?}");
        }
    }

    #[test]
    fn other_options_are_another_mount() {
        let before = table(1, &["/a"]);
        let other = before.replace("rw,nosuid", "rw");
        assert!(Mounts::parse(&before).compare(&other).is_err());
    }

    #[test]
    fn added_missing_and_doubled_mounts_are_found() {
        let found = |now: &[&str]| difference(&["/a", "/b"], now).expect("a difference");
        let like = |point: &str| format!("{point} / rw,nosuid - tmpfs tmpfs rw,size=1k");
        assert_eq!(found(&["/a", "/b", "/c"]), format!("mount {}", like("/c")));
        assert_eq!(found(&["/c", "/a", "/b"]), format!("mount {}", like("/c")));
        assert_eq!(found(&["/a"]), format!("mount missing: {}", like("/b")));
        assert_eq!(found(&["/b"]), format!("mount missing: {}", like("/a")));
        assert_eq!(found(&[]), format!("mount missing: {}", like("/a")));
        for doubled in [["/a", "/a", "/b"], ["/a", "/b", "/a"], ["/b", "/a", "/a"]] {
            assert_eq!(found(&doubled), format!("mount {} upon another", like("/a")));
        }
        assert_eq!(found(&["/a", "/c"]), format!("mount {}", like("/c")));
    }
}
