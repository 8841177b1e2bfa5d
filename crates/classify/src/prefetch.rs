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
        let bytes = size_of_val(items);
        let start = items.as_ptr().cast::<i8>();
        for at in (0..bytes).step_by(CACHE_LINE).chain(bytes.checked_sub(1)) {
            // SAFETY: the address lies within the slice; the instruction reads nothing that the program sees.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(start.add(at)) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (items, CACHE_LINE);
}
