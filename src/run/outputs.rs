//! Whether the whole outputs of a run have room on the broker's volume.

use serde_json::Value;

use crate::cluster::job::{OUTPUTS_BYTES_ANNOTATION, VOLUME_BYTES_ANNOTATION};
use crate::error::Error;

/// The share of a volume that outputs may take. What is read or collected leaves the volume later than
/// the queue: the broker deletes whole files.
const SHARE: u64 = 2;

/// How many bytes of outputs may wait on the broker, as the chart's values say in a rendered Job. `limit`
/// is the most that one item may have.
///
/// # Errors
/// [`Error::OutputsDoNotFit`]; [`Error::Incomplete`] for a chart that says nothing.
pub(crate) fn room(job: &Value, limit: u64) -> Result<u64, Error> {
    let annotation = |name: &str| job["metadata"]["annotations"][name].as_str()?.parse::<u64>().ok();
    let size = annotation(OUTPUTS_BYTES_ANNOTATION)
        .ok_or(Error::Incomplete("size of the outputs, worker.outputs.size"))?;
    if limit > size {
        let what = "--output-limit, the most that one item may have";
        return Err(Error::OutputsDoNotFit { what, bytes: limit, into: "worker.outputs.size", room: size });
    }
    match annotation(VOLUME_BYTES_ANNOTATION).map(|volume| volume / SHARE) {
        Some(half) if size > half => {
            let into = "half of the broker's volume, broker.persistence.size";
            Err(Error::OutputsDoNotFit { what: "worker.outputs.size", bytes: size, into, room: half })
        }
        _ => Ok(size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const MIB: u64 = 1 << 20;

    fn asked(size: u64, volume: Option<u64>, limit: u64) -> Result<u64, String> {
        let mut job = json!({"metadata": {"annotations": {OUTPUTS_BYTES_ANNOTATION: size.to_string()}}});
        if let Some(volume) = volume {
            job["metadata"]["annotations"][VOLUME_BYTES_ANNOTATION] = json!(volume.to_string());
        }
        room(&job, limit).map_err(|error| error.to_string())
    }

    #[test]
    fn what_cannot_fit_is_refused() {
        assert_eq!(asked(4 * MIB, Some(8 * MIB), 4 * MIB), Ok(4 * MIB));
        assert_eq!(asked(4 * MIB, None, MIB), Ok(4 * MIB));
        let volume = asked(4 * MIB, Some(8 * MIB - 2), MIB).expect_err("it is too large");
        assert!(volume.starts_with("worker.outputs.size (4194304 bytes) does not fit"), "{volume}");
        let limit = asked(4 * MIB, None, 4 * MIB + 1).expect_err("it is too large");
        assert!(limit.contains("--output-limit"), "{limit}");
        assert!(room(&json!({}), 1).is_err(), "a chart of somebody else");
    }
}
