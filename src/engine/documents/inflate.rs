//! What was deflated, with a limit to what comes out; of what is broken, what came before it.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_PARSE_ZLIB_HEADER, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InflateEnd {
    Whole,
    TooLong,
    Broken,
}

/// `has_head`: as zlib writes it, else bare.
pub(super) fn inflated(packed: &[u8], has_head: bool, most: usize) -> (Vec<u8>, InflateEnd) {
    let flags = if has_head { TINFL_FLAG_PARSE_ZLIB_HEADER } else { 0 };
    let mut out = vec![0; packed.len().saturating_mul(2).clamp(256, most.max(256))];
    let mut state = Box::<DecompressorOxide>::default();
    let (mut rest, mut length) = (packed, 0);
    loop {
        let (status, read, written) =
            decompress(&mut state, rest, &mut out, length, flags | TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF);
        length += written;
        rest = rest.get(read..).unwrap_or_default();
        let end = match status {
            TINFLStatus::HasMoreOutput if out.len() < most => {
                out.resize(out.len().saturating_mul(2).min(most), 0);
                continue;
            }
            TINFLStatus::Done => InflateEnd::Whole,
            TINFLStatus::HasMoreOutput => InflateEnd::TooLong,
            _ => InflateEnd::Broken,
        };
        out.truncate(length);
        return (out, end);
    }
}
