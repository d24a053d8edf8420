//! Templates that anyone may have written: bounded in what they say, and the same each time.

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::budget::LONGEST_TEXT;
use super::{Fields, Template};
use crate::clock::ManualClock;

/// Longer than any message about a template, in bytes.
const LONG: usize = 2000;

/// A text as a template, rendered with texts that are awkward to cut.
pub(crate) fn templates(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let template = match Template::parse(text) {
        Ok(template) => template,
        Err(error) => return brief(&error),
    };
    let fields = Fields::from([
        ("Type", "IAM"),
        ("DisplayName", "token-ünï \u{1f511}\"'<&>"),
        ("PolicyName", "deploy"),
    ]);
    let render = || {
        let mut random = StdRng::seed_from_u64(1);
        template.render(&fields, &ManualClock::default(), &mut random)
    };
    let rendered = render();
    assert_eq!(rendered, render(), "rendered twice");
    match rendered {
        Ok(text) => assert!(text.len() <= LONGEST_TEXT, "{} bytes", text.len()),
        Err(error) => brief(&error),
    }
}

fn brief(error: &dyn std::error::Error) {
    let message = error.to_string();
    assert!(message.len() < LONG, "a message of {} bytes", message.len());
}
