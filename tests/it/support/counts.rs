// SPDX-License-Identifier: Apache-2.0
//! How much a tier does of what takes long. The second tier takes a part, always the same one; the third tier, which is
//! built from the same modules, takes all of it (`tests/full`).

use super::random::Random;

/// The second tier takes one of so many points of a long sweep.
const SHARE: usize = 20;
const SEED: u64 = 0x7069_636b_6f6e_6521;

/// Returns the second tier's number or the third's.
pub(crate) const fn pick(second: usize, third: usize) -> usize {
    if crate::IS_FULL { third } else { second }
}

/// Returns the points of a sweep that this tier takes: all of them, or of every twenty in a row one at random.
pub(crate) fn some<T>(points: Vec<T>) -> Vec<T> {
    if crate::IS_FULL {
        return points;
    }
    let (mut random, mut taken, all) = (Random::new(SEED), Vec::new(), points.len());
    let mut chosen = 0;
    for (index, point) in points.into_iter().enumerate() {
        if index % SHARE == 0 {
            chosen = index + random.below(SHARE.min(all - index));
        }
        if index == chosen {
            taken.push(point);
        }
    }
    super::tools::report(&format!("{} of {all} points, seed {SEED:#x}", taken.len()));
    taken
}
