//! Asking the processor for memory that is needed soon.
//!
//! Rows of a large matrix and places in a large hash table lie anywhere, and each costs a trip to main memory. A text
//! names hundreds of them in advance, so the trips can overlap. The instruction is a hint without any effect that a
//! program could see; where there is none for the architecture, nothing happens.

/// Bytes that come from memory together.
const CACHE_LINE: usize = 64;

/// Asks for the cache lines that hold `items`.
#[inline]
pub(crate) fn prefetch<T>(items: &[T]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let fetch = |address: *const i8| {
            // SAFETY: the instruction reads nothing that the program sees, and no address is wrong for it.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(address) };
        };
        let std::ops::Range { start, end } = items.as_ptr_range();
        let (mut at, end) = (start.cast::<i8>(), end.cast::<i8>());
        while at < end {
            fetch(at);
            at = at.wrapping_add(CACHE_LINE);
        }
        // The last line, where the items do not start at one.
        fetch(end.wrapping_sub(1));
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (items, CACHE_LINE);
}
