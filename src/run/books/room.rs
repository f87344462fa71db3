//! Refuses a run whose ledger cannot fit on the broker's disk.

use crate::cluster::Cluster;
use crate::cluster::rabbitmqctl::BrokerDisk;
use crate::error::Error;
use crate::queue::connection::BrokerConnection;

/// The most that a ledger takes for an item, in bytes. Ten million items in small batches took seven
/// (`benches/ledger`); the rest is for ledgers whose sums are written late.
const BYTES_PER_ITEM: u64 = 40;

/// Ledgers below this size fit anywhere, and asking the broker takes a second or two.
const ALWAYS_FITS: u64 = 32 << 20;

/// Refuses a run whose ledger cannot fit. Nobody knows the disk of a broker outside the cluster, or
/// without the permission to `create` `pods/exec`: then nothing is refused.
///
/// # Errors
/// [`Error::LedgerTooLarge`].
pub(crate) async fn check(cluster: &Cluster, connection: &BrokerConnection, items: u64) -> Result<(), Error> {
    let needed = items.saturating_mul(BYTES_PER_ITEM);
    if needed <= ALWAYS_FITS {
        return Ok(());
    }
    match cluster.broker_disk(connection.pod()).await {
        Ok(disk) => fits(needed, disk),
        Err(_) => Ok(()),
    }
}

fn fits(needed: u64, disk: BrokerDisk) -> Result<(), Error> {
    // Below the limit, the broker takes no more messages.
    let room = disk.free.saturating_sub(disk.limit);
    if needed <= room { Ok(()) } else { Err(Error::LedgerTooLarge { needed, room }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_fits_above_the_brokers_disk_limit() {
        let disk = BrokerDisk { free: 1000, limit: 600 };
        assert!(fits(400, disk).is_ok());
        assert!(matches!(fits(401, disk), Err(Error::LedgerTooLarge { needed: 401, room: 400 })));
        assert!(fits(1, BrokerDisk { free: 1, limit: 2 }).is_err(), "the alarm is on");
    }
}
