//! Python's `random.Random`, as far as langdetect draws from it: the same seed gives the same draws as in CPython 3.11.
//!
//! The generator is Matsumoto's and Nishimura's MT19937. How an integer seeds it, how a number below a bound and a normal deviate
//! are made of it, is CPython's (`Modules/_randommodule.c`, `Lib/random.py`).

const WORDS: usize = 624;
/// How far ahead the word lies that is mixed into each.
const AHEAD: usize = 397;

/// A generator in some state.
#[derive(Clone)]
pub(super) struct Random {
    words: [u32; WORDS],
    at: usize,
    /// Deviates are made two at a time: the second one waits here.
    deviate: Option<f64>,
}

impl Random {
    /// `random.seed(seed)`: the sign does not count.
    pub(super) fn new(seed: i64) -> Self {
        let seed = seed.unsigned_abs();
        let (low, high) = (seed as u32, (seed >> 32) as u32);
        let mut random = Self { words: first_words(19_650_218), at: WORDS, deviate: None };
        let key = [low, high];
        random.mix_in(if high == 0 { &key[..1] } else { &key });
        random
    }

    /// MT19937's initialisation by an array.
    fn mix_in(&mut self, key: &[u32]) {
        let mut at = 1;
        for (number, part) in key.iter().enumerate().cycle().take(WORDS) {
            let mixed = self.words[at] ^ spread(self.words[at - 1], 1_664_525);
            self.words[at] = mixed.wrapping_add(*part).wrapping_add(number as u32);
            at = self.after(at);
        }
        for _ in 1..WORDS {
            let mixed = self.words[at] ^ spread(self.words[at - 1], 1_566_083_941);
            self.words[at] = mixed.wrapping_sub(at as u32);
            at = self.after(at);
        }
        self.words[0] = 0x8000_0000;
    }

    /// The next place that has one before it; what stands before the first is the last.
    fn after(&mut self, at: usize) -> usize {
        if at + 1 < WORDS {
            return at + 1;
        }
        self.words[0] = self.words[WORDS - 1];
        1
    }

    fn next(&mut self) -> u32 {
        if self.at == WORDS {
            self.twist();
        }
        let mut word = self.words.get(self.at).copied().unwrap_or_default();
        self.at += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    fn twist(&mut self) {
        for at in 0..WORDS {
            let mixed = (self.words[at] & 0x8000_0000) | (self.words[(at + 1) % WORDS] & 0x7fff_ffff);
            let odd = if mixed & 1 == 1 { 0x9908_b0df } else { 0 };
            self.words[at] = self.words[(at + AHEAD) % WORDS] ^ (mixed >> 1) ^ odd;
        }
        self.at = 0;
    }

    /// `random.random()`: 53 random bits below 1.
    fn unit(&mut self) -> f64 {
        let (high, low) = (self.next() >> 5, self.next() >> 6);
        (f64::from(high) * 67_108_864.0 + f64::from(low)) * (1.0 / 9_007_199_254_740_992.0)
    }

    /// `random.gauss(0.0, 1.0)`.
    pub(super) fn gauss(&mut self) -> f64 {
        if let Some(deviate) = self.deviate.take() {
            return deviate;
        }
        let angle = self.unit() * std::f64::consts::TAU;
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        self.deviate = Some(angle.sin() * radius);
        angle.cos() * radius
    }

    /// A number below `bound`, as `random.choice` draws a place in a list: bits are drawn until they are below. 0 if there is none.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        let bits = u32::BITS - bound.leading_zeros();
        loop {
            let drawn = self.next().checked_shr(u32::BITS - bits).unwrap_or_default();
            if drawn < bound || bound == 0 {
                return drawn;
            }
        }
    }
}

/// MT19937's initialisation by one number.
fn first_words(seed: u32) -> [u32; WORDS] {
    let mut words = [seed; WORDS];
    for at in 1..WORDS {
        words[at] = spread(words[at - 1], 1_812_433_253).wrapping_add(at as u32);
    }
    words
}

fn spread(word: u32, factor: u32) -> u32 {
    (word ^ (word >> 30)).wrapping_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_those_of_python() {
        // From CPython 3.11: r = random.Random(seed); r.gauss(0.0, 1.0), five times r.choice(range(1000)), twice r.gauss, r.choice.
        for (seed, first, choices, second, third, last) in EXPECTED {
            let mut random = Random::new(seed);
            let gauss = |random: &mut Random| random.gauss().to_bits();
            assert_eq!(gauss(&mut random), f64::to_bits(first), "{seed}");
            assert_eq!(choices.map(|_| random.below(1000)), choices, "{seed}");
            assert_eq!([gauss(&mut random), gauss(&mut random)], [second, third].map(f64::to_bits), "{seed}");
            assert_eq!(random.below(1 << 31), last, "{seed}");
        }
        assert_eq!([Random::new(1).below(0), Random::new(1).below(1)], [0, 0]);
    }

    type Draws = (i64, f64, [u32; 5], f64, f64, u32);

    const EXPECTED: [Draws; 6] = [
        (
            0,
            0.941_715_404_680_664_4,
            [430, 41, 265, 988, 523],
            -1.396_578_104_701_149_8,
            -2.229_068_668_076_285_2,
            1_302_718_217,
        ),
        (
            1,
            1.288_184_753_155_462_9,
            [782, 64, 261, 120, 507],
            1.449_445_608_699_771,
            0.077_812_837_121_740_02,
            1_630_434_966,
        ),
        (
            -7,
            -0.255_880_288_447_600_4,
            [666, 49, 74, 840, 548],
            0.511_431_512_516_514,
            1.097_646_062_768_027,
            922_121_676,
        ),
        (
            4_294_967_295,
            -0.444_600_818_480_243_96,
            [621, 534, 298, 617, 348],
            -0.506_589_681_974_876_7,
            1.450_611_954_710_229_9,
            1_201_118_819,
        ),
        (
            4_294_967_296,
            0.788_859_808_549_519_5,
            [17, 23, 626, 897, 824],
            0.677_998_420_461_688_9,
            0.147_663_267_391_645_6,
            1_940_533_316,
        ),
        (
            -4_611_686_018_427_375_559,
            -0.318_785_457_445_784_9,
            [748, 365, 912, 614, 439],
            0.724_607_867_255_906_6,
            0.309_324_822_123_493_16,
            1_318_820_433,
        ),
    ];
}
