//! Numbers that agree with their nouns and verbs.

/// A number with its noun: `1 item`, `2 items`. The plural ends in `s`.
pub fn count(number: impl Into<u64>, noun: &str) -> String {
    match number.into() {
        1 => format!("1 {noun}"),
        number => format!("{number} {noun}s"),
    }
}

/// A number with its noun and the verb: `1 item is`, `2 items are`.
pub fn are(number: impl Into<u64>, noun: &str) -> String {
    let number = number.into();
    format!("{} {}", count(number, noun), if number == 1 { "is" } else { "are" })
}

/// A number with its noun and the verb: `1 item was`, `2 items were`.
pub fn were(number: impl Into<u64>, noun: &str) -> String {
    let number = number.into();
    format!("{} {}", count(number, noun), if number == 1 { "was" } else { "were" })
}

/// A number with its noun and the verb: `1 item has`, `2 items have`.
pub fn have(number: impl Into<u64>, noun: &str) -> String {
    let number = number.into();
    format!("{} {}", count(number, noun), if number == 1 { "has" } else { "have" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_agree_with_their_nouns_and_verbs() {
        assert_eq!([0_u64, 1, 2].map(|number| count(number, "item")), ["0 items", "1 item", "2 items"]);
        assert_eq!((are(1_u32, "pod"), are(0_u32, "pod")), ("1 pod is".to_owned(), "0 pods are".to_owned()));
        assert_eq!((have(1_u32, "item"), have(3_u32, "item")), ("1 item has".into(), "3 items have".into()));
    }
}
