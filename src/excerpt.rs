//! What was sent, in a message: it may be long, and its beginning is enough to know it by.

use std::borrow::Cow;

/// How many characters of a text are shown.
const SHOWN: usize = 128;

/// The beginning of a text that may be long; put it in quotes.
pub fn excerpt(text: &str) -> Cow<'_, str> {
    cut(text, SHOWN)
}

/// The first `most` characters of a text, and a sign that there were more.
pub fn cut(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_text_is_shown_whole() {
        for text in ["", "soon", &"ü".repeat(SHOWN)] {
            assert_eq!(excerpt(text), text);
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(cut("größe", 3), "grö…");
        assert_eq!(cut("größe", 0), "…");
        assert_eq!(excerpt(&"x".repeat(4000)).chars().count(), SHOWN + 1);
    }
}
