//! The order in which go-yaml writes the keys of a map: letters by code point, numbers by value.

use std::cmp::Ordering;

use super::style::Version;

/// Sorts keys. The order is not always transitive, so this is an insertion sort into a
/// sorted vector rather than a library sort, which may panic on such an order.
pub(super) fn sort_keys<T>(entries: Vec<(String, T)>, version: Version) -> Vec<(String, T)> {
    let mut entries: Vec<(Vec<char>, (String, T))> =
        entries.into_iter().map(|(key, value)| (key.chars().collect(), (key, value))).collect();
    merge_sort(&mut entries, version);
    entries.into_iter().map(|(_, entry)| entry).collect()
}

/// A merge sort asks only `less` and never checks the order for consistency.
fn merge_sort<T>(entries: &mut Vec<(Vec<char>, T)>, version: Version) {
    if entries.len() < 2 {
        return;
    }
    let mut right = entries.split_off(entries.len() / 2);
    merge_sort(entries, version);
    merge_sort(&mut right, version);
    let left = std::mem::take(entries);
    let mut left = left.into_iter().peekable();
    let mut right = right.into_iter().peekable();
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        let next = if less(&b.0, &a.0, version) { right.next() } else { left.next() };
        entries.extend(next);
    }
    entries.extend(left);
    entries.extend(right);
}

fn less(a: &[char], b: &[char], version: Version) -> bool {
    let common = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (Some(x), Some(y)) = (a.get(common), b.get(common)) else {
        return a.len() < b.len();
    };
    match (x.is_alphabetic(), y.is_alphabetic()) {
        (true, true) => return x < y,
        (x_is_letter, y_is_letter) if x_is_letter != y_is_letter => {
            // The newer version ends a number at a letter.
            let in_number = common > 0 && a[common - 1].is_numeric();
            return if version == Version::V3 && in_number { x_is_letter } else { y_is_letter };
        }
        _ => {}
    }
    // Zeros are leading zeros unless another digit precedes them.
    let zero = *x == '0' || *y == '0';
    let digits_before = a[..common].iter().rev().take_while(|c| c.is_ascii_digit());
    let start = i64::from(zero && digits_before.into_iter().any(|c| *c != '0'));
    let (a_value, a_end) = number(a, common, start);
    let (b_value, b_end) = number(b, common, start);
    let order = a_value.cmp(&b_value).then(a_end.cmp(&b_end)).then(x.cmp(y));
    order == Ordering::Less
}

fn number(text: &[char], from: usize, start: i64) -> (i64, usize) {
    let digits = text[from..].iter().map_while(|c| c.to_digit(10));
    let mut value = start;
    let mut end = from;
    for digit in digits {
        value = value.wrapping_mul(10).wrapping_add(i64::from(digit));
        end += 1;
    }
    (value, end)
}
