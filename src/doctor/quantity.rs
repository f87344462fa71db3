//! Kubernetes' quantities, such as `100m` and `2Gi`, as numbers.
//!
//! <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>

/// A quantity in thousandths: bytes, CPUs and objects alike.
pub(super) type Milli = i128;

/// What a suffix multiplies with, in thousandths.
const SUFFIXES: [(&str, f64); 15] = [
    ("Ki", 1024e3),
    ("Mi", 1_048_576e3),
    ("Gi", 1_073_741_824e3),
    ("Ti", 1_099_511_627_776e3),
    ("Pi", 1e3 * 1_125_899_906_842_624.0),
    ("Ei", 1e3 * 1_152_921_504_606_846_976.0),
    ("n", 1e-6),
    ("u", 1e-3),
    ("m", 1.0),
    ("k", 1e6),
    ("M", 1e9),
    ("G", 1e12),
    ("T", 1e15),
    ("P", 1e18),
    ("E", 1e21),
];

/// Reads a quantity, and rounds it up; `None` if it is none.
pub(super) fn parse(text: &str) -> Option<Milli> {
    let text = text.trim();
    // An exponent comes first: `1e3` ends with no suffix, and `1E` does.
    let plain = text.parse::<f64>().ok().map(|number| number * 1e3);
    let scaled = || {
        let (suffix, factor) = SUFFIXES.iter().find(|(suffix, _)| text.ends_with(suffix))?;
        Some(text.strip_suffix(suffix)?.parse::<f64>().ok()? * factor)
    };
    let value = plain.or_else(scaled)?;
    let nearest = value.round();
    // 0.7 times 1000 is not quite 700.
    let is_whole = (value - nearest).abs() <= nearest.abs() * 1e-12;
    value.is_finite().then(|| if is_whole { nearest } else { value.ceil() } as Milli)
}

/// A quantity for people: `1500m`, `2Gi`, `3`.
pub(super) fn show(resource: &str, value: Milli) -> String {
    if value % 1000 != 0 {
        return format!("{value}m");
    }
    let whole = value / 1000;
    let is_bytes = ["memory", "storage", "hugepages"].iter().any(|word| resource.contains(word));
    let units = [("Ti", 1_i128 << 40), ("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)];
    let unit = units.iter().find(|(_, size)| is_bytes && whole != 0 && whole % size == 0);
    unit.map_or_else(|| whole.to_string(), |(suffix, size)| format!("{}{suffix}", whole / size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_in_all_their_forms() {
        for (text, milli) in [
            ("100m", 100),
            ("2", 2000),
            ("0.5", 500),
            ("1e3", 1_000_000),
            ("1k", 1_000_000),
            ("1Ki", 1_024_000),
            ("2Gi", 2_147_483_648_000),
            ("1.5Gi", 1_610_612_736_000),
            ("1E", 1_000_000_000_000_000_000_000),
            ("1n", 1),
            ("-1", -1000),
        ] {
            assert_eq!(parse(text), Some(milli), "{text}");
        }
        for text in ["", "Gi", "two", "1X", "inf", "nan"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn quantities_are_shown_in_usual_units() {
        let shown = |resource, text| show(resource, parse(text).expect("legal"));
        assert_eq!(shown("limits.memory", "2048Mi"), "2Gi");
        assert_eq!(shown("requests.storage", "1000"), "1000");
        assert_eq!(shown("limits.cpu", "1500m"), "1500m");
        assert_eq!(shown("limits.cpu", "1024"), "1024");
        assert_eq!(shown("limits.memory", "0"), "0");
    }
}
