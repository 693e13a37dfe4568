//! Encodings of text, and the way from a place in the decoded text back to the place in the encoded one.

use std::ops::Range;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// The fewest base64 letters that can hold a secret of six bytes, cut at both ends.
const SHORTEST_RUN: usize = 8;

/// Base64 that may lack its padding and end within a byte, as a part of a longer text does.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A decoded text, with the origin of each of its bytes in the encoded one.
#[derive(Default)]
pub(super) struct Decoded {
    pub bytes: Vec<u8>,
    /// The offset in the encoded text of each decoded byte; one more for the end.
    origins: Vec<usize>,
}

impl Decoded {
    fn push(&mut self, bytes: &[u8], origin: usize) {
        self.bytes.extend_from_slice(bytes);
        self.origins.extend(bytes.iter().map(|_| origin));
    }

    /// The range of the encoded text that a range of the decoded one came from.
    pub fn origin(&self, span: Range<usize>) -> Range<usize> {
        self.origins[span.start]..self.origins[span.end]
    }
}

/// Decodes a whole text; `None` where it holds nothing in this encoding.
type Decode = fn(&[u8]) -> Option<Decoded>;

/// All encodings of whole texts; base64 is not among them, since only parts of a text are in it.
pub(super) const ALL: [Decode; 4] = [percent, plus, backslash, entity];

/// `%40` for `@`, as in addresses and forms, and in the workflow commands of GitHub Actions.
fn percent(text: &[u8]) -> Option<Decoded> {
    decode(text, b'%', |rest| {
        let digits = std::str::from_utf8(rest.get(1..3)?).ok()?;
        Some((vec![u8::from_str_radix(digits, 16).ok()?], 3))
    })
}

/// `+` for a space, as in forms.
fn plus(text: &[u8]) -> Option<Decoded> {
    decode(text, b'+', |_| Some((vec![b' '], 1)))
}

/// `\"`, `\n`, `\/` and `\u0040`, as in JSON; `\'` and `\u{40}`, as Rust shows text; `\x40`, as others do.
fn backslash(text: &[u8]) -> Option<Decoded> {
    decode(text, b'\\', |rest| {
        let number = |digits: Option<&[u8]>| {
            u32::from_str_radix(std::str::from_utf8(digits?).ok()?, 16).ok().and_then(char::from_u32)
        };
        let (letter, length) = match rest.get(1)? {
            b'n' => ('\n', 2),
            b'r' => ('\r', 2),
            b't' => ('\t', 2),
            b'x' => (number(rest.get(2..4))?, 4),
            b'u' if rest.get(2) == Some(&b'{') => {
                let end = rest.iter().take(12).position(|byte| *byte == b'}')?;
                (number(rest.get(3..end))?, end + 1)
            }
            b'u' => (number(rest.get(2..6))?, 6),
            other => (char::from(*other), 2),
        };
        Some((letter.to_string().into_bytes(), length))
    })
}

/// `&amp;` and `&#38;`, as in XML and HTML.
fn entity(text: &[u8]) -> Option<Decoded> {
    decode(text, b'&', |rest| {
        let end = rest.iter().take(10).position(|byte| *byte == b';')?;
        let name = std::str::from_utf8(rest.get(1..end)?).ok()?;
        let letter = match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let number = name.strip_prefix('#')?;
                let number = match number.strip_prefix(['x', 'X']) {
                    Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                    None => number.parse().ok()?,
                };
                char::from_u32(number)?
            }
        };
        Some((letter.to_string().into_bytes(), end + 1))
    })
}

/// Decodes a text: at each `lead`, `one` returns the decoded bytes and how many encoded ones they take; where it returns
/// `None`, the byte stays.
fn decode(text: &[u8], lead: u8, one: impl Fn(&[u8]) -> Option<(Vec<u8>, usize)>) -> Option<Decoded> {
    if !text.contains(&lead) {
        return None;
    }
    let (mut decoded, mut index, mut any) = (Decoded::default(), 0, false);
    while let Some(byte) = text.get(index) {
        match if *byte == lead { one(&text[index..]) } else { None } {
            Some((bytes, length)) => {
                decoded.push(&bytes, index);
                index += length;
                any = true;
            }
            None => {
                decoded.push(&[*byte], index);
                index += 1;
            }
        }
    }
    decoded.origins.push(text.len());
    any.then_some(decoded)
}

/// The runs of base64 letters, of either alphabet, with their padding.
pub(super) fn base64_runs(text: &[u8]) -> Vec<Range<usize>> {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte);
    let (mut runs, mut index) = (Vec::new(), 0);
    while index < text.len() {
        let letters = text[index..].iter().take_while(|byte| is_letter(byte)).count();
        let padding = text[index + letters..].iter().take(2).take_while(|byte| **byte == b'=').count();
        if letters >= SHORTEST_RUN {
            runs.push(index..index + letters + padding);
        }
        index += (letters + padding).max(1);
    }
    runs
}

/// A run's decoded bytes, begun at each of its first four letters: the run may be cut from a longer one, or follow a path.
pub(super) fn base64(run: &[u8]) -> Vec<Vec<u8>> {
    let standard = run.iter().filter(|byte| **byte != b'=').map(|byte| match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => *other,
    });
    let letters: Vec<u8> = standard.collect();
    let at = |start: usize| {
        let part = letters.get(start..)?;
        // A single last letter is no whole byte.
        let part = if part.len() % 4 == 1 { &part[..part.len() - 1] } else { part };
        LENIENT.decode(part).ok()
    };
    (0..4).filter_map(at).collect()
}
