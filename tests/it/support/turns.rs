// SPDX-License-Identifier: Apache-2.0
//! Whose turn it is. All tests are threads of one process, so a test that measures time or races with a process would
//! share the machine with one that takes all of it.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

static MACHINE: RwLock<()> = RwLock::new(());

/// Held by a test that keeps the machine busy for long. Others like it may run beside it. A test takes it once, at its
/// beginning.
pub(crate) fn busy() -> RwLockReadGuard<'static, ()> {
    MACHINE.read().unwrap_or_else(PoisonError::into_inner)
}

/// Held by a test that measures time: no busy test runs beside it.
pub(crate) fn quiet() -> RwLockWriteGuard<'static, ()> {
    MACHINE.write().unwrap_or_else(PoisonError::into_inner)
}
