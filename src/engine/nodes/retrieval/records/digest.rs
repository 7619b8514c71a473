//! LangChain's digest of a text. It is called SHA-256 there and is not: three of four rounds take other words of the state,
//! by a slip. Keys that LangChain has written are found by it alone. Nothing secret is kept by it.

/// Of SHA-256, four rounds a row.
const ROUNDS: [[u32; 4]; 16] = [
    [0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5],
    [0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5],
    [0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3],
    [0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174],
    [0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc],
    [0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da],
    [0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7],
    [0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967],
    [0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13],
    [0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85],
    [0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3],
    [0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070],
    [0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5],
    [0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3],
    [0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208],
    [0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2],
];
/// The state before the first block, as SHA-256 has it.
const BEGINNING: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// In hexadecimal digits.
pub(super) fn digest(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let bits = (bytes.len() as u64).wrapping_mul(8);
    bytes.push(0x80);
    bytes.resize((bytes.len() + 8).next_multiple_of(64) - 8, 0);
    bytes.extend_from_slice(&bits.to_be_bytes());
    let mut state = BEGINNING;
    for block in bytes.chunks_exact(64) {
        let after = rounds(state, block);
        for (word, new) in state.iter_mut().zip(after) {
            *word = word.wrapping_add(new);
        }
    }
    state.map(|word| format!("{word:08x}")).concat()
}

fn sum(words: &[u32]) -> u32 {
    words.iter().fold(0, |sum, word| sum.wrapping_add(*word))
}

/// The words of a block, and those that SHA-256 makes of them.
fn words(block: &[u8]) -> Vec<u32> {
    let mut words: Vec<u32> =
        block.chunks_exact(4).map(|four| four.iter().fold(0, |word, byte| word << 8 | u32::from(*byte))).collect();
    for _ in 16..64 {
        let back = |count: usize| words.len().checked_sub(count).and_then(|at| words.get(at)).copied().unwrap_or(0);
        let (early, late) = (back(15), back(2));
        let early = early.rotate_right(7) ^ early.rotate_right(18) ^ (early >> 3);
        let late = late.rotate_right(17) ^ late.rotate_right(19) ^ (late >> 10);
        let word = sum(&[back(16), early, back(7), late]);
        words.push(word);
    }
    words
}

#[expect(clippy::many_single_char_names, reason = "they have no others")]
fn rounds(state: [u32; 8], block: &[u8]) -> [u32; 8] {
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = state;
    let wide = |word: u32| word.rotate_right(2) ^ word.rotate_right(13) ^ word.rotate_right(22);
    let near = |word: u32| word.rotate_right(6) ^ word.rotate_right(11) ^ word.rotate_right(25);
    let choice = |by: u32, one: u32, other: u32| (by & one) ^ (!by & other);
    let most = |one: u32, two: u32, three: u32| (one & two) ^ (one & three) ^ (two & three);
    for (row, four) in ROUNDS.iter().zip(words(block).chunks_exact(4)) {
        let ([k0, k1, k2, k3], [w0, w1, w2, w3]) = (row, four) else { continue };
        let new = sum(&[h, near(e), choice(e, f, g), *k0, *w0]);
        (h, d) = (d.wrapping_add(new), sum(&[new, wide(a), most(a, b, c)]));
        let new = sum(&[f, near(h), choice(g, h, e), *k1, *w1]);
        (g, c) = (c.wrapping_add(new), sum(&[new, wide(d), most(d, a, b)]));
        let new = sum(&[e, near(g), choice(f, g, h), *k2, *w2]);
        (f, b) = (b.wrapping_add(new), sum(&[new, wide(c), most(c, d, a)]));
        let new = sum(&[e, near(f), choice(f, g, h), *k3, *w3]);
        (e, a) = (a.wrapping_add(new), sum(&[new, wide(b), most(b, c, d)]));
    }
    [a, b, c, d, e, f, g, h]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected: what LangChain made of them.
    #[test]
    fn texts_have_the_digests_that_langchain_gives_them() {
        for (text, expected) in [
            ("", "ae965411e69fcf4bb15a2ff8b21bbd19b0b8fed5a474657e152d460ae76c51b8"),
            ("a", "c27e4e13692b580957fd808d9160b8f6f30c796556d1dc7f18b2614d61c9709e"),
            ("one", "2c9453ade159b95653fc1f4dbd8a250ce42ab5643fda869e8af68d78e24577cf"),
            ("\u{fc}", "70d115bb07eeb255cfaaf46f8059a993ebff91289e5e4979439e9eb84227d65d"),
            (&"x".repeat(63), "abbc1c1497cf33169c8cb90f785769d97ae2992bdec616284368188e6fb3a51e"),
            (&"x".repeat(64), "88ba8e933a3ac7ea1a239adfca0d0383d160f7e6407a80b2a4a5beb6db320061"),
            (&"x".repeat(65), "574d9445af0af893c60f3f76cb7ddb576e8becc908f1252e2678a1df3b4f2eee"),
        ] {
            assert_eq!(digest(text), expected, "{text}");
        }
    }
}
