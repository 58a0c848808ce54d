//! What each word of the data is when it is new. It cannot be compressed, and is known at any place
//! without those before it.

/// 24 MiB of words of eight bytes.
pub(crate) const WORDS: usize = (24 << 20) / 8;

/// The word of a number: SplitMix64 with a fixed seed.
pub(crate) fn bytes(number: usize) -> [u8; 8] {
    mix(number as u64).to_le_bytes()
}

/// Step `number` of SplitMix64.
pub(crate) const fn mix(number: u64) -> u64 {
    let mut word = 0x0815_u64.wrapping_add((number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
