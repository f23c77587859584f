//! The addresses that will be given out next: speakers ask the network for them beforehand, so that a new Service need not
//! wait for that.

use super::territory::Territory;
use super::vacancy::Search;
use crate::address::{Family, Vip};
use crate::pool::Pool;
use std::collections::BTreeSet;

/// So many addresses of each pool and family are asked for beforehand. More Services than that at once wait about 0.2 s
/// for the answers.
pub const UPCOMING: usize = 8;

/// The [`UPCOMING`] lowest free addresses of each pool and family, of the pools that want it. The controller gives out
/// these first, so everybody must compute them from the same: all pools, and `is_free`: not in the ledger, and not known
/// to be answered for by somebody else.
pub fn upcoming<'a>(pools: impl IntoIterator<Item = &'a Pool>, is_free: impl Fn(Vip) -> bool) -> BTreeSet<Vip> {
    let mut pools: Vec<_> = pools.into_iter().collect();
    pools.sort_by_key(|pool| pool.precedence());
    let territory = Territory::new(pools.iter().copied());
    let mut upcoming = BTreeSet::new();
    for pool in pools.into_iter().filter(|pool| pool.probed) {
        for family in [Family::V4, Family::V6] {
            let search = Search::new(territory.ranges(&pool.name, family));
            upcoming.extend(search.ahead(&is_free).take(UPCOMING));
        }
    }
    upcoming
}
