//! Bytes of a text side by side, all of which are asked the same at once.
//!
//! A question is a function of [`Lanes`], and so is its answer: those bytes are set of which it is true. It must
//! not look at how many there are, which depends on the processor that a build is for.

#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
mod sse2;
#[cfg(any(test, not(all(target_arch = "x86_64", target_feature = "sse2"))))]
#[cfg_attr(
    all(target_arch = "x86_64", target_feature = "sse2"),
    expect(unreachable_pub, reason = "it is there for tests alone")
)]
mod word;

#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
pub use sse2::Lanes;
#[cfg(not(all(target_arch = "x86_64", target_feature = "sse2")))]
pub use word::Lanes;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    /// Checks one kind of lanes.
    macro_rules! lanes_are_told {
        ($name:ident, $lanes:ty) => {
            proptest! {
                #[test]
                fn $name(
                    bytes in proptest::array::uniform32(any::<u8>().prop_map(|byte| byte % 0xA0)),
                    byte in 1..0x80_u8,
                ) {
                    let (chunks, _) = bytes.as_chunks();
                    for chunk in chunks {
                        let lanes = <$lanes>::new(chunk);
                        let check = |found: $lanes, is: &dyn Fn(u8) -> bool| {
                            let all = chunk.iter().enumerate();
                            let expected = all.map(|(at, it)| u64::from(is(*it)) << at).sum::<u64>();
                            prop_assert_eq!(found.bits(), expected);
                            prop_assert_eq!(found.is_any(), expected != 0);
                            Ok(())
                        };
                        check(lanes.equal(byte), &|it| it == byte)?;
                        check(lanes.below(byte), &|it| it < byte)?;
                        check(lanes.at_least(byte), &|it| it >= byte)?;
                        check(!lanes.equal(byte), &|it| it != byte)?;
                        check(lanes.equal(byte) | lanes.equal(0x9F), &|it| it == byte || it == 0x9F)?;
                        check(lanes.below(byte) & !lanes.below(9), &|it| it < byte && it >= 9)?;
                        prop_assert!(!<$lanes>::none().is_any());
                    }
                }
            }
        };
    }

    #[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
    lanes_are_told!(each_of_sixteen_bytes_is_told, super::sse2::Lanes);
    lanes_are_told!(each_of_eight_bytes_is_told, super::word::Lanes);
}
