/// The candidate that `name` was most likely meant to be, if any is near enough.
///
/// Case, dashes and underscores don't count; otherwise one slip in three characters is forgiven, and a word cut
/// short.
pub(super) fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_'], "");
    let name = plain(name);
    // Also keeps the cost down: nothing of ours is that long.
    if name.len() > 200 {
        return None;
    }
    let length = name.chars().count();
    let allowed = (length / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (plain(candidate), candidate))
        .map(|(plain, candidate)| (strsim::osa_distance(&name, &plain), plain, candidate))
        .filter(|(distance, plain, _)| *distance <= allowed || (length > 2 && plain.starts_with(&name)))
        .min_by_key(|(distance, ..)| *distance)
        .map(|(.., candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_are_forgiven_and_strangers_are_not() {
        let known = ["min", "max", "max_uses", "idle_timeout"];
        let cases = [
            ("maxx", Some("max")),
            ("maxUses", Some("max_uses")),
            ("max-uses", Some("max_uses")),
            ("idel_timeout", Some("idle_timeout")),
            ("idle", Some("idle_timeout")),
            ("colour", None),
            ("", None),
        ];
        for (name, meant) in cases {
            assert_eq!(nearest(name, known), meant, "{name}");
        }
    }
}
