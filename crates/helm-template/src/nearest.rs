//! What somebody may have meant who wrote a name that is not known.

/// The candidate that is most like a name, if one is so much like it that it may have been meant.
#[must_use]
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A third of a name may be wrong: more would make any short name like any other.
    let most = (name.chars().count() / 3).max(1);
    let distance = |candidate: &str| strsim::osa_distance(&name.to_lowercase(), &candidate.to_lowercase());
    let ranked = candidates.into_iter().map(|candidate| (distance(candidate), candidate));
    ranked.filter(|(distance, _)| *distance <= most).min().map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_like_a_name_is_near() {
        let presets = ["ephemeral", "production", "tutorial"];
        assert_eq!(nearest("ephemral", presets), Some("ephemeral"));
        assert_eq!(nearest("Tutorial", presets), Some("tutorial"));
        assert_eq!(nearest("staging", presets), None);
        assert_eq!(nearest("cpu", ["cup", "memory"]), Some("cup"));
        assert_eq!(nearest("a", ["b", "abc"]), Some("b"), "a letter may be wrong");
        assert_eq!(nearest("x", []), None);
    }
}
