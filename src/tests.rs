//! Generated inputs that tests of several modules share.

use proptest::prelude::*;

/// Characters of every kind, more of those that something is decided about.
pub(crate) fn hostile() -> impl Strategy<Value = String> {
    let special = prop::sample::select(
        "\u{1b}\u{7}\u{8}\r\n\t\u{7f}\u{80}\u{85}\u{9b}\u{9d}\u{ad}\u{61c}\u{115f}\u{180b}\u{180e}\
         \u{200b}\u{200c}\u{200d}\u{200e}\u{200f}\u{2028}\u{202a}\u{202e}\u{2060}\u{2066}\u{2069}\
         \u{3164}\u{e000}\u{fdd0}\u{fe00}\u{fe0f}\u{feff}\u{fff9}\u{ffff}\u{1f3f4}\u{e0001}\
         \u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e007f}\u{e0100}\u{10ffff}\u{301}\u{5d0}\u{6cc}\
         \u{915}\u{94d}\u{1f469}\u{2764}\u{4e2d}[]m;31\"\\<>`*_ a1"
            .chars()
            .collect::<Vec<_>>(),
    );
    let any = prop_oneof![4 => special, 1 => any::<char>(), 1 => prop::char::range(' ', '~')];
    prop::collection::vec(any, 0..40).prop_map(String::from_iter)
}
